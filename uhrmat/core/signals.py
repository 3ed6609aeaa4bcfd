"""Ctrl-C and SIGTERM: the first asks for an orderly end, the second ends the process at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED = 130
"""The exit code of a process that was interrupted."""
_NUMBERS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 2.0
"""Seconds that an orderly end may take after the second signal: a thread that is stuck can keep it waiting for ever."""


class StopRequest:
    """`value` is True from the first signal on."""

    value = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within it the first SIGINT or SIGTERM sets the flag that is yielded. The next raises KeyboardInterrupt, and
    ends the process soon if the block cannot be left (see `exit_after_grace`). Does nothing outside the main thread."""
    asked = StopRequest()
    last: list[threading.Timer] = []
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def hear(number: int, frame: FrameType | None) -> None:
        if asked.value:
            last.append(exit_after_grace())
            raise KeyboardInterrupt
        asked.value = True

    before = {number: signal.signal(number, hear) for number in _NUMBERS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in last:
            timer.cancel()


def exit_after_grace() -> threading.Timer:
    """Ends the process in `_GRACE` seconds if it has not ended by then: other threads are not waited for."""
    last = threading.Timer(_GRACE, os._exit, (INTERRUPTED,))
    last.daemon = True
    last.start()
    return last


def install_interrupt_handler() -> None:
    """From now on the first SIGINT or SIGTERM raises KeyboardInterrupt, the second ends the process. A signal that
    whoever started the process wants ignored, as `nohup` does, stays ignored."""
    asked = StopRequest()

    def hear(number: int, frame: FrameType | None) -> None:
        if asked.value:
            os._exit(INTERRUPTED)
        asked.value = True
        raise KeyboardInterrupt

    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, hear)
