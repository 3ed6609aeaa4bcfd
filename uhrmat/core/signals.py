"""Ctrl-C and SIGTERM: the first requests an orderly end, the second ends the process at once."""

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
"""Seconds that an orderly end may take after the second signal; without a limit a stuck thread would block it."""


class StopRequest:
    """Whether a signal has requested the end: `value` is True from the first signal on."""

    value = False


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Within the block, the first SIGINT or SIGTERM sets the request that is yielded, and the next one interrupts.

    The second signal raises KeyboardInterrupt, and ends the process after a grace time if the block cannot be left (see
    `exit_after_grace`). Does nothing outside the main thread.
    """
    request = StopRequest()
    last: list[threading.Timer] = []
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if request.value:
            last.append(exit_after_grace())
            raise KeyboardInterrupt
        request.value = True

    before = {number: signal.signal(number, handle) for number in _NUMBERS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for timer in last:
            timer.cancel()


def exit_after_grace() -> threading.Timer:
    """End the process in `_GRACE` seconds, without waiting for other threads, if it has not ended by then."""
    last = threading.Timer(_GRACE, os._exit, (INTERRUPTED,))
    last.daemon = True
    last.start()
    return last


def install_interrupt_handler() -> None:
    """From now on the first SIGINT or SIGTERM raises KeyboardInterrupt, and the second ends the process.

    A signal that the parent process has set to be ignored, as `nohup` does, stays ignored.
    """
    request = StopRequest()

    def handle(number: int, frame: FrameType | None) -> None:
        if request.value:
            os._exit(INTERRUPTED)
        request.value = True
        raise KeyboardInterrupt

    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle)
