"""A clip from its files to its files: segments one by one, each in three overlapping stages, joined at the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from uhrmat.core.devices import peak_memory
from uhrmat.core.memory import TRIM_EVERY, limit_kernel_cache, trim_heap
from uhrmat.core.stage import all_or_none
from uhrmat.hints.read import Hints
from uhrmat.media.composite import Background, composite, need_opaque, parse_background
from uhrmat.media.video import (
    ClipReader,
    ClipWriter,
    Frame,
    check_alpha,
    copy_sound,
    join_segments,
    open_clip,
    open_writer,
)
from uhrmat.media.video.light import light_note
from uhrmat.media.video.stills import SequenceWriter, pixel_aspect_note
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.chroma_key.key import KeyPrior
from uhrmat.prior.closed_form.affinity import AffinityPrior, Solver
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY
from uhrmat.video.frames import ClipPipeline, FrameResult, TemporalOptions
from uhrmat.video.hints import HintReader
from uhrmat.video.journal import Journal, Known
from uhrmat.video.plan import ClipPlan
from uhrmat.video.report import ClipReport, frame_warnings
from uhrmat.video.screen import unseen_note
from uhrmat.video.segments import Segment
from uhrmat.video.shown import pack
from uhrmat.video.stages import run_stages
from uhrmat.video.targets import Target, sound_beside
from uhrmat.video.track import track_segment
from uhrmat.video.work import check_unchanged

Progress = Callable[[int, int], None]
"""Told after each frame: how many of how many are done."""


@dataclass
class Tools:
    """What a machine needs to matte segments of a job, made once: networks, and what stands behind the subject."""

    matter: StillPipeline
    background: Background | None
    solver: Solver | None = None

    def __post_init__(self) -> None:
        """Raises InputError for a background that can be seen through."""
        if self.background is not None:
            need_opaque(self.background)

    @classmethod
    def of(cls, job: ClipPlan, solver: Solver | None = None) -> Tools:
        """Loads the networks. A hint that is carried has been to the prior already: it comes as an alpha."""
        limit_kernel_cache()
        model = replace(job.spec.model, working_size=job.side)
        if job.hints.carried:
            model = replace(model, prior="alpha")
        background = None if job.spec.background is None else parse_background(job.spec.background)
        return cls(StillPipeline.from_options(model, solver=solver), background, solver)


@dataclass(frozen=True)
class _Done:
    """A frame that was matted; seconds: that reading it took; row: its line of the report where an earlier run wrote
    its stills."""

    frame: Frame
    matte: FrameResult
    seconds: float
    row: dict[str, Any] | None


def matte_clip(
    job: ClipPlan, tools: Tools, *, resume: bool = False, progress: Progress | None = None, shown: Collection[int] = ()
) -> ClipReport:
    """Mattes all segments that are not done yet and puts the results in place. Raises UhrmatError, OSError.

    shown: numbers of the frames whose active pixels are kept for the report.

    Whatever goes wrong, no file has a final name but whole stills of a sequence; segments that are done, and what a
    sequence needs to go on after its last still, stay in the work folder for `resume`. One run at a time holds it.
    """
    with job.work.held():
        return _matte_clip(job, tools, resume, progress, shown)


def _matte_clip(
    job: ClipPlan, tools: Tools, resume: bool, progress: Progress | None, shown: Collection[int]
) -> ClipReport:
    work, began = job.work, time.perf_counter()
    resumed = work.begin(job.settings, resume)
    notes = [] if resumed or not resume else ["nothing to resume was left by the same settings: begun anew"]
    segments, frames, done = job.segments, [], 0
    active: dict[int, str] = {}
    todo = [segment for segment in segments if work.report(segment) is None]
    kept = job.stop - job.start - sum(s.stop - s.start for s in todo)
    with _tracking(job, tools, segments, todo) as tracked:
        for segment in segments:
            found = work.report(segment)
            if found is None:
                notes += tracked[segment.number].result() if segment.number in tracked else []
                found = matte_segment(job, segment, tools, partial(_tell, progress, done, job), shown)
                kept += found["kept"]
            done += segment.stop - segment.start
            frames += found["frames"]
            notes += found["notes"]
            active |= {int(number): mask for number, mask in found["active"].items()}
    files: dict[str, Path] = {target.content: target.path for target in job.targets}
    notes += finish(job)
    return ClipReport(
        job=job,
        matter=tools.matter,
        files=files,
        frames=frames,
        kept=kept,
        seconds=time.perf_counter() - began,
        peak_memory=peak_memory(tools.matter.device),
        notes=list(dict.fromkeys(notes)),
        active=active,
    )


def _tell(progress: Progress | None, before: int, job: ClipPlan, done: int) -> None:
    if progress is not None:
        progress(before + done, job.stop - job.start)


@contextmanager
def _tracking(
    job: ClipPlan, tools: Tools, segments: list[Segment], todo: list[Segment]
) -> Iterator[Mapping[int, Future[list[str]]]]:
    """Carries hints through every segment from the first that is not done, in order, while earlier ones are matted."""
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        wanted = [s for s in segments if todo and s.number >= todo[0].number] if job.hints.carried else []
        try:
            yield {s.number: pool.submit(carry_hints, job, s, tools.solver, stop) for s in wanted}
        finally:
            stop.set()
            pool.shutdown(cancel_futures=True)


def carry_hints(
    job: ClipPlan, segment: Segment, solver: Solver | None = None, stop: threading.Event | None = None
) -> list[str]:
    """The sequential half of a segment whose hints are carried: the segments before must have been through it."""
    name = job.spec.model.prior
    prior = AffinityPrior("closed-form" if name == "auto" else name, solver)
    assert job.side is not None
    with open_clip(job.spec.source, rate=job.spec.rate) as reader:
        return track_segment(reader, segment, job.hints, prior, job.side, job.work.hints, stop)


def matte_segment(
    job: ClipPlan, segment: Segment, tools: Tools, progress: Callable[[int], None] | None = None,
    shown: Collection[int] = (),
) -> dict[str, Any]:  # fmt: skip
    """Mattes one segment into its part files in the work folder and marks it as done; returns its report.

    Depends on the job's files alone (and, where hints are carried, on what `carry_hints` wrote), not on any other
    segment: the same on every machine of one kind.
    """
    if job.screen is not None:
        tools.matter.priors.use("key", KeyPrior(job.screen))
    hints = HintReader(job.hints, (job.info.height, job.info.width), job.work.hints)
    with ExitStack() as stack:
        reader = open_clip(job.spec.source, rate=job.spec.rate)
        stack.callback(reader.close)
        writers = [(target, stack.enter_context(_writer(job, segment, target))) for target in job.targets]
        run = _SegmentRun(job, segment, tools, writers, progress, shown)
        run_stages(_frames(reader, segment, hints), run.matte, run.write)
        notes = list(reader.notes)
    notes += [note for target, writer in writers for note in _checked(job, target, writer)]
    report = {"frames": run.frames, "kept": run.kept, "notes": notes, "active": run.active}
    check_unchanged(job.inputs)
    job.work.finish(segment, report)
    run.journal.remove()
    return report


class _SegmentRun:
    """The frames of a segment on their way: the second and the third stage, and what is reported of them.

    A frame of a sequence that an earlier run has done is gone through, for the sake of those after it, but neither
    refined nor written again.
    """

    def __init__(
        self, job: ClipPlan, segment: Segment, tools: Tools, writers: list[tuple[Target, ClipWriter]],
        progress: Callable[[int], None] | None, shown: Collection[int],
    ) -> None:  # fmt: skip
        threshold = TEMPORAL_SPARSITY.threshold if job.spec.threshold is None else job.spec.threshold
        gate = TemporalOptions(job.spec.temporal, threshold, averaged=job.spec.averaged)
        self._clip, self._job, self._tools = ClipPipeline(tools.matter, gate), job, tools
        self._writers, self._progress, self._shown = writers, progress, shown
        self.active: dict[int, str] = {}
        self.frames: list[dict[str, Any]] = []
        self.kept = 0
        self.journal = Journal(job.work.journal(segment), [w for _, w in writers if isinstance(w, SequenceWriter)])

    def matte(self, item: tuple[Frame, Hints, float]) -> _Done:
        """The second stage."""
        frame, hint, seconds = item
        known = self.journal.read(frame)
        matte = self._clip.frame(
            frame.picture, frame.index, hint, foreground=self._job.needs_foreground,
            known=None if known is None else known.alpha,
        )  # fmt: skip
        if known is None or not matte.recalled:
            self.journal.end()
            return _Done(frame, matte, seconds, None)
        return _Done(frame, matte, seconds, known.row)

    def write(self, done: _Done) -> None:
        """The third stage."""
        begun, matte = time.perf_counter(), done.matte
        if done.frame.index in self._shown:
            self.active[done.frame.index] = pack(matte.active)
        if done.row is not None:
            self.kept += 1
            self.journal.passed()
            self.frames.append(done.row)
        else:
            for target, writer in self._writers:
                _write(writer, target, done.frame, matte, self._tools.background)
            taken = {"decode": done.seconds, **matte.stats.seconds, "encode": time.perf_counter() - begun}
            self.frames.append({**matte.stats.as_dict(), "seconds": taken})
            self.journal.write(done.frame, Known(matte.alpha[matte.active], self.frames[-1]))
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


def _writer(job: ClipPlan, segment: Segment, target: Target) -> ClipWriter:
    return open_writer(_part(job, segment, target), job.codec, job.info, target.content, bits=job.spec.bits)


def _part(job: ClipPlan, segment: Segment, target: Target) -> Path:
    """Where a segment's frames go: stills of a sequence at once where they belong."""
    return target.path if job.codec.sequence else job.work.part(segment, target.content, job.codec.suffix)


