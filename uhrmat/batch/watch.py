"""An inbox that is scanned repeatedly: a file is ready when it has not changed for a while and can be opened."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from uhrmat.batch.find import BatchItem
from uhrmat.batch.select import input_fingerprint
from uhrmat.core.errors import UhrmatError
from uhrmat.media import read_info
from uhrmat.media.video import open_clip


@dataclass
class _FileState:
    fingerprint: str
    since: float
    tried: bool = False


class Inbox:
    """Decides which items of a scan are ready.

    An item is returned once for each of its states: one that failed is returned again when it, or its hint, has
    changed. One that lacks its hint, or cannot be opened, is waited for.

    Args:
        settle: seconds for which size and time of change must have stayed the same.
        clock: in seconds.
    """

    def __init__(self, settle: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._settle, self._clock = settle, clock
        self._states: dict[str, _FileState] = {}

    def ready(self, items: list[BatchItem], busy: Collection[str] = ()) -> list[BatchItem]:
        """The items that are complete and new in this state.

        Args:
            items: all that are present now.
            busy: keys of items that are being processed.
        """
        self._states = {item.key: self._states[item.key] for item in items if item.key in self._states}
        return [item for item in items if item.key not in busy and self._is_ready(item)]

    def _is_ready(self, item: BatchItem) -> bool:
        try:
            state = input_fingerprint(item)
        except OSError:
            return False
        now, last = self._clock(), self._states.get(item.key)
        if last is None or last.fingerprint != state:
            self._states[item.key] = last = _FileState(state, now)
        if last.tried or item.error is not None or now - last.since < self._settle or not can_open(item):
            return False
        last.tried = True
        return True


def can_open(item: BatchItem) -> bool:
    """Whether the file's header can be read."""
    try:
        if item.kind == "still":
            read_info(item.source)
        else:
            open_clip(item.source).close()
    except (UhrmatError, OSError):
        return False
    return True
