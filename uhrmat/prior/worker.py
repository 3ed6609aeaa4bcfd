"""The affinity priors in a process of their own: PyMatting and its compiler load there while torch loads here.

Both take seconds to import and hold Python's global interpreter lock while they do; two processes import side by side.
A message is an .npz archive preceded by its length, so that nothing is ever unpickled.
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
from collections import OrderedDict
from pathlib import Path
from typing import IO

import numpy as np

from uhrmat.core.children import FORKED
from uhrmat.core.errors import UhrmatError
from uhrmat.core.memory import trim_heap
from uhrmat.core.startup import fast_import, import_without_init
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS
from uhrmat.prior.closed_form.problem import CORRECTED_KNN, REPEATED_KNN, Start, bounding_box
from uhrmat.prior.closed_form.solve import KeepingSolver, solve
from uhrmat.prior.closed_form.warm import WarmSolvers
from uhrmat.prior.launch import launch_worker, stop_worker

MAX_ATTEMPTS = 2
"""Processes that may die on one problem before it is given up."""
KEPT_SOLUTIONS = 2
"""Solutions that are kept: a mask's prior has two, the second with a wider unknown band."""
_EXIT_SECONDS = 5.0
"""How long a process that has closed its output may take to exit before it is terminated."""
Arrays = dict[str, np.ndarray]
_LOG = logging.getLogger("uhrmat")


class PriorProcess:
    """A process that solves affinity priors, as `closed_form.solve.solve` does here. Close it when done.

    The last solutions are kept: a prefetched prior is not solved twice. A process that dies is replaced, and the
    problem is sent to the new one once more.

    Args:
        process: of `launch_worker`, where one runs already; else one is started.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None = None) -> None:
        if not _compiled():
            _LOG.info("PyMatting compiles its solvers now, at its first use on this machine: about a minute, once")
        self._lock, self._last = threading.Lock(), OrderedDict[bytes, tuple[np.ndarray, list[str]]]()
        self._process, self._owner, self._closed = process or launch_worker(), os.getpid(), False

    def solve(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """Solve a prior, see `closed_form.solve.solve`; or `REPEATED_KNN`, see `closed_form.warm`.

        Raises:
            UhrmatError: it cannot be solved, or `MAX_ATTEMPTS` processes have died on it. The next one goes to a new
                process.
        """
        if self._owner != os.getpid():
            raise UhrmatError("The prior's process belongs to the process that this one was forked from.", FORKED)
        box = bounding_box(trimap == 128, CLOSED_FORM_DEFAULTS.margin)
        if name == REPEATED_KNN:  # whose picture must stay the same
            box = slice(0, trimap.shape[0]), slice(0, trimap.shape[1])
        problem = {"image": image[box], "trimap": trimap[box], "name": np.array(name)}
        if start is not None:
            near = start.within(box)
            problem |= {"start": near.alpha, "changed": near.changed, "clip": np.array(near.clip)}
            problem |= {} if near.estimate is None else {"estimate": near.estimate}
        digest = hashlib.sha256(b"".join(array.tobytes() for array in problem.values())).digest()
        alpha = (trimap == 255).astype(np.float32)
        with self._lock:
            solution = self._last.pop(digest) if digest in self._last else self._request(problem)
            self._last[digest] = solution
            while len(self._last) > KEPT_SOLUTIONS:
                self._last.popitem(last=False)
            alpha[box], notes = solution
        return alpha, notes

    def _request(self, problem: Arrays) -> tuple[np.ndarray, list[str]]:
        for _ in range(MAX_ATTEMPTS):
            if self._closed:  # by another thread, during a prefetch: no new process may outlive its owner
                raise UhrmatError("The prior's process was closed before it had finished.", "Solve before closing it.")
            if self._process.poll() is not None:
                self._process = launch_worker()
            reply = _exchange(self._process, problem)
            if reply is not None:
                break
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_EXIT_SECONDS)
            stop_worker(self._process)
        else:
            code = self._process.returncode
            what = f"The prior's process ended early, {MAX_ATTEMPTS} times one after another (exit code {code})."
            raise UhrmatError(what, "Is the memory exhausted? Close other programs, or set the working size to 512.")
        if "failed" in reply:
            raise UhrmatError(*map(str, reply["failed"]))
        return reply["alpha"], [str(note) for note in reply["notes"]]

    def close(self) -> None:
        """Stop the process. A problem that it is still solving is given up; no other process takes its place."""
        self._closed = True
        if self._owner == os.getpid():
            stop_worker(self._process)


def _exchange(process: subprocess.Popen[bytes], problem: Arrays) -> Arrays | None:
    """The process's reply to a problem, None where it dies before it has replied."""
    assert process.stdin is not None and process.stdout is not None
    try:
        _send(process.stdin, problem)
        return _receive(process.stdout)
    except OSError:
        return None


def _compiled() -> bool:
    """Whether numba's cache holds PyMatting's solvers."""
    spec = importlib.util.find_spec("pymatting")
    folders = [os.environ.get("NUMBA_CACHE_DIR"), *(spec.submodule_search_locations or [] if spec else [])]
    return any(next(Path(folder).rglob("*.nbi"), None) is not None for folder in folders if folder)


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
    with np.load(io.BytesIO(data)) as archive:
        return {name: archive[name] for name in archive.files}


def main() -> None:
    """Solve what comes on standard input until that closes. What libraries print goes to standard error."""
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    with fast_import():
        import_without_init("pymatting", *(f"pymatting.{part}" for part in ("laplacian", "preconditioner", "util")))
        import pymatting.laplacian.cf_laplacian
        import pymatting.preconditioner.ichol
        import pymatting.util.kdtree  # noqa: F401

    repeated, keeping = WarmSolvers(), KeepingSolver()
    try:
        while (request := _receive(sys.stdin.buffer)) is not None:
            _send(replies, _reply(request, repeated, keeping))
            del request
            trim_heap()  # this process waits while the refiner needs it
    except (KeyboardInterrupt, BrokenPipeError):
        return


def _reply(request: Arrays, repeated: WarmSolvers, keeping: KeepingSolver) -> Arrays:
    """The reply to a request: alpha and notes, or `failed` with message and hint. An error does not end the process."""
    try:
        start = None
        if "start" in request:
            start = Start(request["start"], request["changed"], bool(request["clip"]), request.get("estimate"))
        image, trimap, name = request["image"], request["trimap"], str(request["name"])
        if name == REPEATED_KNN:
            alpha, notes = repeated.solve(image, trimap)
        elif name == CORRECTED_KNN or "estimate" in request:
            alpha, notes = solve(image, trimap, name, start, solve_problem=keeping)
        else:
            keeping.clear()
            alpha, notes = solve(image, trimap, name, start)
    except UhrmatError as error:
        return {"failed": np.array([error.message, error.hint])}
    except Exception as error:
        what = f"The prior {request['name']} failed: {type(error).__name__}: {error}"
        return {"failed": np.array([what, "Try another prior, or another working size."])}
    return {"alpha": alpha, "notes": np.array(notes, dtype=str)}
