"""Names for C++ libraries, which crash or give up where a file's own name is not UTF-8 (on Windows: not ASCII)."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

Parts = Sequence[memoryview | bytes]
"""A file's bytes in pieces, one after the other."""
_OPEN_FILES = Path("/proc/self/fd")


def safe_name(path: Path) -> str | None:
    """The path's own name if every library takes it, else None."""
    if os.name == "nt":
        return str(path) if str(path).isascii() else None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return None
    return str(path)


@contextmanager
def readable_name(path: Path, parts: Parts | None = None) -> Iterator[str | None]:
    """A name under which the file can be opened, or one that holds `parts` instead; None where there is none.

    On Linux open files have names, and files without a name can be made in memory.
    """
    if not _OPEN_FILES.is_dir():
        yield safe_name(path) if parts is None else None
        return
    number = os.open(path, os.O_RDONLY) if parts is None else _memory_file(parts)
    try:
        yield str(_OPEN_FILES / str(number))
    finally:
        os.close(number)


@contextmanager
def writable_name(path: Path) -> Iterator[str]:
    """A name under which the file, which is made, can be written; its own where no other is needed or known."""
    if safe_name(path) is not None or not _OPEN_FILES.is_dir():
        yield str(path)
        return
    with open(path, "wb") as file:
        yield str(_OPEN_FILES / str(file.fileno()))


def _memory_file(parts: Parts) -> int:
    """The descriptor of a file without a name that holds `parts`."""
    assert sys.platform == "linux"
    number = os.memfd_create("picture")
    with open(number, "wb", closefd=False) as file:
        for part in parts:
            file.write(part)
    return number
