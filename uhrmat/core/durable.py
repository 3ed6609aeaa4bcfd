"""Single steps of durable writing: flush to the disk, move without replacing, keep a copy, lock a folder."""

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
"""Error numbers of a file system that has no hard links, or none for this file."""
_NO_SYNC = {errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF, errno.EACCES, errno.EPERM}
"""Error numbers where a folder cannot be flushed (Windows cannot open one as a file)."""
_NO_LOCKS = {errno.EBADF, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
"""Error numbers where a folder cannot be locked."""


def sync_file(path: Path) -> None:
    """Flush a file's bytes to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        _flush(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Flush a folder's entries to the disk, where its file system can do that. Raises OSError."""
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
    """Flush a descriptor. On macOS fsync leaves the bytes in the drive's cache; F_FULLFSYNC does not."""
    with contextlib.suppress(AttributeError, OSError):
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
        return
    os.fsync(descriptor)


def move_without_replacing(source: Path, target: Path) -> None:
    """Rename a file on its disk, unless the new name exists already.

    Linking refuses an existing name in one step. Without hard links (FAT, some network folders) the name is checked
    before the move, so that another process could take it in between.

    Raises:
        FileExistsError: The target exists.
        OSError: The file cannot be moved.
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
    """Give a file a second name: a hard link, or else a copy that is flushed to the disk."""
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
    """Hold the kernel's lock on a folder within the block, where the file system has locks; others wait.

    It keeps two sets of files that are delivered at the same time from mixing.
    """
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
