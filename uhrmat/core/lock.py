"""File locks that work across processes, containers and machines.

The lock itself is the kernel's (`filelock`: flock, on Windows LockFileEx): it ends with its process, however that ends
and in whatever container it runs. Beside it an owner file names the holder (host, machine, process) and is touched
every few seconds. Whoever gets the kernel's lock while the owner file names the same machine knows that this owner is
dead. For an owner on another machine that is not certain (on some network folders only the machine that holds a lock
sees it), nor for any owner on a file system without locks: they count as dead when nobody has touched the owner file
for STALE seconds. Ages are measured by the file system's own clock, so that machines need not agree on the time.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.durable import move_without_replacing
from uhrmat.core.errors import OutputError

if TYPE_CHECKING:
    from filelock import FileLock  # its import takes 40 ms, and most commands lock nothing

STALE = 300.0
"""Seconds after which a lock of another machine whose owner file was not touched is ignored: 30 missed touches. Long,
because its process may only have been paused."""
_TOUCH_INTERVAL = 10.0
"""Seconds between two touches of an owner file."""
_KERNEL_TIMEOUT = 0.2
"""Seconds to wait for the kernel's lock: another process may hold it for an instant to look, see `find_holder`."""
_POLL_INTERVAL = _KERNEL_TIMEOUT / 8
_ATTEMPTS = 3
"""How often a dead owner's file is replaced before another process, which was quicker each time, gets the lock."""

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
"""Error numbers of a file system without locks."""


class LockHeld(Exception):
    """Another process holds the lock.

    Attributes:
        owner: The contents of the owner file: host, machine, pid and token; empty where it cannot be read.
        file: The owner file where it alone says that the lock is held; None where the kernel does.
    """

    def __init__(self, owner: dict[str, Any], file: Path | None = None) -> None:
        self.owner, self.file = owner, file
        super().__init__(f"process {owner.get('pid', '?')} on {owner.get('host', '?')}")


class Lock:
    """A lock: the kernel's on the file `path`, with the owner file `<path>.json`. The folder must exist."""

    def __init__(self, path: Path) -> None:
        self.path, self.owner_file = path, path.with_name(f"{path.name}.json")
        self._kernel: FileLock | None = None
        self._owner: dict[str, Any] | None = None

    def acquire(self) -> None:
        """Take the lock. Raises LockHeld, OSError."""
        kernel = _kernel_lock(self.path)
        if kernel is False:
            raise LockHeld(read_owner(self.owner_file))
        self._kernel = kernel
        try:
            self._owner = _write_owner(self.owner_file, self._kernel is not None)
        except BaseException:
            self._release_kernel()
            raise
        _HEARTBEAT.add(self.owner_file)

    def release(self) -> None:
        """Release the lock and remove its files."""
        _HEARTBEAT.remove(self.owner_file)
        if self._owner is not None and read_owner(self.owner_file) == self._owner:
            self.owner_file.unlink(missing_ok=True)
        self._owner = None
        self._release_kernel()

    def _release_kernel(self) -> None:
        """Release the kernel's lock, having removed its file: a process that waits for it makes a new one."""
        if self._kernel is None:
            return
        with suppress(OSError):  # Windows removes no file that is open
            self.path.unlink()
        with suppress(OSError):
            self._kernel.release()
        self._kernel = None


@contextmanager
def hold_lock(path: Path, place: Path | str) -> Iterator[None]:
    """Hold a lock within the block.

    Args:
        path: The lock file; its folder is made.
        place: What is locked, for the error.

    Raises:
        OutputError: Another process holds it, which the error names, or nothing can be written there.
    """
    lock = Lock(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except LockHeld as held:
        raise lock_error(held, place) from None
    except OSError as error:
        text = f"The folder {path.parent} cannot be written to ({error.strerror or error})."
        raise OutputError(text, "Choose another one with -o.") from error
    try:
        yield
    finally:
        lock.release()


def lock_error(held: LockHeld, place: Path | str) -> OutputError:
    """The error for a lock of `place` that another process holds."""
    cure = "Wait for it, or choose another folder with -o."
    if held.file is not None:
        cure = f"Wait for it, choose another folder with -o, or remove {held.file} if you are sure that it has ended."
    return OutputError(f"Another run is at work in {place}: {held}.", cure)


def find_holder(path: Path) -> LockHeld | None:
    """Who holds the lock `path`, without taking it; None if nobody does. Raises OSError."""
    lock = Lock(path)
    kernel = _kernel_lock(path) if path.exists() else None
    if kernel is False:
        return LockHeld(read_owner(lock.owner_file))
    try:
        owner = read_owner(lock.owner_file)
        if not lock.owner_file.exists() or _is_dead(lock.owner_file, owner, kernel is not None):
            return None
        return LockHeld(owner, lock.owner_file)
    finally:
        if kernel is not None:
            kernel.release()


def read_owner(path: Path) -> dict[str, Any]:
    """The contents of an owner file; empty where it is missing or no JSON object."""
    try:
        owner = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _kernel_lock(path: Path) -> Any:
    """The kernel's lock on the file; False where another process holds it, None where the file system has none."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(path), timeout=_KERNEL_TIMEOUT, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(poll_interval=_POLL_INTERVAL)
    except Timeout:
        return False
    except NotImplementedError:
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return None
    return lock


def _write_owner(path: Path, kernel: bool) -> dict[str, Any]:
    """Write the owner file, replacing a dead owner's. Raises LockHeld, OSError."""
    owner = {"host": socket.gethostname(), "machine": _machine(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    part = path.with_name(f"{path.name}.{owner['token']}")
    try:
        part.write_text(json.dumps(owner), "utf-8")
        for _ in range(_ATTEMPTS):
            try:
                move_without_replacing(part, path)
                return owner
            except FileExistsError:
                other = read_owner(path)
                if not _is_dead(path, other, kernel):
                    raise LockHeld(other, path) from None
                _remove_dead(path, other)
        raise LockHeld(read_owner(path), path)
    finally:
        part.unlink(missing_ok=True)


def _remove_dead(path: Path, dead: dict[str, Any]) -> None:
    """Remove a dead owner's file; one that another process has put there meanwhile is put back."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        os.replace(path, aside)
        if read_owner(aside) != dead:
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _is_dead(path: Path, owner: dict[str, Any], kernel: bool) -> bool:
    """Whether an owner is dead, by the rule of this module. kernel: this process has the kernel's lock."""
    if kernel and owner.get("machine") == _machine():
        return True
    probe = path.with_name(f"clock-{secrets.token_hex(4)}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime > STALE
    except FileNotFoundError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _machine() -> str:
    """An id of the running kernel, which all its containers share; the host's name where there is none."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


class _Heartbeat:
    """Touches the owner files of this process from one thread, as long as there are any."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._guard = threading.Lock()
        self._runs = False

    def add(self, path: Path) -> None:
        with self._guard:
            self._paths.add(path)
            if not self._runs:
                self._runs = True
                threading.Thread(target=self._run, name="uhrmat-locks", daemon=True).start()

    def remove(self, path: Path) -> None:
        with self._guard:
            self._paths.discard(path)

    def _run(self) -> None:
        while True:
            time.sleep(_TOUCH_INTERVAL)
            with self._guard:
                paths = list(self._paths)
                self._runs = bool(paths)
            if not paths:
                return
            for path in paths:
                with suppress(OSError):
                    os.utime(path)


_HEARTBEAT = _Heartbeat()
