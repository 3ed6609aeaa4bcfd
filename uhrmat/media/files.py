"""Files that appear whole or not at all, and the questions asked about paths before any work begins."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from uhrmat.errors import OutputError
from uhrmat.regular import need_place

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic(path: PathLike) -> Iterator[Path]:
    """Give a temporary path beside `path`; it replaces `path` when the block ends well and vanishes when it does not.

    The temporary name keeps the extension, because encoders choose their format by it. Any failure, Ctrl-C included,
    removes it. An operating system's refusal (full disk, no permission, no such folder) becomes `OutputError`.
    """
    target = Path(path)
    need_place(target)
    if target.is_dir():
        raise OutputError(f"'{target}' is a folder, so no file of that name can be written.", "Give a file name.")
    temporary = target.with_name(f".{target.stem[:80]}.{secrets.token_hex(4)}.tmp{target.suffix}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"Cannot write '{target}': {reason}.", "Choose another folder, or free the disk.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_writable(folder: PathLike) -> None:
    """Raise `OutputError` unless files can be made in `folder`, or in the nearest existing folder above a missing one.

    Tried by making and removing an empty file: permission bits say nothing to root or on a read-only disk.
    """
    asked = Path(folder)
    need_place(asked)
    nearest = asked.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"'{nearest}' is a file, not a folder to write to.", "Choose another output folder.")
    trial = nearest / f".uhrmat.{secrets.token_hex(4)}.tmp"
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Cannot write to the folder '{asked}': {reason}.", "Choose another output folder."
        ) from error


def same_file(a: PathLike, b: PathLike) -> bool:
    """Whether both paths name one file, through links and `..` too; neither has to exist."""
    with contextlib.suppress(OSError):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)
