"""The tasks of a clip on a worker: plan it, propagate hints through a segment, matte a segment, join all segments.

Each task depends on files alone: on the clip's and on those in its work folder beside the output. So any worker that
sees the same disk can do any task, and the joined clip has the same bytes whoever did which.
"""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.batch.context import WorkerContext
from uhrmat.batch.tasks import WorkerTask
from uhrmat.core.errors import InputError
from uhrmat.video.finish import finish_clip
from uhrmat.video.plan import ClipPlan, plan_clip
from uhrmat.video.propagation.stage import propagate_hints
from uhrmat.video.run import ClipResources, matte_segment
from uhrmat.video.segments import Segment
from uhrmat.video.spec import ClipSpec
from uhrmat.video.subject import check_clip_subject

_KEPT_PLANS = 4


class ClipTasks:
    """Runs the tasks of clips, and keeps the plans of the last few clips."""

    def __init__(self, context: WorkerContext) -> None:
        self._context, self._lock = context, threading.Lock()
        self._plans: OrderedDict[tuple[str, str], ClipPlan] = OrderedDict()
        self._steps: dict[str, Callable[[WorkerTask], dict[str, Any]]] = {
            "clip": self._begin, "propagate": self._propagate, "segment": self._segment, "join": self._join,
        }  # fmt: skip

    def run(self, task: WorkerTask) -> dict[str, Any]:
        """Does a task; what it returns is the `value` of its TaskResult. Raises UhrmatError, OSError, Dropped."""
        return self._steps[task.kind](task)

    def _begin(self, task: WorkerTask) -> dict[str, Any]:
        """Plans the clip and prepares its work folder; what an earlier run left by the same settings is kept."""
        plan = self._make_plan(task)
        pixels, limit = plan.info.width * plan.info.height, self._context.settings.max_pixels
        if pixels > limit:
            raise InputError(f"Its frames have {pixels} pixels, and the limit is {limit}.", "Raise --max-pixels.")
        plan.work.begin(plan.settings, resume=True)
        with self._context.computing:
            self._context.check()
            check_clip_subject(plan, self._resources(plan).pipeline)
        segments = [[s.number, s.start, s.stop, plan.work.report(s) is not None] for s in plan.segments]
        return {"settings": plan.settings, "segments": segments, "propagated": plan.hints.propagated}

    def _propagate(self, task: WorkerTask) -> dict[str, Any]:
        plan, segment = self._plan(task), _segment(task)
        notes = propagate_hints(plan, segment, self._context.prior.solve, self._context.stopped)
        self._context.check()
        return {"notes": notes}

    def _segment(self, task: WorkerTask) -> dict[str, Any]:
        plan, segment = self._plan(task), _segment(task)
        if plan.work.report(segment) is not None:  # done by a worker that was taken for lost
            return {"frames": segment.stop - segment.start}
        with self._context.computing:
            self._context.check()
            report = matte_segment(plan, segment, self._resources(plan), lambda _: self._context.check())
        return {"frames": len(report["frames"]), "notes": report["notes"]}

    def _join(self, task: WorkerTask) -> dict[str, Any]:
        plan = self._plan(task)
        if self._make_plan(task).settings != plan.settings:
            raise InputError(f"{task.source} changed while it was read.", "Run again when nothing writes to it.")
        notes = finish_clip(plan)
        with contextlib.suppress(KeyError):
            del self._plans[task.key, plan.settings]
        return {"files": {target.content: str(target.path) for target in plan.targets}, "notes": notes}

    def _resources(self, plan: ClipPlan) -> ClipResources:
        """Propagated hints are alphas that the prior has made already."""
        changed = {"prior": "alpha"} if plan.hints.propagated else {}
        pipeline = self._context.pipeline(working_size=plan.side, **changed)
        return ClipResources(pipeline, self._context.background, self._context.prior.solve)

    def _plan(self, task: WorkerTask) -> ClipPlan:
        """The plan that the clip began with. Raises InputError where the clip has changed since."""
        wanted = str(task.body["settings"])
        with self._lock:
            plan = self._plans.get((task.key, wanted))
            if plan is None:
                plan = self._make_plan(task)
                if plan.settings != wanted:
                    raise InputError(f"{task.source} changed while it was read.", "Run again when it is at rest.")
                self._plans[task.key, wanted] = plan
                while len(self._plans) > _KEPT_PLANS:
                    self._plans.popitem(last=False)
            return plan

    def _make_plan(self, task: WorkerTask) -> ClipPlan:
        settings, source, folder = self._context.settings, Path(task.source), Path(task.folder)
        folder.mkdir(parents=True, exist_ok=True)
        hints = {name: Path(path) for name, path in task.hints.items()}
        spec = ClipSpec(
            source=source, output=folder, outputs=settings.contents, codec=settings.codec, bits=settings.bits,
            background=settings.background, rate=_rate(task), trimap=hints.get("trimap"), mask=hints.get("mask"),
            alpha=hints.get("alpha"), radius=settings.radius, plate=hints.get("plate"), key=settings.key,
            temporal=settings.temporal, threshold=settings.threshold, interval=settings.interval,
            propagation=settings.propagation, model=settings.model, apart=True, keep_empty=settings.keep_empty,
        )  # fmt: skip
        return replace(plan_clip(spec, resume=True), replace=task.replace)


def _segment(task: WorkerTask) -> Segment:
    return Segment(*task.body["segment"])


def _rate(task: WorkerTask) -> Fraction | None:
    return Fraction(str(task.body["rate"])) if task.body.get("rate") else None
