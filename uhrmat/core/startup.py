"""Starting and ending without what Python spends on itself: a second and a half of a command that takes seven."""

from __future__ import annotations

import atexit
import gc
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

_TURN = 0.0005
"""Seconds until a thread that wants the interpreter gets it (Python's own: 0.005), while another one imports."""


_COMPILER_ONLY = "torch._meta_registrations"
"""A quarter of torch's import: shapes without values, for torch.compile, torch.export and the meta device."""
_leaving = False


@contextmanager
def fast_import(lean: bool = False) -> Iterator[None]:
    """For the import of a large package. Nothing that it makes is garbage: the collector does not look for it, then or
    later; and threads that work meanwhile get their turns in short intervals. lean: what imports only runs networks;
    in a process that ends with its command (`run_and_exit`), what torch loads for its compiler is left out."""
    if lean and _leaving and "torch" not in sys.modules:
        sys.modules[_COMPILER_ONLY] = ModuleType(_COMPILER_ONLY)
    turn, collecting = sys.getswitchinterval(), gc.isenabled()
    gc.disable()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        gc.freeze()
        if collecting:
            gc.enable()


def import_without_init(*packages: str) -> None:
    """Packages without what they import at their top: a part of them loads alone when it is asked for. For a process of
    our own that asks for few parts; the outer package first. Raises ImportError where one is not installed."""
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ImportError(f"{name} is not installed")
        sys.modules[name] = importlib.util.module_from_spec(spec)


def run_and_exit(command: Callable[[], object]) -> None:
    """Runs `command` and ends the process with its exit code once threads and exit handlers are done, without taking
    every module apart: with torch loaded that alone is half a second."""
    from uhrmat.core.signals import INTERRUPTED, exit_after_grace
    from uhrmat.core.streams import exit_code

    global _leaving
    _leaving = True
    code = 1

    def leave() -> None:
        os._exit(exit_code(code))

    atexit.register(leave)  # the first one registered is the last one called
    try:
        command()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code == INTERRUPTED:
            exit_after_grace()
        raise
