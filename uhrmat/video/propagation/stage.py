"""Propagates a clip's hints into its work folder, segment by segment, while earlier segments are matted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from uhrmat.core.devices import pick_device
from uhrmat.media.video import open_clip
from uhrmat.prior.closed_form.affinity import AffinityPrior, Solver
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagate import propagate_segment
from uhrmat.video.propagation.clip import ClipTracker
from uhrmat.video.segments import Segment


@contextmanager
def propagation_ahead(
    plan: ClipPlan, solver: Solver | None, todo: Sequence[Segment]
) -> Iterator[Mapping[int, Future[list[str]]]]:
    """Propagates hints through every segment from the first that is not done, in order, while earlier ones are matted.

    Args:
        plan: of the clip.
        solver: of the affinity prior; None: it runs in this process.
        todo: the segments that are not done, in order.

    Yields:
        By the number of the segment, the notes of its propagation.
    """
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        wanted = [s for s in plan.segments if todo and s.number >= todo[0].number] if plan.hints.propagated else []
        try:
            yield {s.number: pool.submit(propagate_hints, plan, s, solver, stop) for s in wanted}
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def propagate_hints(
    plan: ClipPlan, segment: Segment, solver: Solver | None = None, stop: threading.Event | None = None
) -> list[str]:
    """Propagates hints through one segment. The segments before it must have been through this.

    Args:
        plan: of the clip; its hints are of key frames (`ClipHints.propagated`).
        segment: the frames.
        solver: of the affinity prior; None: it runs in this process.
        stop: ends the work early when it is set.

    Returns:
        Notes for the user.

    Raises:
        InputError: the clip or a hint cannot be read.
    """
    prior = edge_prior(plan.spec.model.prior, solver)
    assert plan.side is not None
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        tracker = None
        if plan.spec.propagation == "network":
            device = pick_device(plan.spec.model.device)
            tracker = ClipTracker(
                reader, plan.hints, prior, plan.work.hints, device=device, training=plan.spec.training
            )
        return propagate_segment(reader, segment, plan.hints, prior, plan.side, plan.work.hints, stop, tracker)


def edge_prior(name: str, solver: Solver | None = None) -> AffinityPrior:
    """Return the affinity prior that solves the edges of propagated masks: `name`, or the closed form for "auto"."""
    return AffinityPrior("closed-form" if name == "auto" else name, solver)
