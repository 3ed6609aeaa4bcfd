"""An inbox that is looked at again and again: a file is taken when it has stood still for a while and can be opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from uhrmat.batch.find import BatchItem
from uhrmat.batch.select import input_of
from uhrmat.core.errors import UhrmatError
from uhrmat.media import read_info
from uhrmat.media.video import open_clip


@dataclass
class _Sighting:
    fingerprint: str
    since: float
    tried: bool = False


class Inbox:
    """Which items of a scan can be taken. settle: seconds for which size and time of change must not have moved.

    A file is given once for each of its states: one that failed is given again when it has changed, as is one whose
    hint has changed or appeared. One that lacks its hint, or cannot be opened, is waited for.
    """

    def __init__(self, settle: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle, self._clock = settle, clock
        self._seen: dict[str, _Sighting] = {}

    def ready(self, items: list[BatchItem], busy: Collection[str] = ()) -> list[BatchItem]:
        """Those of `items`, all that are there now, that are complete and new in this state, and not `busy` (keys)."""
        self._seen = {item.key: self._seen[item.key] for item in items if item.key in self._seen}
        return [item for item in items if item.key not in busy and self._is_ready(item)]

    def _is_ready(self, item: BatchItem) -> bool:
        try:
            state = input_of(item)
        except OSError:
            return False
        now, seen = self._clock(), self._seen.get(item.key)
        if seen is None or seen.fingerprint != state:
            self._seen[item.key] = seen = _Sighting(state, now)
        if seen.tried or item.error is not None or now - seen.since < self._settle or not opens(item):
            return False
        seen.tried = True
        return True


def opens(item: BatchItem) -> bool:
    """Whether the file's header can be read."""
    try:
        if item.kind == "still":
            read_info(item.source)
        else:
            open_clip(item.source).close()
    except (UhrmatError, OSError):
        return False
    return True
