"""Start-up and exit shortcuts: about a second and a half of a command that takes seven.

Each shortcut leaves something out that a command does not need, and falls back to the plain way by itself where it is
needed after all: a module that was left out is loaded when one of its names is first used.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_SWITCH_INTERVAL = 0.0005
"""Seconds after which a thread that waits for the interpreter gets it while another one imports; Python's own default
is 0.005. Not tuned: a tenth of it, so that threads which decode and compute go on meanwhile."""
_COMPILER_ONLY = "torch._meta_registrations"
"""A private module of torch, a quarter of its import: shapes without values, for torch.compile, torch.export and the
meta device. Nothing that only runs networks calls it."""
_THREADS = {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
"""Variables for the libraries' threads: those of OpenMP sleep while they wait; OpenBLAS, numpy's, has one."""
_exits_quickly = False


def let_threads_sleep() -> None:
    """Let no thread of a library wait in a loop; call it before numpy and torch are imported.

    By default threads of OpenMP (torch's) and OpenBLAS (numpy's) do, also for threads that another process keeps from
    running: of decoder, prior, refiner and encoder side by side, the waiting then takes more time than the work. Those
    of OpenBLAS cannot sleep instead, and uhrmat's matrices for numpy are small, so that it gets one thread. What the
    user has set in the environment stays.
    """
    for name, value in _THREADS.items():
        os.environ.setdefault(name, value)


class _DeferredModule(ModuleType):
    """A stand-in for a module, which is loaded when one of its names is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


class _UninitialisedPackage(ModuleType):
    """A package whose `__init__` has not run: it runs when a name is used that is no submodule."""

    def __getattr__(self, name: str) -> Any:
        spec: ModuleSpec | None = self.__dict__.get("__spec__")
        if name.startswith("__") or spec is None or spec.loader is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if importlib.util.find_spec(f"{self.__name__}.{name}") is not None:
            return importlib.import_module(f"{self.__name__}.{name}")
        self.__class__ = ModuleType  # type: ignore[assignment]  # once only
        spec.loader.exec_module(self)
        return getattr(self, name)


@contextmanager
def fast_import(lean: bool = False) -> Iterator[None]:
    """Speed up the import of a large package within the block.

    What an import makes is never garbage, so the collector is switched off meanwhile and does not look at it later.
    Threads that work meanwhile get the interpreter more often.

    Args:
        lean: What is imported only runs networks: in a process that ends with its command (`run_and_exit`), what torch
            loads for its compiler alone is left out until it is used.
    """
    if lean and _exits_quickly and "torch" not in sys.modules and _exists(_COMPILER_ONLY):
        sys.modules[_COMPILER_ONLY] = _DeferredModule(_COMPILER_ONLY)
    interval, collecting = sys.getswitchinterval(), gc.isenabled()
    gc.disable()
    sys.setswitchinterval(_SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        gc.freeze()
        if collecting:
            gc.enable()


def _exists(module: str) -> bool:
    """Whether a module of a package is installed, without importing the package."""
    package, _, name = module.rpartition(".")
    spec = importlib.util.find_spec(package)
    return spec is not None and any(
        (Path(folder) / f"{name}.py").exists() for folder in spec.submodule_search_locations or ()
    )


def import_without_init(*packages: str) -> None:
    """Import packages without running their `__init__`, so that one of their submodules can be imported alone.

    A name that is used of such a package and is no submodule runs its `__init__` after all. For a process of our own.

    Args:
        packages: Names, outer packages before inner ones. One that is imported already is left as it is.

    Raises:
        ImportError: One is not installed.
    """
    for name in packages:
        if name in sys.modules:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ImportError(f"{name} is not installed")
        module = importlib.util.module_from_spec(spec)
        if type(module) is ModuleType:
            module.__class__ = _UninitialisedPackage
        sys.modules[name] = module


def run_and_exit(command: Callable[[], object]) -> None:
    """Run `command`, then end the process with its exit code, without the interpreter's own teardown.

    Threads are waited for and exit handlers run as usual. Taking all modules apart would take half a second with torch
    loaded.
    """
    from uhrmat.core.signals import INTERRUPTED, exit_after_grace
    from uhrmat.core.streams import exit_code

    global _exits_quickly
    _exits_quickly = True
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
