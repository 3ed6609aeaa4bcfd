"""What a library prints to Python's `sys.stdout`, kept apart by thread.

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
"""By thread, what it prints in its open blocks, the innermost last."""
_placed: _ByThread | None = None


class _ByThread:
    """A `sys.stdout` that keeps what threads with an open block write, and hands on what all others write."""

    def __init__(self, real: Any) -> None:
        self.real = real

    def write(self, text: str) -> int:
        kept = _KEPT.get(threading.get_ident())
        return int((kept[-1] if kept else self.real).write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@contextmanager
def capture_output() -> Iterator[io.StringIO]:
    """What this thread prints within the block is in the buffer; other threads print as before.

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
