"""File names for C++ libraries, which fail or crash on names that are not UTF-8 (on Windows: not ASCII)."""

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
    """The path as text if every library accepts it, else None."""
    if os.name == "nt":
        return str(path) if str(path).isascii() else None
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return None
    return str(path)


@contextmanager
def readable_name(path: Path, parts: Parts | None = None) -> Iterator[str | None]:
    """Yield a name under which a library can open the file; None where there is none.

    On Linux the name is that of an open descriptor in /proc.

    Args:
        path: The file.
        parts: What the named file holds instead, in pieces; only Linux has such files in memory.
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
    """Yield a name under which a library can write the file, which is created; its own where there is no other."""
    if safe_name(path) is not None or not _OPEN_FILES.is_dir():
        yield str(path)
        return
    with open(path, "wb") as file:
        yield str(_OPEN_FILES / str(file.fileno()))


def _memory_file(parts: Parts) -> int:
    """The descriptor of an anonymous file in memory that holds `parts`."""
    assert sys.platform == "linux"
    number = os.memfd_create("picture")
    with open(number, "wb", closefd=False) as file:
        for part in parts:
            file.write(part)
    return number
