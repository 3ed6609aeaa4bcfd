"""One process at a time: a lock file that the kernel holds, and a rule for machines that its lock does not reach.

The lock is the kernel's (`filelock`: flock, on Windows LockFileEx): it ends with its process, whatever ended it and in
whatever container it ran. Beside it a file says who holds it (host, machine, process) and is touched every few seconds.
Where the kernel's lock has been obtained, an owner that is named there for the same machine is dead. Of an owner on
another machine that is not certain (on some network folders a lock is only seen by the machine that holds it), nor of
any where the file system knows no locks: they count as dead when nobody touched the file for STALE seconds. Ages are
taken on the file system's own clock, so that two machines need not agree on the time.
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
    from filelock import FileLock

STALE = 300.0
"""Seconds without a sign of life after which another machine's lock counts no more; it may only have been paused."""
_BEAT = 10.0
_PATIENCE = 0.2
"""Seconds to wait for a lock that another process only looks at, see `find_holder`."""

_NO_LOCKS = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL}
"""What a file system answers that knows no locks."""


class LockHeld(Exception):
    """The lock is held. owner: what its file says of the holder, which may be nothing; file: that file where it alone
    says so, and None where the kernel does."""

    def __init__(self, owner: dict[str, Any], file: Path | None = None) -> None:
        self.owner, self.file = owner, file
        super().__init__(f"process {owner.get('pid', '?')} on {owner.get('host', '?')}")


class Lock:
    """A lock named by `path`: the kernel's on that file, the owner in `<path>.json`. The folder must exist."""

    def __init__(self, path: Path) -> None:
        self.path, self.owner_file = path, path.with_name(f"{path.name}.json")
        self._kernel: FileLock | None = None
        self._owner: dict[str, Any] | None = None

    def acquire(self) -> None:
        """Takes the lock. Raises LockHeld, OSError."""
        kernel = _kernel_lock(self.path)
        if kernel is False:
            raise LockHeld(read_owner(self.owner_file))
        self._kernel = kernel
        try:
            self._owner = _own(self.owner_file, self._kernel is not None)
        except BaseException:
            self._let_go()
            raise
        _BEATING.add(self.owner_file)

    def release(self) -> None:
        """Gives the lock back, and removes its files."""
        _BEATING.remove(self.owner_file)
        if self._owner is not None and read_owner(self.owner_file) == self._owner:
            self.owner_file.unlink(missing_ok=True)
        self._owner = None
        self._let_go()

    def _let_go(self) -> None:
        """Removed while it is held: who waits for the file finds it gone, and makes a new one."""
        if self._kernel is None:
            return
        with suppress(OSError):  # Windows removes no file that is open
            self.path.unlink()
        with suppress(OSError):
            self._kernel.release()
        self._kernel = None


@contextmanager
def hold_lock(path: Path, place: Path | str) -> Iterator[None]:
    """Holds the lock `path`, whose folder is made. place: what is locked, for the message.

    Raises OutputError that names who is at work, or says that nothing can be written there.
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
    """The error for a lock that is held."""
    cure = "Wait for it, or choose another folder with -o."
    if held.file is not None:
        cure = f"Wait for it, choose another folder with -o, or remove {held.file} if you are sure that it has ended."
    return OutputError(f"Another run is at work in {place}: {held}.", cure)


def find_holder(path: Path) -> LockHeld | None:
    """Who holds the lock `path`, or None. Raises OSError."""
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
    """What an owner's file says; nothing where it is missing or says nothing sensible."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _kernel_lock(path: Path) -> Any:
    """The kernel's lock on the file, False where another holds it, None where the file system has none."""
    from filelock import FileLock, Timeout

    lock = FileLock(str(path), timeout=_PATIENCE, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(poll_interval=_PATIENCE / 8)
    except Timeout:
        return False
    except NotImplementedError:
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return None
    return lock


def _own(path: Path, kernel: bool) -> dict[str, Any]:
    """Writes the owner's file, in the place of a dead owner's if there is one. Raises LockHeld, OSError."""
    owner = {"host": socket.gethostname(), "machine": _machine(), "pid": os.getpid(), "token": secrets.token_hex(8)}
    part = path.with_name(f"{path.name}.{owner['token']}")
    try:
        part.write_text(json.dumps(owner), "utf-8")
        for _ in range(3):
            try:
                move_without_replacing(part, path)
                return owner
            except FileExistsError:
                found = read_owner(path)
                if not _is_dead(path, found, kernel):
                    raise LockHeld(found, path) from None
                _put_aside(path, found)
        raise LockHeld(read_owner(path), path)
    finally:
        part.unlink(missing_ok=True)


def _put_aside(path: Path, dead: dict[str, Any]) -> None:
    """Removes a dead owner's file. Should another process have been quicker, what it put there is given back."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        os.replace(path, aside)
        if read_owner(aside) != dead:
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _is_dead(path: Path, owner: dict[str, Any], kernel: bool) -> bool:
    """The rule above. kernel: whether the kernel's lock is ours; owner: what the file says."""
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
    """One kernel, from its start to its end: all its containers share it. Where none is told, the host's name."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return socket.gethostname()


class _Beating:
    """Owner's files of this process, touched by one thread as long as there are any."""

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
            time.sleep(_BEAT)
            with self._guard:
                paths = list(self._paths)
                self._runs = bool(paths)
            if not paths:
                return
            for path in paths:
                with suppress(OSError):
                    os.utime(path)


_BEATING = _Beating()
