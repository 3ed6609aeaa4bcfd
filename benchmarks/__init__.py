"""Measurements of speed, memory and quality; see docs/reference/performance.md."""
