"""How long it still takes, said only when it is known: stills and clips are measured apart, by their bytes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable

_LEAST_DONE, _LEAST_SECONDS = 3, 5.0


class Eta:
    """The time between two completions is what an item costs, however many are done side by side. The first one counts
    for nothing: before it workers were started and networks loaded.

    left: bytes to do, by kind. A kind of which nothing is done yet has no price, and then there is no estimate.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._last: float | None = None
        self._done, self._seconds = defaultdict[str, int](int), defaultdict[str, float](float)
        self.left, self.items = defaultdict[str, int](int), 0

    def add(self, kind: str, size: int) -> None:
        """There is more to do: `size` bytes."""
        self.left[kind] += max(1, size)

    def finish(self, kind: str, size: int, *, counts: bool = True) -> None:
        """An item is done. counts: not for one that failed, which says nothing of what the others cost."""
        now = self._clock()
        self.left[kind] -= max(1, size)
        if counts and self._last is not None:
            self._done[kind] += max(1, size)
            self._seconds[kind] += now - self._last
            self.items += 1
        self._last = now

    def seconds(self) -> float | None:
        """To the end, or None while that is a guess."""
        if self.items < _LEAST_DONE or self._clock() - self._begun < _LEAST_SECONDS:
            return None
        left = {kind: size for kind, size in self.left.items() if size > 0}
        if any(not self._done[kind] for kind in left):
            return None
        return sum(size * self._seconds[kind] / self._done[kind] for kind, size in left.items())


def spoken(seconds: float | None) -> str:
    """For people: no more digits than are known."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"
