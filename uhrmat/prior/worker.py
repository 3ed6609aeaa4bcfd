"""The affinity prior in a process of its own: PyMatting and its compiler load there while torch loads here.

Both take seconds to import and hold Python's lock while they do; two processes do it side by side. Messages are .npz
archives behind their length, so that nothing is ever unpickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import logging
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

import numpy as np

from uhrmat.core.children import FORKED
from uhrmat.core.errors import UhrmatError
from uhrmat.core.memory import trim_heap
from uhrmat.core.startup import fast_import, import_without_init
from uhrmat.prior.closed_form.affinity import solve
from uhrmat.prior.launch import launch_worker, stop_worker

TRIES = 2
"""Processes that one problem may end."""
_DYING = 5.0
"""Seconds that a process which has closed its output is given to end by itself."""
Arrays = dict[str, np.ndarray]
_LOG = logging.getLogger("uhrmat")


class PriorProcess:
    """Starts at once and imports PyMatting; `solve` then answers like `affinity.solve`. Close it when done.

    The last answer is remembered: a prior begun ahead is not solved again. A process that dies is started again, and
    the same problem is put to it once more. process: of `launch_worker`, where it runs already.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None = None) -> None:
        if not _compiled():
            _LOG.info("PyMatting compiles its solvers now, at its first use on this machine: about a minute, once")
        self._lock, self._last = threading.Lock(), (b"", (np.empty(0), [""]))
        self._process, self._owner, self._closed = process or launch_worker(), os.getpid(), False

    def solve(self, image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        """See `affinity.solve`. Raises UhrmatError where the problem cannot be solved or has ended two processes; the
        next problem is put to a new one."""
        if self._owner != os.getpid():
            raise UhrmatError("The prior's process belongs to the process that this one was forked from.", FORKED)
        asked = hashlib.sha256(image.tobytes() + trimap.tobytes() + name.encode()).digest()
        with self._lock:
            if asked != self._last[0]:
                self._last = asked, self._ask({"image": image, "trimap": trimap, "name": np.array(name)})
            return self._last[1]

    def _ask(self, problem: Arrays) -> tuple[np.ndarray, list[str]]:
        for _ in range(TRIES):
            if self._closed:  # while a problem begun ahead was still being solved: no new process may outlive its owner
                raise UhrmatError("The prior's process was closed before it had finished.", "Solve before closing it.")
            if self._process.poll() is not None:
                self._process = launch_worker()
            answer = _asked(self._process, problem)
            if answer is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_DYING)
            stop_worker(self._process)
        else:
            code = self._process.returncode
            what = f"The prior's process ended early, {TRIES} times one after another (exit code {code})."
            raise UhrmatError(what, "Is the memory exhausted? Close other programs, or set --working-size 512.")
        if "failed" in answer:
            raise UhrmatError(*map(str, answer["failed"]))
        return answer["alpha"], [str(note) for note in answer["notes"]]

    def close(self) -> None:
        """Ends the process; what it is still solving is given up, and no other process takes its place."""
        self._closed = True
        if self._owner == os.getpid():
            stop_worker(self._process)


def _asked(process: subprocess.Popen[bytes], problem: Arrays) -> Arrays | None:
    """What the process answers, None where it dies meanwhile."""
    assert process.stdin is not None and process.stdout is not None
    try:
        _send(process.stdin, problem)
        return _receive(process.stdout)
    except OSError:
        return None


def _compiled() -> bool:
    """Whether numba's cache of PyMatting's solvers is there."""
    found = importlib.util.find_spec("pymatting")
    places = [os.environ.get("NUMBA_CACHE_DIR"), *(found.submodule_search_locations or [] if found else [])]
    return any(next(Path(place).rglob("*.nbi"), None) is not None for place in places if place)


def _send(pipe: IO[bytes], arrays: Arrays) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    data = buffer.getbuffer()
    pipe.write(struct.pack("<Q", len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Arrays | None:
    """The next message, or None where the other side has closed."""
    head = pipe.read(8)
    if len(head) < 8:
        return None
    length = struct.unpack("<Q", head)[0]
    data = pipe.read(length)
    if len(data) < length:
        return None
    with np.load(io.BytesIO(data)) as found:
        return {name: found[name] for name in found.files}


def main() -> None:
    """Answers requests on standard input until it closes. What libraries print goes to standard error."""
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    with fast_import():
        import_without_init(
            "pymatting", *(f"pymatting.{part}" for part in ("laplacian", "preconditioner", "solver", "util"))
        )
        import pymatting.laplacian.cf_laplacian
        import pymatting.preconditioner.ichol
        import pymatting.solver.cg
        import pymatting.util.kdtree  # noqa: F401

    try:
        while (request := _receive(sys.stdin.buffer)) is not None:
            _send(replies, _solved(request))
            del request
            trim_heap()  # this process waits while the refiner needs it
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _solved(request: Arrays) -> Arrays:
    """The answer to a request; `failed`, message and hint, where there is none: this process lives on."""
    try:
        alpha, notes = solve(request["image"], request["trimap"], str(request["name"]))
    except UhrmatError as error:
        return {"failed": np.array([error.message, error.hint])}
    except Exception as error:
        what = f"The prior {request['name']} failed: {type(error).__name__}: {error}"
        return {"failed": np.array([what, "Try another prior, or another --working-size."])}
    return {"alpha": alpha, "notes": np.array(notes, dtype=str)}
