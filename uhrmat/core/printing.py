"""Captures what one thread prints to Python's `sys.stdout`.

`contextlib.redirect_stdout` exchanges the one `sys.stdout` of the process: of two threads that overlap, the one that
ends last puts back the other's replacement, and nothing is ever seen of what is printed after that.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_LOCK = threading.Lock()
_KEPT: dict[int, list[io.StringIO]] = {}
"""By thread, the buffers of its blocks, the innermost last."""
_placed: _ByThread | None = None
"""The replacement of `sys.stdout` while there is any block."""


class _ByThread:
    """A `sys.stdout` that writes to the buffer of a thread that has one, and to `real` for all others."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        kept = _KEPT.get(threading.get_ident())
        return int((kept[-1] if kept else self.real).write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextmanager
def capture_output() -> Iterator[io.StringIO]:
    """Capture what this thread prints within the block; other threads print as before. Yields the buffer.

    When the last block of any thread has ended, `sys.stdout` is what it was before the first, unless somebody else has
    set it meanwhile.
    """
    global _placed
    printed, thread = io.StringIO(), threading.get_ident()
    with _LOCK:
        if _placed is None:
            _placed = _ByThread(sys.stdout)
            sys.stdout = _placed
        _KEPT.setdefault(thread, []).append(printed)
    try:
        yield printed
    finally:
        with _LOCK:
            _KEPT[thread].remove(printed)
            if not _KEPT[thread]:
                del _KEPT[thread]
            if not _KEPT:
                if sys.stdout is _placed:
                    sys.stdout = _placed.real
                _placed = None
