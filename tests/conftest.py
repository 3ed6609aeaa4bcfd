"""Shared by all tests: a numba cache and a torch that behave on small, busy machines."""

from __future__ import annotations

import os

# Read when the libraries load; more threads than this only slow small tensors down.
os.environ.setdefault("OMP_NUM_THREADS", str(min(4, os.cpu_count() or 1)))
