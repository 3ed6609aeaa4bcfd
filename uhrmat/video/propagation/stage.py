"""Propagates a clip's hints into its work folder, segment by segment, while earlier segments are matted."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from uhrmat.core.devices import pick_device
from uhrmat.media.video import ClipReader, open_clip
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.registry import PriorRegistry
from uhrmat.video.hints import ClipHints
from uhrmat.video.plan import ClipPlan
from uhrmat.video.prompts import write_prompt_masks
from uhrmat.video.propagate import MaskTracker, propagate_segment
from uhrmat.video.propagation.clip import ClipTracker
from uhrmat.video.propagation.params import METHODS, PropagationTrainingParams
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
    prior, method = edge_prior(plan.spec.model.prior, solver), plan.spec.propagation
    assert plan.side is not None
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        device = "cpu" if method == "flow" and not plan.hints.prompts else pick_device(plan.spec.model.device)
        folder = plan.work.hints
        hints = write_prompt_masks(plan.hints, reader, prompt_priors(method, solver, device), folder)
        tracker = make_tracker(method, reader, hints, prior, folder, device=device, training=plan.spec.training)
        return propagate_segment(reader, segment, hints, prior, plan.side, folder, stop, tracker)


def make_tracker(
    method: str, reader: ClipReader, hints: ClipHints, prior: AffinityPrior, folder: Path, *, device: str,
    training: PropagationTrainingParams,
) -> MaskTracker | None:  # fmt: skip
    """Make the tracker of a clip's masks; None for "flow", which needs none.

    Args:
        method: one of `propagation.params.METHODS`, or a promptable network.
        reader: of the clip.
        hints: key frames of the clip, all of them files.
        prior: for key frames whose hint is a trimap.
        folder: of the propagated alphas.
        device: torch device.
        training: of the network of "network".

    Raises:
        InputError: a library that runs the promptable network is not installed.
        WeightsError: it cannot be fetched, or is none.
    """
    if method == "flow":
        return None
    if method == "network":
        return ClipTracker(reader, hints, prior, folder, device=device, training=training)
    from uhrmat.video.propagation.promptable import PromptableTracker

    return PromptableTracker(reader, hints, prior, folder, method, device=device)


def prompt_priors(method: str, solver: Solver | None = None, device: str = "cpu") -> PriorRegistry:
    """The prior that makes masks of points and boxes: the clip's tracker where it takes them, else the bundled one."""
    return PriorRegistry("prompts" if method in METHODS else method, solver, device)


def edge_prior(name: str, solver: Solver | None = None) -> AffinityPrior:
    """Return the affinity prior that solves the edges of propagated masks: `name`, or the closed form for "auto"."""
    return AffinityPrior("closed-form" if name == "auto" else name, solver)
