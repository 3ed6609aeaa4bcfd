"""The pieces of a clip on a worker: opened, hints carried, a segment matted, all joined.

Each piece depends on files alone, on the clip's and on those in its work folder beside the output. So any worker that
sees the same disk can do any piece, and the joined clip has the same bytes whoever did what.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.batch.tasks import WorkerTask
from uhrmat.core.errors import InputError
from uhrmat.video.plan import ClipPlan, ClipSpec, plan_clip
from uhrmat.video.run import Tools, carry_hints, finish, matte_segment
from uhrmat.video.segments import Segment

if TYPE_CHECKING:
    from uhrmat.batch.worker import Worker

_KEPT = 4


class Clips:
    """What a worker knows of the clips that it has pieces of."""

    def __init__(self, worker: Worker) -> None:
        self._worker, self._lock = worker, threading.Lock()
        self._jobs: OrderedDict[tuple[str, str], ClipPlan] = OrderedDict()
        self._steps: dict[str, Callable[[WorkerTask], dict[str, Any]]] = {
            "clip": self._open, "carry": self._carry, "segment": self._segment, "join": self._join,
        }  # fmt: skip

    def run(self, task: WorkerTask) -> dict[str, Any]:
        """Does a piece. Raises UhrmatError, OSError, Dropped."""
        return self._steps[task.kind](task)

    def _open(self, task: WorkerTask) -> dict[str, Any]:
        """Plans the clip and makes its work folder ready; what an earlier run left by the same settings is kept."""
        job = self._plan(task)
        pixels, limit = job.info.width * job.info.height, self._worker.settings.max_pixels
        if pixels > limit:
            raise InputError(f"Its frames have {pixels} pixels, and the limit is {limit}.", "Raise --max-pixels.")
        job.work.begin(job.settings, resume=True)
        segments = [[s.number, s.start, s.stop, job.work.report(s) is not None] for s in job.segments]
        return {"settings": job.settings, "segments": segments, "carried": job.hints.carried}

    def _carry(self, task: WorkerTask) -> dict[str, Any]:
        job, segment = self._job(task), _segment(task)
        notes = carry_hints(job, segment, self._worker.prior.solve, self._worker.stopped)
        self._worker.check()
        return {"notes": notes}

    def _segment(self, task: WorkerTask) -> dict[str, Any]:
        job, segment = self._job(task), _segment(task)
        if job.work.report(segment) is not None:  # done by a worker that was thought lost
            return {"frames": segment.stop - segment.start}
        with self._worker.computing:
            self._worker.check()
            report = matte_segment(job, segment, self._tools(job), lambda _: self._worker.check())
        return {"frames": len(report["frames"]), "notes": report["notes"]}

    def _join(self, task: WorkerTask) -> dict[str, Any]:
        job = self._job(task)
        if self._plan(task).settings != job.settings:
            raise InputError(f"{task.source} changed while it was read.", "Run again when nothing writes to it.")
        notes = finish(job)
        with contextlib.suppress(KeyError):
            del self._jobs[task.key, job.settings]
        return {"files": {target.content: str(target.path) for target in job.targets}, "notes": notes}

    def _tools(self, job: ClipPlan) -> Tools:
        """A hint that is carried has been to the prior already: it comes as an alpha."""
        changed = {"prior": "alpha"} if job.hints.carried else {}
        matter = self._worker.matter(working_size=job.side, **changed)
        return Tools(matter, self._worker.background, self._worker.prior.solve)

    def _job(self, task: WorkerTask) -> ClipPlan:
        """The clip as it was planned when it was opened. Raises InputError where it is another one by now."""
        wanted = str(task.body["settings"])
        with self._lock:
            job = self._jobs.get((task.key, wanted))
            if job is None:
                job = self._plan(task)
                if job.settings != wanted:
                    raise InputError(f"{task.source} changed while it was read.", "Run again when it is at rest.")
                self._jobs[task.key, wanted] = job
                while len(self._jobs) > _KEPT:
                    self._jobs.popitem(last=False)
            return job

    def _plan(self, task: WorkerTask) -> ClipPlan:
        settings, source, folder = self._worker.settings, Path(task.source), Path(task.folder)
        folder.mkdir(parents=True, exist_ok=True)
        hints = {name: Path(path) for name, path in task.hints.items()}
        spec = ClipSpec(
            source, folder, settings.contents, settings.codec, settings.bits, settings.background, rate=_rate(task),
            trimap=hints.get("trimap"), mask=hints.get("mask"), plate=hints.get("plate"), key=settings.key,
            temporal=settings.temporal, threshold=settings.threshold, interval=settings.interval,
            model=settings.model, apart=True,
        )  # fmt: skip
        return replace(plan_clip(spec, resume=True), replace=task.replace)


def _segment(task: WorkerTask) -> Segment:
    return Segment(*task.body["segment"])


def _rate(task: WorkerTask) -> Fraction | None:
    return Fraction(str(task.body["rate"])) if task.body.get("rate") else None
