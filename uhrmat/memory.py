"""Memory that two libraries keep and do not need: oneDNN its kernels, glibc what was freed."""

from __future__ import annotations

import ctypes
import os
import sys

_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128"
TRIM_EVERY = 5
"""Frames of a clip."""


def bound_kernels() -> None:
    """Keeps oneDNN, which makes a kernel for each shape and keeps 1 024, to 128: each frame has active sets of other
    sizes. To be called before the first convolution; what the user has set counts."""
    os.environ.setdefault(*_KERNELS)


def give_back() -> None:
    """Hands freed memory back to the system where glibc would hold it, in pieces, for each thread."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)
