"""Single steps of which safe writing is made: on the disk before the next step, and never over a file by accident."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL, errno.EACCES}
"""What a file system answers that has no hard links, or none for this file."""
_NO_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM}
"""What it answers where a folder cannot be flushed (Windows opens none)."""
_NO_LOCKS = {errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
"""What it answers where a folder cannot be locked."""


def sync_file(path: Path) -> None:
    """Returns when the file's bytes are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Returns when the folder's names are on the disk, where its file system can do that. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno in _NO_SYNC:
            return
        raise
    try:
        _flush(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def _flush(descriptor: int) -> None:
    """On macOS fsync leaves the bytes in the drive's cache; F_FULLFSYNC does not."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        return
    os.fsync(descriptor)


def move_without_replacing(source: Path, target: Path) -> None:
    """Gives a file another name on its disk, if nothing has that name. Raises FileExistsError, OSError.

    A link is refused where the name is taken, in one step. Without hard links (FAT, some network folders) the question
    comes before the move, which leaves an instant between the two.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.rename(source, target)  # which on Windows refuses a name that is taken, too
        return
    os.unlink(source)


def link_or_copy(source: Path, copy: Path) -> None:
    """A second name for a file that stays where it is: a hard link, or else a copy that is on the disk."""
    if not source.is_symlink():
        try:
            return os.link(source, copy)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
    shutil.copy2(source, copy, follow_symlinks=False)
    if not copy.is_symlink():
        sync_file(copy)


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds the kernel's lock on the folder itself, where there is one, so that two sets of files that are put in
    place at the same time do not mix. Held for an instant, so others wait."""
    with contextlib.ExitStack() as stack:
        if fcntl is not None:
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
        yield
