"""Without what only POSIX has: every module loads, and the commands that load no network run.

A process in which the modules and functions are gone that Windows lacks, and `sys.platform` and `os.name` say so once
the libraries are there. Paths, drives, and the libraries' own builds for Windows are not tried by this.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uhrmat.core import memory

BEFORE = """
import importlib, os, pkgutil, signal, sys
import av, cv2, huggingface_hub.constants, huggingface_hub.utils._fixes, numba, numpy, OpenEXR, PIL.Image, pymatting
import filelock._soft, filelock._unix, rich.progress, safetensors.torch, tifffile, torch, typer
import starlette.applications, starlette.concurrency, uvicorn
import scipy.ndimage, scipy.sparse.linalg, scipy.spatial
import asyncio, concurrent.futures, getpass, http.server, multiprocessing.util, platform, shutil, subprocess, tempfile
for name in "resource fcntl pwd grp termios tty pty syslog readline".split():
    sys.modules[name] = None
for name in (
    "fork forkpty killpg setsid getpgid getuid geteuid getgid sched_getaffinity sysconf nice getloadavg uname "
    "mkfifo fchmod chown pread pwrite posix_fallocate wait3 wait4 register_at_fork O_DIRECTORY O_NOFOLLOW"
).split():
    hasattr(os, name) and delattr(os, name)
for name in "SIGKILL SIGHUP SIGUSR1 SIGALRM SIGCHLD SIGPIPE SIGQUIT SIGTSTP alarm setitimer pthread_kill".split():
    hasattr(signal, name) and delattr(signal, name)
sys.platform = "win32"
"""
EVERY = """
import uhrmat
names = [module.name for module in pkgutil.walk_packages(uhrmat.__path__, "uhrmat.") if "__main__" not in module.name]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
RUN = """
from uhrmat.cli.app import app
try:
    app(sys.argv[1:])
except SystemExit as end:
    sys.stdout.flush()
    os._exit(end.code or 0)
"""


def _on_windows(code: str, *words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + code, *words], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_module_loads() -> None:
    assert int(_on_windows(EVERY)) > 150


@pytest.fixture
def shoot(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    ramp = np.tile(np.linspace(0, 255, 32).astype(np.uint8), (24, 1))
    (tmp_path / "in").mkdir()
    (tmp_path / "masks").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    Image.fromarray(ramp).save(tmp_path / "masks" / "a.png")
    return tmp_path


LIGHT = ("--prior", "mask", "--refiner", "bilinear", "--device", "cpu", "--threads", "1", "--outputs", "alpha")


@pytest.mark.parametrize(
    "words",
    [
        ("image", "in/a.png", "--mask", "masks/a.png", "-o", "out", "--max-memory", "4GB", *LIGHT),
        ("batch", "in", "--masks", "masks", "-o", "out", "--jobs", "0", *LIGHT),
        ("evaluate", "masks/a.png", "masks/a.png"),
        ("models", "list"),
        ("doctor", "--json"),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else words,
)
def test_commands_run(shoot: Path, words: tuple[str, ...]) -> None:
    assert _on_windows(RUN, *words, cwd=shoot)
    assert words[0] not in ("image", "batch") or list((shoot / "out").rglob("a_alpha.png"))


def test_what_windows_tells_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def status(reference: Any) -> int:
        assert reference._obj.length == 64
        reference._obj.available = 5 << 30
        return 1

    def process(handle: Any, reference: Any, size: Any) -> int:
        assert size.value == ctypes.sizeof(reference._obj) and handle.value == ctypes.c_void_p(-1).value
        reference._obj.peak, reference._obj.held = 7 << 20, 3 << 20
        return 1

    libraries = types.SimpleNamespace(
        kernel32=types.SimpleNamespace(GlobalMemoryStatusEx=status),
        psapi=types.SimpleNamespace(GetProcessMemoryInfo=process),
    )
    monkeypatch.setattr(ctypes, "windll", libraries, raising=False)
    monkeypatch.setattr(memory, "_proc_bytes", lambda file, key: 0)
    monkeypatch.setattr(memory, "_prior_processes", lambda: [])
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr("os.sysconf", raising=False)
    assert memory.available_memory() == 5 << 30
    assert memory.resident_memory() == 3 << 20 and memory.peak_resident_memory() == 7 << 20
    monkeypatch.delattr(ctypes, "windll")
    assert memory.available_memory() == 2 << 30 and memory.peak_resident_memory() == 0
