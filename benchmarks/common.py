"""What all benchmarks share: options, clocks, peak memory, the machine's description, and where results go."""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uhrmat.metrics.plots import can_plot

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_PACKAGES = ("torch", "numpy", "opencv-python-headless", "pymatting", "numba", "spconv", "spconv-cu118")
_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def parser(doc: str | None) -> argparse.ArgumentParser:
    """A parser with the options that every benchmark has."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    result.add_argument("--quick", action="store_true", help="tiny sizes: does it run? Its figures mean nothing")
    result.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    result.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON and the PNG")
    return result


def header(threads: int, quick: bool) -> dict[str, object]:
    """Machine, versions, commit and date: the first fields of every result."""
    return {
        "machine": machine(threads),
        "versions": versions(),
        "commit": commit(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": quick,
    }


def machine(threads: int) -> dict[str, object]:
    """Processor, cores, the threads in use, the load at this moment, its vector units, and the GPU if there is one."""
    lines = _lines("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    result: dict[str, object] = {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "load": os.getloadavg()[0],
        "flags": [flag for flag in _FLAGS if flag in flags],
    }
    if torch.cuda.is_available():
        of = torch.cuda.get_device_properties(0)
        result |= {"gpu": of.name, "gpu_memory": of.total_memory, "cuda": torch.version.cuda}
    return result


def versions() -> dict[str, str]:
    """Of Python and of the packages that figures depend on; those that are missing are left out."""
    result = {"python": platform.python_version()}
    for name in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            result[name] = metadata.version(name)
    return result


def commit() -> str:
    """The commit that is checked out, or what UHRMAT_COMMIT says where the code came without its repository."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT)
    except FileNotFoundError:
        return os.environ.get("UHRMAT_COMMIT", "unknown")
    return done.stdout.strip() or os.environ.get("UHRMAT_COMMIT", "unknown")


def write(folder: Path, name: str, document: dict[str, Any]) -> Path:
    """`document` as <folder>/<name>.json; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def best(work: Callable[[], object], repeats: int, warm_up: bool = True) -> dict[str, float]:
    """Minima in milliseconds, of the clock and of processor time: the second changes less on a busy machine."""
    if warm_up:
        work()
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall_ms": round(min(wall) * 1e3, 2), "cpu_ms": round(min(cpu) * 1e3, 2)}


def median_ms(work: Callable[[], object], device: torch.device, repeats: int, warm_up: int = 3) -> float:
    """Median milliseconds: by CUDA's events on a GPU, by the clock elsewhere."""
    for _ in range(warm_up):
        work()
    return round(float(np.median([_once(work, device) for _ in range(repeats)])), 3)


def _once(work: Callable[[], object], device: torch.device) -> float:
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) * 1e3
    first, last = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize(device)
    first.record()
    work()
    last.record()
    torch.cuda.synchronize(device)
    return float(first.elapsed_time(last))


class Peak:
    """Peak memory of the work inside `with`. bytes: above what was held before; total: all that was held.

    Of the device on CUDA, of this process elsewhere (where Linux lets us reset its high-water mark; on other systems
    the mark is that of the whole run).
    """

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.bytes = self.total = 0

    def __enter__(self) -> Peak:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device)
        else:
            _return_free_memory()
            self._before = _status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        on_gpu = self.device.type == "cuda"
        self.total = torch.cuda.max_memory_allocated(self.device) if on_gpu else _high_water()
        self.bytes = max(0, self.total - self._before)


def _return_free_memory() -> None:
    """Gives freed memory back to the system and starts the high-water mark anew, on Linux."""
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _high_water() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _status(key: str) -> int:
    """Bytes of a line of /proc/self/status; 0 where there is none."""
    result = [line.split()[1] for line in _lines("/proc/self/status") if line.startswith(key + ":")]
    return int(result[0]) * 1024 if result else 0


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def why(error: BaseException) -> str:
    """One line for a cell that failed."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]


def plot_if_possible(draw: Callable[..., None], path: Path, *rest: Any) -> None:
    """Draw `path` by a function of `uhrmat.metrics.plots`; without matplotlib say that it is left out.

    A benchmark's figures are in its JSON, so that machines without matplotlib can measure too.
    """
    if can_plot():
        draw(path, *rest)
    else:
        print(f"{path.name} is left out: matplotlib is not installed")
