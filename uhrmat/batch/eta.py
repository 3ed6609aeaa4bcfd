"""Estimates the time left; stills and clips are measured separately, by their bytes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

_MIN_ITEMS, _MIN_SECONDS = 3, 5.0
"""Items that must be done, and seconds that must have passed, before there is an estimate."""


class Eta:
    """Time left, from the mean seconds per byte of each kind of item.

    The cost of an item is the time between two completions, so that it includes what runs in parallel. The first
    completion is not counted: workers were started and networks loaded before it. There is no estimate while items are
    left of a kind of which none is done.

    Attributes:
        left: bytes to do, by kind.
        items: items that were measured.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._last: float | None = None
        self._done, self._seconds = defaultdict[str, int](int), defaultdict[str, float](float)
        self.left, self.items = defaultdict[str, int](int), 0

    def add(self, kind: str, size: int) -> None:
        """Adds an item of `size` bytes."""
        self.left[kind] += max(1, size)

    def finish(self, kind: str, size: int, *, counts: bool = True) -> None:
        """Marks an item as done. counts: False for one that failed: its duration says nothing about the others."""
        now = self._clock()
        self.left[kind] -= max(1, size)
        if counts and self._last is not None:
            self._done[kind] += max(1, size)
            self._seconds[kind] += now - self._last
            self.items += 1
        self._last = now

    def seconds(self) -> float | None:
        """Seconds left, or None while there is no estimate."""
        if self.items < _MIN_ITEMS or self._clock() - self._begun < _MIN_SECONDS:
            return None
        left = {kind: size for kind, size in self.left.items() if size > 0}
        if any(not self._done[kind] for kind in left):
            return None
        return sum(size * self._seconds[kind] / self._done[kind] for kind, size in left.items())


def format_remaining(seconds: float | None) -> str:
    """Text for people, rounded to what is known."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"
