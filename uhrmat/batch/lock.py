"""One run at a time in an output folder, or in one shard of it; and a rule for locks whose owner is gone.

A lock is a file that says who holds it (host, process, when the process began) and that is touched every few seconds.
It is stale when its process no longer runs on this host, or when, on another host, nobody touched it for STALE seconds.
Ages are taken on the file system's own clock, so that two machines need not agree on the time.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from uhrmat.batch.manifest import FOLDER
from uhrmat.errors import OutputError

STALE = 300.0
"""Seconds without a sign of life after which another host's lock counts no more; a paused machine is no dead one."""
_BEAT = 10.0
_NAME = re.compile(r"lock-(\d+)of(\d+)\.json")


def part_name(shard: tuple[int, int]) -> str:
    """`2of8`, for names of files."""
    return f"{shard[0]}of{shard[1]}"


@contextmanager
def locked(out: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Callable[[], bool]]:
    """Holds the lock of a shard of the output folder, which is made. Yields what says whether no other shard is held.

    Shards of one number go side by side; anything else is refused with OutputError that names who is at work.
    """
    folder = out / FOLDER
    mine = folder / f"lock-{part_name(shard)}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = _take(mine)
    except OSError as error:
        text = f"The folder {out} cannot be written to ({error.strerror or error})."
        raise OutputError(text, "Choose another one with -o.") from error
    over = threading.Event()
    beat = threading.Thread(target=_beat, args=(mine, over), daemon=True)
    try:
        _only(folder, mine, shard[1])
        beat.start()
        yield partial(_only, folder, mine, shard[1])
    finally:
        over.set()
        if _read(mine) == owner:
            mine.unlink(missing_ok=True)


def _take(path: Path) -> dict[str, Any]:
    """Makes the lock, in the place of a stale one if there is one."""
    owner = _owner()
    for _ in range(3):
        try:
            with path.open("x", encoding="utf-8") as file:
                json.dump(owner, file)
            return owner
        except FileExistsError:
            found = _read(path)
            if not is_stale(path, found):
                raise _held(path, found) from None
            _put_aside(path, found)
    raise _held(path, _read(path))


def _put_aside(path: Path, stale: dict[str, Any]) -> None:
    """Removes a stale lock. Should another run have been quicker, what it put there is given back."""
    aside = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with suppress(FileNotFoundError):
        os.replace(path, aside)
        if _read(aside) != stale:
            with suppress(OSError):
                os.link(aside, path)
        aside.unlink(missing_ok=True)


def _only(folder: Path, mine: Path, parts: int) -> bool:
    """Whether no other lock is held. Raises OutputError for one that cannot be held beside ours."""
    alone = True
    for path in sorted(folder.glob("lock-*.json")):
        match = _NAME.fullmatch(path.name)
        if path == mine or match is None or is_stale(path, found := _read(path)):
            continue
        if int(match[2]) != parts:
            raise _held(path, found)
        alone = False
    return alone


def is_stale(path: Path, owner: dict[str, Any]) -> bool:
    """The rule above. owner: what the lock says; a lock that says nothing sensible counts by its age."""
    if owner.get("host") == socket.gethostname() and isinstance(owner.get("pid"), int):
        return _began(owner["pid"]) != owner.get("began")
    probe = path.with_name(f"clock-{secrets.token_hex(4)}")
    try:
        probe.touch()
        return probe.stat().st_mtime - path.stat().st_mtime > STALE
    except FileNotFoundError:
        return True
    finally:
        probe.unlink(missing_ok=True)


def _owner() -> dict[str, Any]:
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "began": _began(pid), "token": secrets.token_hex(8)}


def _began(pid: int) -> str | None:
    """When a process began, in the system's own words, so that a number used again is told apart; None: it is gone."""
    with suppress(OSError, IndexError):
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if state[0] in "ZX" else state[19]
    if Path("/proc/self/stat").exists():
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return "running"


def _beat(path: Path, over: threading.Event) -> None:
    while not over.wait(_BEAT):
        with suppress(OSError):
            os.utime(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _held(path: Path, owner: dict[str, Any]) -> OutputError:
    who = f"process {owner.get('pid', '?')} on {owner.get('host', '?')}"
    return OutputError(
        f"Another run is at work in {path.parent.parent}: {who}.",
        f"Wait for it, choose another folder with -o, or remove {path} if you are sure that it is gone.",
    )
