"""Standard output and error that are closed, full or no longer read: the work goes on, and the exit code shows it."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer  # exists for type checkers only; collections.abc.Buffer: Python 3.12

_CLOSED = OSError(errno.EBADF, "it is closed")


class _Tolerant(io.RawIOBase):
    """A stream that never fails: what `raw` refuses is dropped, and `lost` is the first error.

    Args:
        raw: The stream below.
        closed: Pass nothing on, because the stream was closed when the process began.
    """

    def __init__(self, raw: io.RawIOBase, closed: bool) -> None:
        self._raw, self._refused = raw, closed
        self.lost: OSError | None = None

    def writable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """The number of the stream below."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether the stream below is a terminal."""
        return self._raw.isatty()

    def write(self, data: Buffer) -> int:
        """The number of bytes: all are taken."""
        left = memoryview(data).cast("B")
        size = left.nbytes
        try:
            if self._refused:
                raise _CLOSED
            while left:
                written = self._raw.write(left)
                if written is None:  # a pipe that does not block
                    select.select([], [self._raw], [])
                else:
                    left = left[written:]
        except OSError as error:
            self.lost = self.lost or error
        return size


def protect() -> None:
    """Make sys.stdout and sys.stderr tolerate errors; call it once, before any file is opened.

    A standard stream that was closed (`>&-`) is the null device afterwards: otherwise the next file that is opened
    would get its number, and what a library prints would be written into that file.
    """
    closed = _reopen()
    if sys.stdin is None:
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = _stream(sys.stdout, 1, 1 in closed)
    sys.stderr = _stream(sys.stderr, 2, 2 in closed)


def exit_code(code: int) -> int:
    """The exit code of the process: `code`, or 1 where that is 0 and results for standard output were lost.

    The loss is reported on standard error, unless the reader has closed the pipe (`| head`). Lost notes change nothing.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 1
    buffer = getattr(sys.stdout, "buffer", None)
    lost = getattr(getattr(buffer, "raw", buffer), "lost", None)
    if lost is None:
        return code
    if lost.errno != errno.EPIPE:
        done = "" if code else " The work itself is done."
        print(f"error: Standard output could not be written: {lost.strerror}.{done}", file=sys.stderr)
    return code or 1


def _reopen() -> set[int]:
    """Open the null device for each standard stream that is closed; returns their numbers."""
    closed = set()
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            closed.add(number)
    return closed


def _stream(stream: TextIO | None, number: int, closed: bool) -> TextIO:
    """The stream, with the same settings, above a `_Tolerant`; a name that it cannot encode is no reason to fail."""
    if stream is not None and not isinstance(stream, io.TextIOWrapper):
        return stream  # an environment of its own, such as a notebook
    if stream is None:
        kept = _Tolerant(io.FileIO(number, "w", closefd=False), closed)
        return io.TextIOWrapper(io.BufferedWriter(kept), "utf-8", "backslashreplace")
    buffer: Any = stream.buffer
    kept = _Tolerant(getattr(buffer, "raw", buffer), closed)
    layer: Any = io.BufferedWriter(kept) if hasattr(buffer, "raw") else kept  # `python -u` has no buffer
    return io.TextIOWrapper(
        layer, stream.encoding, "backslashreplace",
        line_buffering=stream.line_buffering, write_through=stream.write_through,
    )  # fmt: skip
