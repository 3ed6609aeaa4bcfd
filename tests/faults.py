"""Faults on purpose: the n-th step on the disk fails, or everything from it on, or the process is "killed" there.

Counted are the steps of Python code below a folder: opening, writing, flushing, linking, moving and removing files,
making and removing folders. As SQLite's tests do it: the same work is done again and again, with n from 1 on, until it
needs fewer steps than n. Native encoders write past this; `small_files` is for them.
"""

from __future__ import annotations

import builtins
import errno
import io
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

Mode = Literal["once", "from then on", "kill"]
MODES: tuple[Mode, ...] = ("once", "from then on", "kill")
_NAMED = ("open", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "utime", "remove")
_WRITING = set("wax+")


class Killed(BaseException):
    """Nothing is caught by it: no cleaning up, and no later step reaches the disk."""


class Faults:
    """Counts steps below `root`; the `number`-th one fails. `steps`: how many there were."""

    def __init__(self, root: Path, number: int, mode: Mode) -> None:
        self.root, self.number, self.mode = str(root), number, mode
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.number or (self.steps > self.number and self.mode != "once"):
            raise Killed if self.mode == "kill" else OSError(errno.EIO, os.strerror(errno.EIO))

    def concerns(self, path: Any) -> bool:
        return isinstance(path, (str, os.PathLike)) and os.path.abspath(path).startswith(self.root)


class _Raw(io.FileIO):
    faults: Faults

    def write(self, data: Any) -> int:
        self.faults.step()
        return super().write(data)


@contextmanager
def failing(root: Path, number: int, mode: Mode) -> Iterator[Faults]:
    """Within the block the `number`-th step fails."""
    faults, real = Faults(root, number, mode), {name: getattr(os, name) for name in (*_NAMED, "fsync")}
    opened = builtins.open

    def named(name: str) -> Callable[..., Any]:
        def call(path: Any, *rest: Any, **more: Any) -> Any:
            if faults.concerns(path):
                faults.step()
            return real[name](path, *rest, **more)

        return call

    def flush(descriptor: Any) -> None:
        faults.step()  # and no more: nobody pulls the plug, and a disk is slow

    def open_file(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **more: Any) -> Any:
        if not (faults.concerns(file) and _WRITING & set(mode)):
            return opened(file, mode, buffering, *rest, **more)
        faults.step()
        raw = _Raw(file, mode.replace("b", "").replace("t", ""))
        raw.faults = faults
        binary = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return binary if "b" in mode else io.TextIOWrapper(binary, *rest, **more)

    try:
        for name in _NAMED:
            setattr(os, name, named(name))
        os.fsync = flush  # type: ignore[assignment]
        builtins.open = io.open = open_file  # type: ignore[assignment]
        yield faults
    finally:
        builtins.open = io.open = opened
        for name, function in real.items():
            setattr(os, name, function)


@contextmanager
def small_files(most: int) -> Iterator[None]:
    """Within the block no file of this process grows beyond `most` bytes, whoever writes it: a disk that is full."""
    import resource
    import signal

    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def every_step(
    work: Callable[[Path], Any], root: Path, mode: Mode, prepare: Callable[[Path], Any]
) -> Iterator[tuple[Path, bool]]:
    """Does the work once for each of its steps, which fails, and once more. Yields the folder, one of its own each time
    and made ready by `prepare`, and whether the work ended well. Whatever it raised is dropped with all it holds, as
    the kernel drops the locks of a process that was killed."""
    for number in itertools.count(1):
        folder = root / f"{number:04d}"
        folder.mkdir()
        prepare(folder)
        good = False
        with failing(folder, number, mode) as faults, suppress(Exception, Killed):
            work(folder)
            good = True
        yield folder, good
        if faults.steps < number:
            assert good, "fails without a fault"
            return
