"""Start and stop the process of the affinity priors (`worker`).

It is started before anything else is imported, since PyMatting takes longer to load than the rest of a command.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from uhrmat.core.children import command, environment


def launch_worker() -> subprocess.Popen[bytes]:
    """Start a process that loads PyMatting and then solves what `worker.PriorProcess` sends it."""
    pipe = subprocess.PIPE
    return subprocess.Popen(command("uhrmat.prior.worker"), stdin=pipe, stdout=pipe, env=environment())


def stop_worker(process: subprocess.Popen[bytes]) -> None:
    """Stop the process and wait for its end. One that has ended already is left as it is."""
    with suppress(OSError):  # the pipe of a dead process may hold unwritten bytes
        if process.stdin is not None:
            process.stdin.close()
    process.terminate()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


@contextmanager
def stopping_worker(process: subprocess.Popen[bytes] | None) -> Iterator[None]:
    """Stop the process, if there is one, when the block is left."""
    try:
        yield
    finally:
        if process is not None:
            stop_worker(process)
