"""Clips without hints: whether there is a subject, and what it is in each frame, before the frames are matted."""

from __future__ import annotations

from dataclasses import dataclass

from uhrmat.core.errors import NoSubjectError
from uhrmat.hints.read import Hints
from uhrmat.media.video import ClipReader, open_clip
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.networks.confidence import CONFIDENCE_DEFAULTS, doubt_notes, require_subject
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.prefetch import prior_inputs
from uhrmat.video.consensus import seek_subject
from uhrmat.video.plan import ClipPlan
from uhrmat.video.segments import Segment


@dataclass(frozen=True, kw_only=True)
class ClipSubjectParams:
    """How a clip is looked through for a subject. May be changed; not tuned.

    Attributes:
        interval: seconds between two frames that are looked at.
    """

    interval: float = 0.5


CLIP_SUBJECT = ClipSubjectParams()


def check_clip_subject(plan: ClipPlan, pipeline: StillPipeline) -> list[str]:
    """Look for a subject in the frames of a clip whose work has begun.

    Args:
        plan: of the clip. With hints, with `spec.keep_empty`, or where segments are done, nothing is looked at.
        pipeline: whose network looks.

    Returns:
        Notes for the user: that the subject is doubtful.

    Raises:
        NoSubjectError: no frame that was looked at has a subject. The work folder is removed.
    """
    done = any(plan.work.report(segment) is not None for segment in plan.segments)
    if done or plan.hints.given or plan.spec.keep_empty:
        return []
    try:
        with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
            return find_clip_subject(reader, plan.start, plan.stop, pipeline)
    except NoSubjectError:
        plan.work.remove()
        raise


def seek_clip_subject(plan: ClipPlan, segment: Segment, pipeline: StillPipeline) -> None:
    """Write what the network marks in each frame of a segment, averaged with its neighbours; see `consensus`.

    Args:
        plan: of the clip. With hints, and where its frames are to be matted one by one, nothing is written.
        segment: the frames.
        pipeline: whose network marks; one that is no `NetworkMatte` marks nothing here.

    Raises:
        InputError: a file of an earlier run is damaged.
    """
    if not plan.seeks_subject:
        return
    method, _ = pipeline.priors.choose(frozenset())
    if not isinstance(method, NetworkMatte):
        return
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        seek_subject(reader, segment, plan.start, plan.stop, method, plan.work.hints)


def find_clip_subject(
    reader: ClipReader, start: int, stop: int, pipeline: StillPipeline, params: ClipSubjectParams = CLIP_SUBJECT
) -> list[str]:
    """Look for a subject in the frames `start` to `stop`, up to the first that has one; see `check_clip_subject`."""
    method, _ = pipeline.priors.choose(frozenset())
    if not isinstance(method, NetworkMatte):
        return []
    step, best = max(1, round(params.interval * float(reader.info.rate))), 0.0
    for frame in reader.frames(start, stop):
        if (frame.index - start) % step:
            continue
        working_size = pipeline.working_size or method.working_size
        small, _ = prior_inputs(frame.picture, Hints(), working_size, pipeline.halved)
        best = max(best, method.confidence(small))
        if best >= CONFIDENCE_DEFAULTS.least:
            break
    require_subject(best)
    return doubt_notes(best)