def _write(writer: ClipWriter, target: Target, frame: Frame, matte: FrameResult, background: Background | None) -> None:
    colour = matte.foreground
    if target.content == "composite":
        assert colour is not None and background is not None
        colour = composite(colour, matte.alpha, background, matte.picture.info)
    writer.write(frame, matte.alpha, None if target.content == "alpha" else colour)


def _checked(job: ClipPlan, target: Target, writer: ClipWriter) -> list[str]:
    """Reads the written alpha back; a note where it is not what was meant."""
    if target.content == "composite":
        return []
    found = check_alpha(writer.path, job.codec, writer.samples, target.content)
    if found.ok:
        return []
    return [f"{target.content}: the alpha read back from {job.codec.name} differs (PSNR {found.psnr:.1f} dB)"]


def finish(job: ClipPlan) -> list[str]:
    """Joins the parts of all segments into the final files, with the clip's sound, and removes the work folder.
    Returns what is to be said of the clip as a whole. Raises InputError where a file that was read has changed."""
    check_unchanged(job.inputs)
    reports = [report for segment in job.segments if (report := job.work.report(segment)) is not None]
    frames = [frame for report in reports for frame in report["frames"]]
    notes = [*job.hints.notes, *unseen_note(frames), *frame_warnings(frames)]
    if job.info.fields and not job.codec.interlaced:
        notes.append(
            f"{job.codec.name} does not say which field is first: its frames, of both fields, count as progressive"
        )
    if job.codec.name == "exr" and job.needs_foreground:
        notes += light_note(job.info.colour)
    notes += pixel_aspect_note(job.codec, job.info) if job.codec.sequence else _join(job)
    if job.codec.sequence and job.info.has_audio:
        notes += _sound_beside(job)
    job.work.remove()
    return notes


