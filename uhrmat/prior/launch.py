"""Starting the prior's process before anything else is imported: it needs longer to load than the rest of a command."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def launch() -> subprocess.Popen[bytes]:
    """A process that loads PyMatting and then answers `worker.PriorProcess`."""
    command = [sys.executable, "-m", "uhrmat.prior.worker"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends it; nothing happens where it has ended."""
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    process.wait()


@contextmanager
def ended(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Ends the process, if there is one, when the block is left."""
    try:
        yield
    finally:
        if process is not None:
            end(process)
