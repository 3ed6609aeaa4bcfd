"""Captures what decoders print: libpng and libjpeg write to C's `stderr`, OpenEXR's binding to Python's `sys.stdout`.
 C's `stderr` is a variable that glibc documents as one that programs may set
("Standard Streams" in its manual); it is set to a buffer while a decoder works. Python's own `sys.stderr`, other
processes and the file descriptor 2 are not touched. Elsewhere than with glibc these lines go where they always went.
"""

from __future__ import annotations

import ctypes
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

from uhrmat.core.printing import capture_output

_LOG = logging.getLogger("uhrmat.decoders")
_LOCK = threading.RLock()


@contextmanager
def capture_decoder_output() -> Iterator[list[str]]:
    """Capture what libraries print within the block; one thread at a time.

    Yields:
        A list, which holds the printed lines once the block has ended. They are also logged at the level DEBUG.
    """
    lines: list[str] = []
    stream = _stream()
    with _LOCK, capture_output() as printed:
        try:
            with nullcontext() if stream is None else stream.in_place():
                yield lines
        finally:
            lines += printed.getvalue().splitlines()
            lines += [] if stream is None else stream.text.splitlines()
    for line in lines:
        _LOG.debug("%s", line)


@cache
def _stream() -> _Stream | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return _Stream(libc) if hasattr(libc, "gnu_get_libc_version") else None


class _Stream:
    """A FILE in memory, made once and never closed, because a library might still hold it."""

    def __init__(self, libc: Any) -> None:
        libc.open_memstream.restype = ctypes.c_void_p
        self._libc, self._data, self._size = libc, ctypes.c_void_p(), ctypes.c_size_t()
        self._file = ctypes.c_void_p(libc.open_memstream(ctypes.byref(self._data), ctypes.byref(self._size)))
        self._stderr = ctypes.c_void_p.in_dll(libc, "stderr")
        self.text = ""

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """C's `stderr` is this file within the block; `text` has then what was written."""
        before = self._stderr.value
        self._libc.fseek(self._file, ctypes.c_long(0), ctypes.c_int(0))
        self._stderr.value = self._file.value
        try:
            yield
        finally:
            self._stderr.value = before
            self._libc.fflush(self._file)
            written = ctypes.string_at(self._data, self._size.value) if self._data.value else b""
            self.text = written.decode("utf-8", "replace")
