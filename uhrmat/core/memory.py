"""Memory: how much this process uses and may use, and limits on what oneDNN and glibc keep. Imports no torch."""

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

_KERNEL_CACHE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128"
"""The variable by which oneDNN limits its cache of compiled kernels, and their number; its own default is 1024."""
TRIM_EVERY = 5
"""Frames of a clip after which `trim_heap` is called."""


def limit_kernel_cache() -> None:
    """Limit oneDNN's cache of compiled kernels; call it before the first convolution.

    oneDNN compiles a kernel for each shape, and the active set of each frame has another size. A limit that the user
    has set in the environment stays.
    """
    os.environ.setdefault(*_KERNEL_CACHE)


def trim_heap() -> None:
    """Return freed memory to the system, which glibc would keep in pieces for each thread."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # musl has none
        trim(0)


def resident_memory() -> int:
    """Bytes of memory in use by this process now; the most so far where the system does not report that."""
    return _proc_bytes("self/status", "VmRSS") or int(_windows_process().held) or _peak_of_process()


def prior_process_memory() -> int:
    """Bytes in use by this process's prior workers now, without the libraries that they share with it.

    0 where the system does not report that.
    """
    return sum(_proc_bytes(f"{pid}/status", "RssAnon") for pid in _prior_processes())


def peak_resident_memory() -> int:
    """The most bytes that this process has used, plus the most that its prior worker has.

    The two peaks need not coincide, so the sum may be too large but never too small.
    """
    # Not ru_maxrss where there is better: it begins with the memory of the process that started this one.
    own = _proc_bytes("self/status", "VmHWM") or _peak_of_process()
    return own + sum(_proc_bytes(f"{pid}/status", "VmHWM") for pid in _prior_processes())


def _peak_of_process() -> int:
    if sys.platform == "win32":
        return int(_windows_process().peak)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def available_memory() -> int:
    """Bytes that new work may use without swapping; half of the machine's where the system does not report that."""
    available = _proc_bytes("meminfo", "MemAvailable")
    if available or not hasattr(os, "sysconf"):
        return available or _windows_available()
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
    """Bytes of physical memory that are free on Windows; 2 GiB where it does not report that."""
    status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
    libraries: Any = getattr(ctypes, "windll", None)
    known = libraries is not None and libraries.kernel32.GlobalMemoryStatusEx(ctypes.byref(status))
    return int(status.available) if known else 2 << 30


def _windows_process() -> _ProcessMemory:
    """Memory counters of this process on Windows; zeros elsewhere."""
    counters = _ProcessMemory(size=ctypes.sizeof(_ProcessMemory))
    libraries: Any = getattr(ctypes, "windll", None)
    if libraries is not None:
        this = ctypes.c_void_p(-1)
        libraries.psapi.GetProcessMemoryInfo(this, ctypes.byref(counters), ctypes.c_uint32(counters.size))
    return counters


def has_nvidia() -> bool:
    """Whether an NVIDIA driver is installed, which can be known before torch is loaded."""
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
    ids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()) and b"uhrmat.prior.worker" in (folder / "cmdline").read_bytes():
                ids.append(folder.name)
        except OSError:
            continue
    return ids


allowed_memory: ContextVar[int | None] = ContextVar("memory that decoding must stay within", default=None)
"""Bytes that the process may use, see `memory_limit`; None: what is free."""


@contextmanager
def memory_limit(max_bytes: int | None, device: str = "cpu") -> Iterator[None]:
    """Within the block, decode pictures only where the whole process stays within a limit.

    A thread that is started within the block must be given its context (`contextvars.copy_context`).

    Args:
        max_bytes: The limit. None changes nothing: the limit of an outer block holds, else the memory that is free.
        device: Where networks run. With CUDA ("auto": where there is an NVIDIA GPU) nothing changes either, because
            there `max_bytes` limits the device's memory.
    """
    token = allowed_memory.set(allowed_memory.get())
    try:
        set_memory_limit(max_bytes, device)
        yield
    finally:
        allowed_memory.reset(token)


def set_memory_limit(max_bytes: int | None, device: str = "cpu") -> None:
    """As `memory_limit`, until the end of the `memory_limit` block in which this is called."""
    if max_bytes is not None and not device.startswith("cuda") and not (device == "auto" and has_nvidia()):
        allowed_memory.set(max_bytes)