def _join(job: ClipPlan) -> list[str]:
    """The files of all outputs, which take their names together. Returns notes."""
    notes: list[str] = []
    whole = job.stop == job.info.frames
    with all_or_none({target.content: target.path for target in job.targets}, overwrite=job.replace) as staged:
        for target in job.targets:
            parts = [job.work.part(segment, target.content, job.codec.suffix) for segment in job.segments]
            done = join_segments(
                parts, staged[target.content], job.info, job.codec,
                audio_from=job.spec.source if job.info.has_audio else None,
                start=job.start or None, stop=None if whole else job.stop,
            )  # fmt: skip
            if done.audio_path is not None:
                staged[f"sound of {target.content}"] = done.audio_path
            notes += done.notes
    return notes


def _sound_beside(job: ClipPlan) -> list[str]:
    """Stills carry no sound: it goes into a file beside the first sequence. Returns notes."""
    target = sound_beside(job.targets[0].path)
    with open_clip(job.spec.source, rate=job.spec.rate) as reader:
        first, last = (next(iter(reader.frames(n, n + 1)), None) for n in (job.start, job.stop - 1))
    origin = Fraction(0) if first is None else first.time
    whole = job.stop == job.info.frames or last is None
    end = None if whole or last is None else last.time + last.duration * job.info.time_base
    count, notes = copy_sound(job.info, target, origin, origin if job.start else None, end)
    return [*notes, *([f"the sound, {count} packets untouched, is in {target}"] if count else [])]
