"""The console script. The prior's process, the slowest to load, is started before the command line is parsed."""

from __future__ import annotations

import os
import sys

from uhrmat.core.signals import INTERRUPTED, install_interrupt_handler
from uhrmat.core.startup import let_threads_sleep
from uhrmat.core.streams import protect


def main() -> None:
    """Runs `uhrmat`. With a trimap or a mask for `uhrmat image`, the prior's process starts at once: it loads while
    this one does."""
    install_interrupt_handler()
    protect()
    let_threads_sleep()
    try:
        _run()
    except KeyboardInterrupt:  # before a command could say so
        print("interrupted", file=sys.stderr)
        os._exit(INTERRUPTED)


def _run() -> None:
    from uhrmat.prior.launch import launch_worker, stopping_worker

    child = launch_worker() if needs_prior(sys.argv[1:]) else None
    with stopping_worker(child):
        from uhrmat.cli.app import run

        run(child)


def needs_prior(words: list[str]) -> bool:
    """Whether these arguments will very likely need an affinity prior; otherwise its process is ended."""
    options = {word.partition("=")[0] for word in words}
    return (
        words[:1] == ["image"]
        and not options.isdisjoint(("--trimap", "--mask"))
        and options.isdisjoint(("-h", "--help"))
    )
