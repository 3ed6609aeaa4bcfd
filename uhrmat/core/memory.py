"""Memory: how much this process holds and may take, and what two libraries keep without need (oneDNN its kernels,
glibc what was freed). Imports no torch."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

_KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128"
TRIM_EVERY = 5
"""Frames of a clip."""


def limit_kernel_cache() -> None:
    """Keeps oneDNN, which makes a kernel for each shape and keeps 1 024, to 128: each frame has active sets of other
    sizes. To be called before the first convolution; what the user has set counts."""
    os.environ.setdefault(*_KERNELS)


def trim_heap() -> None:
    """Hands freed memory back to the system where glibc would hold it, in pieces, for each thread."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)


def resident_memory() -> int:
    """Bytes that this process holds now; where the system does not tell, the most it has held."""
    return _proc_bytes("self/status", "VmRSS") or int(_windows_process().held) or _peak_of_process()


def prior_process_memory() -> int:
    """Bytes that the prior's processes hold now, without the libraries that they share with this one; 0 where the
    system does not tell."""
    return sum(_proc_bytes(f"{pid}/status", "RssAnon") for pid in _prior_processes())


def peak_resident_memory() -> int:
    """Bytes: the most that this process has held, plus the most that the prior's process has, which lives beside it.
    The two peaks need not fall together: the sum is never too small."""
    # Not ru_maxrss where there is better: it begins with what the process held that started this one.
    own = _proc_bytes("self/status", "VmHWM") or _peak_of_process()
    return own + sum(_proc_bytes(f"{pid}/status", "VmHWM") for pid in _prior_processes())


def _peak_of_process() -> int:
    if sys.platform == "win32":
        return int(_windows_process().peak)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def available_memory() -> int:
    """Bytes that new work may take without swapping; half of the machine's where the system does not tell."""
    found = _proc_bytes("meminfo", "MemAvailable")
    if found or not hasattr(os, "sysconf"):
        return found or _windows_available()
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


class _MemoryStatus(ctypes.Structure):
    """Windows' MEMORYSTATUSEX."""

    _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32)] + [
        (name, ctypes.c_uint64)
        for name in ("total", "available", "page_total", "page_free", "virtual_total", "virtual_free", "extended")
    ]  # fmt: skip


class _ProcessMemory(ctypes.Structure):
    """Windows' PROCESS_MEMORY_COUNTERS."""

    _fields_ = [
        ("size", ctypes.c_uint32), ("faults", ctypes.c_uint32), ("peak", ctypes.c_size_t), ("held", ctypes.c_size_t),
        *((f"pool{number}", ctypes.c_size_t) for number in range(6)),
    ]  # fmt: skip


def _windows_available() -> int:
    """Bytes of physical memory that are free on Windows; 2 GiB where it does not tell."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    libraries: Any = getattr(ctypes, "windll", None)
    told = libraries is not None and libraries.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.available) if told else 2 << 30


def _windows_process() -> _ProcessMemory:
    """What this process holds on Windows; zeros where it does not tell."""
    found = _ProcessMemory(size=ctypes.sizeof(_ProcessMemory))
    libraries: Any = getattr(ctypes, "windll", None)
    if libraries is not None:
        this = ctypes.c_void_p(-1)
        libraries.psapi.GetProcessMemoryInfo(this, ctypes.byref(found), ctypes.c_uint32(found.size))
    return found


def has_nvidia() -> bool:
    """Whether an NVIDIA GPU is there, by its driver: what can be known before torch is loaded."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _proc_bytes(file: str, key: str) -> int:
    """A size from a file of Linux's /proc, 0 where there is none."""
    try:
        lines = (Path("/proc") / file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:")), 0)


def _prior_processes() -> list[str]:
    """Process ids of this process's `uhrmat.prior.worker`s."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()) and b"uhrmat.prior.worker" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
        except OSError:
            continue
    return found


allowed_memory: ContextVar[int | None] = ContextVar("memory that decoding must stay within", default=None)


@contextmanager
def memory_limit(max_bytes: int | None, device: str = "cpu") -> Iterator[None]:
    """Within the block, pictures are decoded only where the whole process stays within `max_bytes` of memory.

    None changes nothing: then what an outer block says counts, and without one the memory that is free. So does a CUDA
    `device` ("auto": where there is one), because there `max_bytes` are of the device. A thread that is started within
    the block must be given its context (`contextvars.copy_context`).
    """
    token = allowed_memory.set(allowed_memory.get())
    try:
        set_memory_limit(max_bytes, device)
        yield
    finally:
        allowed_memory.reset(token)


def set_memory_limit(max_bytes: int | None, device: str = "cpu") -> None:
    """As `memory_limit`, until the block of that ends in which this is called."""
    if max_bytes is not None and not device.startswith("cuda") and not (device == "auto" and has_nvidia()):
        allowed_memory.set(max_bytes)
