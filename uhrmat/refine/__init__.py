"""Refiners: how much of a pixel is foreground, at full resolution, where it is still open."""
