"""Stages that overlap: the work in the caller's thread, the others in threads of their own, short queues between.

Whatever ends one stage ends all of them before the caller hears of it, Ctrl-C included.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

In = TypeVar("In")
Prepared = TypeVar("Prepared")
Out = TypeVar("Out")
DEPTH = 2
"""Items that wait between two stages: memory stays that of a few frames, however long the clip."""
_POLL = 0.1


class Stopped(Exception):
    """Another stage has ended early; this one has nothing more to do."""


class Channel(Generic[In]):
    """A bounded queue that a stop ends on both sides."""

    def __init__(self, stop: threading.Event, depth: int = DEPTH) -> None:
        self._items: queue.Queue[tuple[bool, In | None]] = queue.Queue(depth)
        self._stop = stop

    def put(self, item: In) -> None:
        """Waits for room. Raises Stopped."""
        self._put((True, item))

    def end(self) -> None:
        """Nothing comes after this."""
        self._put((False, None))

    def _put(self, message: tuple[bool, In | None]) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put(message, timeout=_POLL)
            except queue.Full:
                continue
        raise Stopped

    def __iter__(self) -> Iterator[In]:
        while not self._stop.is_set():
            try:
                more, item = self._items.get(timeout=_POLL)
            except queue.Empty:
                continue
            if not more:
                return
            yield item  # type: ignore[misc]
        raise Stopped


def run_stages(
    source: Iterable[In], prepare: Callable[[In], Prepared], work: Callable[[Prepared], Out],
    sink: Callable[[Out], None],
) -> None:  # fmt: skip
    """`sink(work(prepare(item)))` for every item of `source`, in order, the four side by side.

    All but `work` run in threads of their own. The first error of any stage is raised, when all have ended.
    """
    stop, errors = threading.Event(), list[BaseException]()
    before, between, after = Channel[In](stop), Channel[Prepared](stop, depth=1), Channel[Out](stop)

    def feed() -> None:
        for item in source:
            before.put(item)
        before.end()

    def drain() -> None:
        for item in after:
            sink(item)

    beside = (feed, lambda: _work(before, prepare, between), drain)
    threads = [threading.Thread(target=_guarded, args=(stage, stop, errors), daemon=True) for stage in beside]
    for thread in threads:
        thread.start()
    try:
        _guarded(lambda: _work(between, work, after), stop, errors)
        for thread in threads:
            while thread.is_alive():
                thread.join(_POLL)  # a join without end would not hear Ctrl-C on every system
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join()
        raise
    if errors:
        raise errors[0]


def _work(before: Channel[In], work: Callable[[In], Out], after: Channel[Out]) -> None:
    for item in before:
        after.put(work(item))
    after.end()


def _guarded(stage: Callable[[], None], stop: threading.Event, errors: list[BaseException]) -> None:
    """Runs a stage; an error is kept for the caller and stops the others."""
    try:
        stage()
    except Stopped:
        pass
    except BaseException as error:
        errors.append(error)
        stop.set()
