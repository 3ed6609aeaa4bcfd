"""The order of a clip's tasks: each becomes ready when those that it depends on are done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from uhrmat.batch.tasks import Kind, WorkerTask

MakeTask = Callable[[Kind, Mapping[str, Any]], WorkerTask]
"""Makes a task of this clip from its kind and body."""


class ClipSteps:
    """A clip is planned once; where its hints are propagated, they go from segment to segment in order; segments are
    matted in any order; at the end all are joined."""

    def __init__(self, make: MakeTask) -> None:
        self._make = make
        self._settings = ""
        self._left: set[int] = set()
        self._chain: list[list[int]] = []
        self._count = 1

    @property
    def share(self) -> float:
        """Share of the segments that are done, from 0 to 1."""
        return 1 - len(self._left) / self._count if self._settings else 0.0

    def first(self) -> WorkerTask:
        """The task that begins the clip."""
        return self._make("clip", {})

    def after(self, task: WorkerTask, value: Mapping[str, Any]) -> list[WorkerTask]:
        """The tasks that are ready now that `task` is done with this `TaskResult.value`; none after "join"."""
        if task.kind == "clip":
            return self._begin(value)
        if task.kind == "propagate":
            segment = self._chain.pop(0)
            ready = [self._task("segment", segment)] if segment[0] in self._left else []
            return ready + [self._task("propagate", following) for following in self._chain[:1]]
        if task.kind == "segment":
            self._left.discard(task.body["segment"][0])
            return [] if self._left else [self._task("join")]
        return []

    def _begin(self, value: Mapping[str, Any]) -> list[WorkerTask]:
        segments = [[int(n), int(start), int(stop)] for n, start, stop, _ in value["segments"]]
        todo = [segment for segment, row in zip(segments, value["segments"], strict=True) if not row[3]]
        self._settings, self._count = str(value["settings"]), len(segments)
        self._left = {segment[0] for segment in todo}
        if not todo:
            return [self._task("join")]
        if value["propagated"]:
            self._chain = segments[todo[0][0] :]
            return [self._task("propagate", self._chain[0])]
        return [self._task("segment", segment) for segment in todo]

    def _task(self, kind: Kind, segment: list[int] | None = None) -> WorkerTask:
        body = {"settings": self._settings} | ({} if segment is None else {"segment": segment})
        return self._make(kind, body)
