"""Runs a command and measures all of it: seconds, processor time, and the memory of its whole process tree."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.common import ROOT

_STEP = 0.03
"""Seconds between two looks at the memory."""


@dataclass(frozen=True)
class Run:
    """wall_s, cpu_s: of the command and what it started; peak_bytes: the most resident in all its processes at once;
    output: standard output; error: None, or why it did not finish."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    output: str
    error: str | None


def watch(command: list[str], scratch: Path, max_seconds: float, max_bytes: int) -> Run:
    """Runs `command` in the repository and ends it when it takes more than it may. scratch: folder for its output.

    Pages that two processes share count twice. A process counts with the most that it has held since its start if
    that is more (Linux; elsewhere the command's own ru_maxrss, which begins with what this process holds).
    """
    out, err = scratch / "stdout.txt", scratch / "stderr.txt"
    with out.open("w") as stdout, err.open("w") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stdout, stderr=stderr, cwd=ROOT)
        peak, error = 0, None
        while (done := _finished(process.pid)) is None:
            peak = max(peak, tree_memory(process.pid), _most_held(process.pid))
            error = error or _over(time.perf_counter() - start, peak, max_seconds, max_bytes)
            if error:
                _end(process.pid)
            time.sleep(_STEP)
        wall = time.perf_counter() - start
    code, used = done
    process.returncode = code
    if code and error is None:
        tail = err.read_text(errors="replace").strip().splitlines()
        error = f"exit code {code}: {tail[-1] if tail else ''}"
    peak = peak or used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(round(wall, 2), round(used.ru_utime + used.ru_stime, 2), peak, out.read_text(), error)


def _finished(pid: int) -> tuple[int, resource.struct_rusage] | None:
    result, status, used = os.wait4(pid, os.WNOHANG)
    return (os.waitstatus_to_exitcode(status), used) if result else None


def _over(seconds: float, peak: int, max_seconds: float, max_bytes: int) -> str | None:
    if peak > max_bytes:
        return f"stopped: more than {max_bytes / 1e9:.1f} GB"
    return f"stopped after {max_seconds:.0f} s" if seconds > max_seconds else None


def _end(pid: int) -> None:
    for one in (*tree(pid)[1:], pid):
        try:
            os.kill(one, 9)
        except ProcessLookupError:
            continue


def tree_memory(pid: int) -> int:
    """Bytes resident in a process and all that it started; 0 where there is no /proc."""
    return sum(resident(one) for one in tree(pid))


def tree(pid: int) -> list[int]:
    """A process and all that it started, itself first."""
    result = [pid]
    for one in result:
        try:
            tasks = Path(f"/proc/{one}/task").iterdir()
            result += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (OSError, ValueError):
            continue
    return result


def resident(pid: int) -> int:
    """Bytes; 0 for a process that is gone, and where there is no /proc."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError, ValueError):
        return 0


def _most_held(pid: int) -> int:
    """Bytes at the high-water mark of one process; 0 where there is no /proc."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


def available() -> int:
    """Bytes that may be taken without swapping; 8 GB where the system does not say."""
    path = Path("/proc/meminfo")
    lines = path.read_text().splitlines() if path.exists() else []
    result = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")]
    return result[0] if result else 8 << 30
