"""In which order the pieces of one clip can be done: each becomes ready when those that it needs are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from uhrmat.batch.tasks import Kind, WorkerTask

MakeTask = Callable[[Kind, Mapping[str, Any]], WorkerTask]
"""From kind and body to a task of this clip."""


class ClipSteps:
    """Opened once, then carried from segment to segment where hints have to be, matted in any order, joined at the end.

    `share` says which part of the work is done, from 0 to 1.
    """

    def __init__(self, make: MakeTask) -> None:
        self._make = make
        self._settings = ""
        self._left: set[int] = set()
        self._chain: list[list[int]] = []
        self._count = 1

    @property
    def share(self) -> float:
        """Of the segments."""
        return 1 - len(self._left) / self._count if self._settings else 0.0

    def first(self) -> WorkerTask:
        """To begin with."""
        return self._make("clip", {})

    def after(self, task: WorkerTask, result: Mapping[str, Any]) -> list[WorkerTask]:
        """What has become ready, now that `task` is done. After "join" there is nothing more."""
        if task.kind == "clip":
            return self._opened(result)
        if task.kind == "carry":
            segment = self._chain.pop(0)
            ready = [self._piece("segment", segment)] if segment[0] in self._left else []
            return ready + [self._piece("carry", following) for following in self._chain[:1]]
        if task.kind == "segment":
            self._left.discard(task.body["segment"][0])
            return [] if self._left else [self._piece("join")]
        return []

    def _opened(self, result: Mapping[str, Any]) -> list[WorkerTask]:
        segments = [[int(n), int(start), int(stop)] for n, start, stop, _ in result["segments"]]
        todo = [segment for segment, row in zip(segments, result["segments"], strict=True) if not row[3]]
        self._settings, self._count = str(result["settings"]), len(segments)
        self._left = {segment[0] for segment in todo}
        if not todo:
            return [self._piece("join")]
        if result["carried"]:
            self._chain = segments[todo[0][0] :]
            return [self._piece("carry", self._chain[0])]
        return [self._piece("segment", segment) for segment in todo]

    def _piece(self, kind: Kind, segment: list[int] | None = None) -> WorkerTask:
        body = {"settings": self._settings} | ({} if segment is None else {"segment": segment})
        return self._make(kind, body)
