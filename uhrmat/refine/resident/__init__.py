"""Refinement with everything on the device: one upload, one download, no pass over the picture on the host."""
