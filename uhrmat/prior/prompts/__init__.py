"""A coarse alpha from points, boxes and strokes."""
