"""Ctrl-C and SIGTERM: the first asks, the second insists."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Asked:
    """`value` is True from the first signal on."""

    value = False


@contextmanager
def asked_to_stop() -> Iterator[Asked]:
    """Within it the first SIGINT or SIGTERM sets the flag that is yielded; the next raises KeyboardInterrupt."""
    asked = Asked()

    def hear(number: int, frame: FrameType | None) -> None:
        if asked.value:
            raise KeyboardInterrupt
        asked.value = True

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, hear) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
