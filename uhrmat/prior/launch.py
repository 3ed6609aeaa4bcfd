"""Starting the prior's process before anything else is imported: it needs longer to load than the rest of a command."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from uhrmat.core.children import command, environment


def launch_worker() -> subprocess.Popen[bytes]:
    """A process that loads PyMatting and then answers `worker.PriorProcess`."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command("uhrmat.prior.worker"), stdin=pipe, stdout=pipe, env=environment())


def stop_worker(process: subprocess.Popen[bytes]) -> None:
    """Ends it; nothing happens where it has ended."""
    with suppress(OSError):  # what was not written when it died
        if process.stdin is not None:
            process.stdin.close()
    process.terminate()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def stopping_worker(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Ends the process, if there is one, when the block is left."""
    try:
        yield
    finally:
        if process is not None:
            stop_worker(process)
