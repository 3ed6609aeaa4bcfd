"""Who holds a lock: told by the kernel on one machine, by the age of the owner's file for others."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import pytest

from uhrmat.core import lock
from uhrmat.core.errors import OutputError
from uhrmat.core.lock import STALE, Lock, find_holder, hold_lock

_HOLD = """
import sys, time
from pathlib import Path
from uhrmat.core.lock import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
time.sleep(3600)
"""
ELSEWHERE = {"host": "elsewhere", "machine": "another", "pid": 1}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "work" / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    path.parent.mkdir()
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def owned(path: Path, age: float = 0.0, **owner: Any) -> Path:
    """An owner's file, last touched `age` seconds ago."""
    path.parent.mkdir(exist_ok=True)
    file = path.with_name(f"{path.name}.json")
    file.write_text(json.dumps(owner))
    os.utime(file, (time.time() - age,) * 2)
    return file


def refused(path: Path) -> OutputError:
    with pytest.raises(OutputError, match="Another run is at work") as caught, hold_lock(path, "the folder"):
        pass
    return caught.value


def test_a_second_one_is_refused_and_nothing_stays(path: Path) -> None:
    with hold_lock(path, "the folder"):
        assert f"the folder: process {os.getpid()} on" in refused(path).message
        assert find_holder(path) is not None
    assert find_holder(path) is None and list(path.parent.iterdir()) == []
    with hold_lock(path, "the folder"):
        pass


def test_a_live_lock_of_another_container_is_held(path: Path, holder: subprocess.Popen[str]) -> None:
    """Its process number means nothing here, nor does the age of its file: the kernel knows."""
    owned(path, STALE + 30, host="container", machine=lock._machine(), pid=2**22 + 1)
    assert "process 4194305 on container" in refused(path).message
    assert find_holder(path) is not None


@pytest.mark.parametrize("owner", [{}, {"machine": "same"}, {"machine": "same", "host": "another container"}])
def test_a_lock_dies_with_its_process(path: Path, holder: subprocess.Popen[str], owner: dict[str, str]) -> None:
    if owner:
        owned(path, **{**owner, "machine": lock._machine(), "pid": os.getpid()})
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert find_holder(path) is None
    with hold_lock(path, "the folder"):
        assert json.loads(path.with_name("lock.json").read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("kernel", [True, False])
def test_of_another_machine_by_its_age(path: Path, kernel: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not kernel:
        monkeypatch.setattr(lock, "_kernel_lock", lambda path: None)
    file = owned(path, STALE / 2, **ELSEWHERE)
    error = refused(path)
    assert "process 1 on elsewhere" in error.message and str(file) in error.hint and file.exists()
    assert find_holder(path) is not None
    owned(path, STALE + 30, **ELSEWHERE)
    assert find_holder(path) is None
    with hold_lock(path, "the folder"):
        assert json.loads(file.read_text())["pid"] == os.getpid()
        refused(path)


def test_without_the_kernel_this_machine_counts_by_age_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_kernel_lock", lambda path: None)
    owned(path, machine=lock._machine(), host="here", pid=2**22 + 1)
    refused(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\0"])
def test_an_owner_that_says_nothing_is_young_or_dead(path: Path, text: str) -> None:
    file = owned(path)
    file.write_text(text)
    refused(path)
    os.utime(file, (time.time() - STALE - 30,) * 2)
    with hold_lock(path, "the folder"):
        pass


def test_an_owner_that_took_it_meanwhile_is_given_back(path: Path) -> None:
    file = owned(path, pid=7)
    lock._remove_dead(file, {"pid": 6})
    assert json.loads(file.read_text()) == {"pid": 7}
    lock._remove_dead(file, {"pid": 7})
    assert list(path.parent.iterdir()) == []


def test_a_file_system_without_locks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: int) -> None:
        def acquire(self: Any, **options: Any) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(filelock.FileLock, "acquire", acquire)

    refuse(errno.ENOSYS)
    with hold_lock(path, "the folder"):
        refused(path)
    refuse(errno.EROFS)
    with pytest.raises(OutputError, match=r"cannot be written to .*Read-only"), hold_lock(path, "the folder"):
        pass


def test_locks_are_touched_while_they_are_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_TOUCH_INTERVAL", 0.01)
    monkeypatch.setattr(lock, "_HEARTBEAT", lock._Heartbeat())
    path.parent.mkdir()
    held = Lock(path)
    held.acquire()
    os.utime(held.owner_file, (1, 1))
    until = time.monotonic() + 120
    while held.owner_file.stat().st_mtime < 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert held.owner_file.stat().st_mtime > 2
    held.release()
    assert list(path.parent.iterdir()) == []
