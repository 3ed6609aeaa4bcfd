"""Mattes a clip from files to files: segment by segment, each in four overlapping stages, joined at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from uhrmat.core.devices import peak_memory
from uhrmat.core.memory import TRIM_EVERY, limit_kernel_cache, trim_heap
from uhrmat.hints.read import Hints
from uhrmat.media.composite import Background, composite, need_opaque, parse_background
from uhrmat.media.video import ClipReader, ClipWriter, Frame, check_alpha, open_clip, open_writer
from uhrmat.media.video.stills import SequenceWriter
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.chroma_key.key import KeyPrior
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY
from uhrmat.video.active_masks import pack_mask
from uhrmat.video.finish import finish_clip
from uhrmat.video.frames import ClipPipeline, FramePrior, FrameResult, TemporalOptions
from uhrmat.video.hints import HintReader
from uhrmat.video.journal import FrameRecord, Journal
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagation.report import frame_figures
from uhrmat.video.propagation.stage import propagation_ahead
from uhrmat.video.report import ClipReport, prior_note
from uhrmat.video.segments import Segment
from uhrmat.video.stages import run_stages
from uhrmat.video.subject import check_clip_subject, seek_clip_subject
from uhrmat.video.subject_masks import subject_figures
from uhrmat.video.targets import Target
from uhrmat.video.work import check_unchanged

Progress = Callable[[int, int], None]
"""Called after each frame with the number of frames that are done, and of all frames."""


@dataclass
class ClipResources:
    """What a machine needs to matte the segments of a clip, loaded once.

    Attributes:
        pipeline: prior, refiner and budget of every frame.
        background: of the composite; None: none is written.
        solver: of the affinity priors; None: they run in this process.
        propagated: the pipeline's prior takes the alphas of propagated hints.

    Raises:
        InputError: the background is not opaque.
    """

    pipeline: StillPipeline
    background: Background | None
    solver: Solver | None = None
    propagated: bool = False

    def __post_init__(self) -> None:
        if self.background is not None:
            need_opaque(self.background)

    @classmethod
    def load(cls, plan: ClipPlan, solver: Solver | None = None) -> ClipResources:
        """Loads the networks. Propagated hints are alphas that the prior has made already."""
        limit_kernel_cache()
        model = replace(plan.spec.model, working_size=plan.side)
        if plan.hints.propagated:
            model = replace(model, prior="alpha")
        background = None if plan.spec.background is None else parse_background(plan.spec.background)
        return cls(StillPipeline.from_options(model, solver=solver), background, solver, plan.hints.propagated)


@dataclass(frozen=True)
class _MattedFrame:
    """A matted frame. seconds: of reading it; row: its line of the report if an earlier run wrote its stills."""

    frame: Frame
    matte: FrameResult
    seconds: float
    row: dict[str, Any] | None


def matte_clip(
    plan: ClipPlan, resources: ClipResources, *, resume: bool = False, progress: Progress | None = None,
    keep_active: Collection[int] = (),
) -> ClipReport:  # fmt: skip
    """Mattes all segments that are not done yet and puts the results in place.

    Whatever goes wrong, only complete files get their final names. Segments that are done, and what a sequence needs to
    go on after its last still, stay in the work folder for `resume`. The work folder is locked against other runs.

    Args:
        plan: of the clip.
        resources: networks, loaded once.
        resume: go on where an earlier run with the same settings ended.
        progress: called after each frame.
        keep_active: numbers of the frames whose active pixels are kept in the report.

    Returns:
        What was done, with the figures of each frame.

    Raises:
        UhrmatError, OSError: what stopped the run.
    """
    with plan.work.locked():
        return _matte_clip(plan, resources, resume, progress, keep_active)


def _matte_clip(
    plan: ClipPlan, resources: ClipResources, resume: bool, progress: Progress | None, keep_active: Collection[int]
) -> ClipReport:
    began = time.perf_counter()
    done = matte_segments(plan, resources, resume=resume, progress=progress, keep_active=keep_active)
    files: dict[str, Path] = {target.content: target.path for target in plan.targets}
    done.notes += finish_clip(plan)
    return done.report(plan, resources, files, time.perf_counter() - began)


@dataclass
class MattedSegments:
    """What became of segments whose parts are in the work folder.

    Attributes:
        frames: figures of each frame in order, see `FrameStats.as_dict`.
        notes: lines for the user.
        active: number of a frame → its active pixels, see `active_masks`.
        kept: number of frames that an earlier run had done.
    """

    frames: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    active: dict[int, str] = field(default_factory=dict)
    kept: int = 0

    def add(self, other: MattedSegments) -> None:
        """Append later segments."""
        self.frames += other.frames
        self.notes += other.notes
        self.active |= other.active
        self.kept += other.kept

    def report(self, plan: ClipPlan, resources: ClipResources, files: dict[str, Path], seconds: float) -> ClipReport:
        """The report of a clip whose `files` are in place."""
        pipeline = resources.pipeline
        return ClipReport(
            plan=plan, refiner=pipeline.refiner.name, engine=pipeline.refiner.engine, device=pipeline.device,
            precision=pipeline.precision, files=files, frames=self.frames, kept=self.kept, seconds=seconds,
            peak_memory=peak_memory(pipeline.device), notes=list(dict.fromkeys(self.notes)), active=self.active,
        )  # fmt: skip


def matte_segments(
    plan: ClipPlan, resources: ClipResources, *, resume: bool = False, progress: Progress | None = None,
    keep_active: Collection[int] = (),
) -> MattedSegments:  # fmt: skip
    """Mattes all segments that are not done yet into the work folder; arguments and errors as for `matte_clip`."""
    work = plan.work
    resumed = work.begin(plan.settings, resume)
    notes = [] if resumed or not resume else ["nothing to resume was left by the same settings: begun anew"]
    segments, frames, done = plan.segments, list[dict[str, Any]](), 0
    active: dict[int, str] = {}
    todo = [segment for segment in segments if work.report(segment) is None]
    kept = plan.stop - plan.start - sum(s.stop - s.start for s in todo)
    notes += check_clip_subject(plan, resources.pipeline)
    with propagation_ahead(plan, resources.solver, todo) as propagated:
        for segment in segments:
            report = work.report(segment)
            if report is None:
                notes += propagated[segment.number].result() if segment.number in propagated else []
                report = matte_segment(
                    plan, segment, resources, partial(_report_progress, progress, done, plan), keep_active
                )
                kept += report["kept"]
            done += segment.stop - segment.start
            frames += report["frames"]
            notes += report["notes"]
            active |= {int(number): mask for number, mask in report["active"].items()}
    return MattedSegments(frames, notes, active, kept)


def _report_progress(progress: Progress | None, before: int, plan: ClipPlan, done: int) -> None:
    if progress is not None:
        progress(before + done, plan.stop - plan.start)


def matte_segment(
    plan: ClipPlan, segment: Segment, resources: ClipResources, progress: Callable[[int], None] | None = None,
    keep_active: Collection[int] = (),
) -> dict[str, Any]:  # fmt: skip
    """Mattes one segment into its part files in the work folder and marks it as done.

    Depends on the plan's files alone (and, where hints are propagated, on what `propagate_hints` wrote), not on other
    segments: the result is the same on every machine of one kind.

    Args:
        plan: of the clip.
        segment: the frames.
        resources: networks, loaded once.
        progress: called after each frame with the number of frames that are done.
        keep_active: numbers of the frames whose active pixels are kept in the report.

    Returns:
        The segment's report: "frames", "kept", "notes" and "active" (see `active_masks`).

    Raises:
        UhrmatError, OSError: what stopped the work.
    """
    if plan.screen is not None:
        resources.pipeline.priors.use("key", KeyPrior(plan.screen))
    seek_clip_subject(plan, segment, resources.pipeline)
    hints = HintReader(plan.hints, (plan.info.height, plan.info.width), plan.work.hints)
    with ExitStack() as stack:
        reader = open_clip(plan.spec.source, rate=plan.spec.rate)
        stack.callback(reader.close)
        writers = [(target, stack.enter_context(_writer(plan, segment, target))) for target in plan.targets]
        run = _SegmentRun(plan, segment, resources, writers, progress, keep_active)
        run_stages(_frames(reader, segment, hints), run.find_prior, run.matte, run.write)
        notes = [*prior_note(plan, resources.pipeline.priors), *reader.notes]
    notes += [note for target, writer in writers for note in _check_written(plan, target, writer)]
    report = {"frames": run.frames, "kept": run.kept, "notes": notes, "active": run.active}
    check_unchanged(plan.inputs)
    plan.work.finish(segment, report)
    run.journal.remove()
    return report


class _SegmentRun:
    """The stages of a segment after reading, and the report of its frames.

    The prior of a frame is computed while the frame before is refined, unless the user has limited the memory: then
    only one of both runs at a time.

    A frame of a sequence that an earlier run has done is read again, for the state of the frames after it, but neither
    refined nor written.
    """

    def __init__(
        self, plan: ClipPlan, segment: Segment, resources: ClipResources, writers: list[tuple[Target, ClipWriter]],
        progress: Callable[[int], None] | None, keep_active: Collection[int],
    ) -> None:  # fmt: skip
        threshold = TEMPORAL_SPARSITY.threshold if plan.spec.threshold is None else plan.spec.threshold
        options = TemporalOptions(temporal=plan.spec.temporal, threshold=threshold, averaged=plan.spec.averaged)
        self._clip, self._job, self._tools = ClipPipeline(resources.pipeline, options), plan, resources
        self._writers, self._progress, self._keep_active = writers, progress, keep_active
        alone = resources.pipeline.max_memory is not None
        self._turn: AbstractContextManager[Any] = threading.Lock() if alone else nullcontext()
        self.active: dict[int, str] = {}
        self.frames: list[dict[str, Any]] = []
        self.kept = 0
        self.journal = Journal(plan.work.journal(segment), [w for _, w in writers if isinstance(w, SequenceWriter)])

    def find_prior(self, item: tuple[Frame, Hints, float]) -> tuple[Frame, FramePrior, float]:
        """The second stage."""
        frame, hint, seconds = item
        with self._turn:
            return frame, self._clip.find_prior(frame.picture, frame.index, hint), seconds

    def matte(self, item: tuple[Frame, FramePrior, float]) -> _MattedFrame:
        """The third stage."""
        frame, prior, seconds = item
        known = self.journal.read(frame)
        with self._turn:
            matte = self._clip.refine(
                prior, foreground=self._job.needs_foreground, known=None if known is None else known.alpha,
                matte_blur=None if known is None else known.row.get("matte_blur"),
            )  # fmt: skip
        if known is None or not matte.restored:
            self.journal.end()
            return _MattedFrame(frame, matte, seconds, None)
        return _MattedFrame(frame, matte, seconds, known.row)

    def write(self, done: _MattedFrame) -> None:
        """The fourth stage."""
        begun, matte = time.perf_counter(), done.matte
        if done.frame.index in self._keep_active:
            self.active[done.frame.index] = pack_mask(matte.active)
        if done.row is not None:
            self.kept += 1
            self.journal.passed()
            self.frames.append(done.row)
        else:
            for target, writer in self._writers:
                _write(writer, target, done.frame, matte, self._tools.background)
            taken = {"decode": done.seconds, **matte.stats.seconds, "encode": time.perf_counter() - begun}
            describe = frame_figures if self._job.hints.propagated else subject_figures
            figures = describe(self._job.work.hints, done.frame.index)
            self.frames.append({**matte.stats.as_dict(), **figures, "seconds": taken})
            self.journal.write(done.frame, FrameRecord(matte.alpha[matte.active], self.frames[-1]))
        if len(self.frames) % TRIM_EVERY == 0:
            trim_heap()
        if self._progress is not None:
            self._progress(len(self.frames))


def _frames(reader: ClipReader, segment: Segment, hints: HintReader) -> Iterator[tuple[Frame, Hints, float]]:
    """Frames with their hints, and the seconds that reading them took."""
    begun = time.perf_counter()
    for frame in reader.frames(segment.start, segment.stop):
        hint = hints(frame.index)
        yield frame, hint, time.perf_counter() - begun
        begun = time.perf_counter()


def _writer(plan: ClipPlan, segment: Segment, target: Target) -> ClipWriter:
    return open_writer(_part(plan, segment, target), plan.codec, plan.info, target.content, bits=plan.spec.bits)


def _part(plan: ClipPlan, segment: Segment, target: Target) -> Path:
    """The file of a segment's frames; stills of a sequence go to their final place at once."""
    return target.path if plan.codec.sequence else plan.work.part(segment, target.content, plan.codec.suffix)


def _write(writer: ClipWriter, target: Target, frame: Frame, matte: FrameResult, background: Background | None) -> None:
    colour = matte.foreground
    if target.content == "composite":
        assert colour is not None and background is not None
        colour = composite(colour, matte.alpha, background, matte.picture.info)
    writer.write(frame, matte.alpha, None if target.content == "alpha" else colour)


def _check_written(plan: ClipPlan, target: Target, writer: ClipWriter) -> list[str]:
    """Reads the written alpha back; a note if it differs."""
    if target.content == "composite":
        return []
    check = check_alpha(writer.path, plan.codec, writer.samples, target.content)
    if check.ok:
        return []
    return [f"{target.content}: the alpha read back from {plan.codec.name} differs (PSNR {check.psnr:.1f} dB)"]
