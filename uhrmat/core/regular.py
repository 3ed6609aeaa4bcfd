"""Checks that paths name regular files, before they are opened.

A pipe or a device may block its reader for ever, and cannot be read twice.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from uhrmat.core.errors import InputError, OutputError, UhrmatError

STANDARD_INPUT = "-"


def special_kind(path: str | os.PathLike[str]) -> str | None:
    """The kind of a path, links followed, that is neither a file nor a folder; None for all others.

    Returns:
        "a pipe", "a device", "a socket", or "standard input" for `-` where no file has that name.
    """
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return "standard input" if os.fspath(path) == STANDARD_INPUT else None
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return "a device"
    return "a socket" if stat.S_ISSOCK(mode) else None


def need_regular(path: str | os.PathLike[str], error: type[UhrmatError] = InputError) -> None:
    """Raise `error` for a pipe, a device, a socket, or `-` for standard input; a missing file passes."""
    kind = special_kind(path)
    if kind is not None:
        raise error(f"'{os.fspath(path)}' is {kind}, and only files are read.", "Save it as a file, and name that.")


def need_place(path: str | os.PathLike[str]) -> None:
    """Raise OutputError where an output path is a pipe, a device, a socket, or `-`."""
    kind = special_kind(path)
    if kind is not None:
        kind = "standard output" if kind == "standard input" else kind
        raise OutputError(f"'{os.fspath(path)}' is {kind}, not a file or folder to write to.", "Name one with -o.")


def check_name(path: Path) -> None:
    """Raise OutputError where a name in a path is too long for its disk.

    Names count in bytes: 255 on most disks, fewer on encrypted ones.
    """
    nearest = path.absolute()
    missing: list[str] = []
    while nearest != nearest.parent and not os.path.exists(nearest):
        missing.append(nearest.name)
        nearest = nearest.parent
    limit = os.pathconf(nearest, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    for name in missing:
        size = len(os.fsencode(name))
        if size > limit:
            raise OutputError(
                f"The name '{name[:24]}…{name[-24:]}' has {size} bytes, and this disk allows {limit}.",
                "Rename the photograph, or name a shorter file with -o.",
            )
