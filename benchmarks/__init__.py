"""Measurements of speed, memory and quality; see docs/performance.md."""
