"""Refiners: alpha at full resolution, computed at the active pixels."""
