"""Atomic files, and checks of output paths before any work begins."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from uhrmat.core.durable import move_without_replacing, sync_file, sync_folder
from uhrmat.core.errors import OutputError
from uhrmat.core.regular import need_place
from uhrmat.core.stage import final_path, is_staged, recover

PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def atomic_write(path: PathLike, *, overwrite: bool = True) -> Iterator[Path]:
    """Write a file that appears whole or not at all: yields a temporary path, which is renamed when the block ends.

    The temporary name keeps the extension, because encoders choose their format by it. In a stage, whose files have no
    final names yet, it is `path` itself (see `stage.all_or_none`). Any exception, Ctrl-C included, removes it.

    Args:
        path: The file to write.
        overwrite: Replace a file of that name.

    Raises:
        OutputError: The operating system refuses (full disk, no permission, no such folder), or without `overwrite`
            a file of that name exists when the block ends.
    """
    target = Path(path)
    need_place(target)
    if target.is_dir():
        raise OutputError(f"'{target}' is a folder, so no file of that name can be written.", "Give a file name.")
    staged = is_staged(target)
    name = f".{target.stem[:40]}.{secrets.token_hex(4)}.tmp{target.suffix}"
    temporary = target if staged else target.with_name(name)
    try:
        yield temporary
        if not staged:
            sync_file(temporary)
            (os.replace if overwrite else move_without_replacing)(temporary, target)
            sync_folder(target.parent)
    except FileExistsError as error:
        raise OutputError(
            f"'{target}' has appeared meanwhile.", "Replace it with --overwrite, or choose another name."
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Cannot write '{final_path(target)}': {reason}.", "Choose another folder, or free the disk."
        ) from error
    finally:
        if not staged:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def check_writable(folder: PathLike) -> int:
    """Check that files can be made in `folder`, or in the nearest existing folder above a missing one.

    An empty file is made and removed: permission bits say nothing to root or on a read-only disk. Before that, what a
    killed process left there is finished or removed.

    Returns:
        How many stages and temporary files were recovered, see `stage.recover`.

    Raises:
        OutputError: No file can be made.
    """
    target = Path(folder)
    need_place(target)
    nearest = target.absolute()
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    if not nearest.is_dir():
        raise OutputError(f"'{nearest}' is a file, not a folder to write to.", "Choose another output folder.")
    recovered = recover(nearest)
    trial = nearest / f".uhrmat.{secrets.token_hex(4)}.tmp"
    try:
        trial.touch(exist_ok=False)
        trial.unlink()
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Cannot write to the folder '{target}': {reason}.", "Choose another output folder."
        ) from error
    return recovered


def same_file(a: PathLike, b: PathLike) -> bool:
    """Whether both paths name one file, through links and `..` too; neither has to exist."""
    with contextlib.suppress(OSError):
        return os.path.samefile(a, b)
    return os.path.realpath(a) == os.path.realpath(b)
