"""The affinity prior in a process of its own: PyMatting and its compiler load there while torch loads here.

Both take seconds to import and hold Python's lock while they do; two processes do it side by side. Messages are .npz
archives behind their length, so that nothing is ever unpickled.
"""

from __future__ import annotations

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

from uhrmat.errors import UhrmatError
from uhrmat.memory import give_back
from uhrmat.prior.affinity import solve
from uhrmat.prior.launch import end, launch
from uhrmat.quick import bare, importing

Arrays = dict[str, np.ndarray]
_LOG = logging.getLogger("uhrmat")


class PriorProcess:
    """Starts at once and imports PyMatting; `solve` then answers like `affinity.solve`. Close it when done.

    The last answer is remembered: a prior begun ahead is not solved again. process: of `launch`, where it runs already.
    """

    def __init__(self, process: subprocess.Popen[bytes] | None = None) -> None:
        if not _compiled():
            _LOG.info("PyMatting compiles its solvers now, at its first use on this machine: about a minute, once")
        self._lock, self._last = threading.Lock(), (b"", (np.empty(0), [""]))
        self._process = process or launch()

    def solve(self, image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        """See `affinity.solve`. Raises UhrmatError where the process has died."""
        asked = hashlib.sha256(image.tobytes() + trimap.tobytes() + name.encode()).digest()
        with self._lock:
            if asked != self._last[0]:
                self._last = asked, self._ask(image, trimap, name)
            return self._last[1]

    def _ask(self, image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _send(self._process.stdin, {"image": image, "trimap": trimap, "name": np.array(name)})
            answer = _receive(self._process.stdout)
        except OSError:
            answer = None
        if answer is None:
            code = self._process.wait()
            raise UhrmatError(f"The prior's process ended early (exit code {code}).", "Is the memory exhausted?")
        return answer["alpha"], [str(note) for note in answer["notes"]]

    def close(self) -> None:
        """Ends the process."""
        end(self._process)


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
    data = pipe.read(struct.unpack("<Q", head)[0])
    with np.load(io.BytesIO(data)) as found:
        return {name: found[name] for name in found.files}


def main() -> None:
    """Answers requests on standard input until it closes. What libraries print goes to standard error."""
    replies, sys.stdout = sys.stdout.buffer, sys.stderr
    with importing():
        bare("pymatting", *(f"pymatting.{part}" for part in ("laplacian", "preconditioner", "solver", "util")))
        import pymatting.laplacian.cf_laplacian
        import pymatting.preconditioner.ichol
        import pymatting.solver.cg
        import pymatting.util.kdtree  # noqa: F401

    try:
        while (request := _receive(sys.stdin.buffer)) is not None:
            alpha, notes = solve(request["image"], request["trimap"], str(request["name"]))
            _send(replies, {"alpha": alpha, "notes": np.array(notes, dtype=str)})
            del request, alpha
            give_back()  # this process waits while the refiner needs it
    except (KeyboardInterrupt, BrokenPipeError):
        return


if __name__ == "__main__":
    main()
