"""Mattes ranges of a clip's frames again inside its finished outputs; every other frame stays as it is.

A range is matted as a clip of its own. Where a hint is propagated, the finished mattes of the frames on either side
count as key frames beside the hints that are given, so that the new frames join on to the old ones. Only when all
ranges are done do the outputs change: new stills take the place of the old ones together, and a video file is joined
anew from the packets that it had and the new ones, without encoding anything twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uhrmat.core.durable import link_or_copy
from uhrmat.core.stage import all_or_none
from uhrmat.media import write_alpha
from uhrmat.media.video import open_writer
from uhrmat.media.video.names import FrameNames
from uhrmat.media.video.splice import copy_packets
from uhrmat.media.video.stills import SequenceWriter
from uhrmat.video.existing import ExistingOutput, beside_range, frame_stamps, hints_of_range
from uhrmat.video.finish import clip_notes, join_parts
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagate import begin_after
from uhrmat.video.propagation.states import key_trust
from uhrmat.video.ranges import FrameRange, format_range, format_ranges
from uhrmat.video.report import ClipReport
from uhrmat.video.run import ClipResources, MattedSegments, Progress, matte_segments
from uhrmat.video.targets import Target
from uhrmat.video.work import check_unchanged, settings_hash


@dataclass(frozen=True)
class _Range:
    """A range of frames as a plan of its own, and the finished mattes (H, W) of the frames beside it, by index."""

    frames: FrameRange
    plan: ClipPlan
    beside: Mapping[int, np.ndarray]


def redo_clip(
    plan: ClipPlan, resources: ClipResources, outputs: Sequence[ExistingOutput], *, resume: bool = False,
    progress: Progress | None = None,
    keep_active: Collection[int] = (),
) -> ClipReport:  # fmt: skip
    """Mattes the frames of `plan.spec.redo` again; other arguments as for `run.matte_clip`.

    Whatever goes wrong, the outputs stay as they were; what was computed stays in the work folder for `resume`.

    Args:
        plan: of the clip, with the outputs' own range of frames.
        resources: networks, loaded once.
        outputs: the outputs that are there, see `existing.find_existing`.
        resume, progress, keep_active: see there.

    Returns:
        What was done, with the figures of the frames that were matted again.

    Raises:
        UhrmatError, OSError: what stopped the run.
    """
    began, root = time.perf_counter(), plan.work.folder / "redo"
    with plan.work.locked():
        if not resume:
            shutil.rmtree(root, ignore_errors=True)
        ranges = [_plan_range(plan, frames, outputs, root) for frames in plan.spec.redo]
        done, total = MattedSegments(), sum(last - first + 1 for first, last in plan.spec.redo)
        for one in ranges:
            done.add(_matte_range(one, resources, resume, _shifted(progress, len(done.frames), total), keep_active))
        check_unchanged([*plan.inputs, *(state for output in outputs for state in output.state)])
        if plan.codec.sequence:
            _replace_stills(plan, ranges, outputs)
        else:
            done.notes += _replace_packets(plan, ranges, outputs, root)
        shutil.rmtree(root, ignore_errors=True)
    done.notes += clip_notes(plan, done.frames)
    done.notes.append(f"matted again: frames {format_ranges(plan.spec.redo)}; all others are as they were")
    files: dict[str, Path] = {target.content: target.path for target in plan.targets}
    return done.report(plan, resources, files, time.perf_counter() - began)


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)


def _plan_range(plan: ClipPlan, frames: FrameRange, outputs: Sequence[ExistingOutput], root: Path) -> _Range:
    """The plan of a range, whose outputs lie below `root`."""
    (first, last), folder = frames, root / format_range(frames)
    beside = {}
    if plan.hints.propagated:
        beside = {i: o.alpha(i) for i, o in beside_range(plan, frames, outputs).items()}
    files = {index: folder / f"beside-{index:06d}.png" for index, alpha in beside.items() if (alpha > 0.5).any()}
    hints = hints_of_range(plan.hints, frames, files)
    targets = tuple(Target(target.content, _place(plan, target, folder)) for target in plan.targets)
    if hints.propagated:
        folder.mkdir(parents=True, exist_ok=True)
        for index, path in files.items():
            if not path.is_file():  # an earlier run's: the same, and its time must not change
                write_alpha(path, beside[index], "png16")
    settings = settings_hash({
        "whole": plan.settings, "redo": list(frames), "outputs": [state for o in outputs for state in o.state],
    })  # fmt: skip
    part = replace(
        plan, start=first, stop=last + 1, targets=targets, hints=hints, settings=settings, inputs=plan.inputs
    )
    return _Range(frames, part, beside)


def _place(plan: ClipPlan, target: Target, folder: Path) -> Path:
    """Where a range's output lies before it is put into the finished one; stills keep their names."""
    if not plan.codec.sequence:
        return folder / f"{target.content}{plan.codec.suffix}"
    pattern = target.path.suffix.lower() in plan.codec.suffixes and FrameNames.parse(target.path) is not None
    inside = folder / target.content
    return inside / target.path.name if pattern and not target.path.is_dir() else inside


def _matte_range(
    one: _Range, resources: ClipResources, resume: bool, progress: Progress | None, keep_active: Collection[int]
) -> MattedSegments:
    """Mattes a range into its part files, after what is known beside it."""
    plan, first = one.plan, one.frames[0]
    plan.work.begin(plan.settings, resume)
    if plan.hints.propagated and first - 1 in one.beside:
        assert plan.side is not None
        training = None if plan.spec.propagation == "flow" else plan.spec.training
        trust = key_trust(plan.hints, first - 1)
        begin_after(plan.work.hints, first - 1, one.beside[first - 1], plan.side, training, trust)
    if plan.hints.propagated != resources.propagated:
        resources = replace(resources, pipeline=ClipResources.load(plan, resources.solver).pipeline)
    return matte_segments(plan, resources, resume=True, progress=progress, keep_active=keep_active)


def _replace_stills(plan: ClipPlan, ranges: Sequence[_Range], outputs: Sequence[ExistingOutput]) -> None:
    """Puts all new stills in the place of the old ones; those of one folder take their names together."""
    numbers = plan.info.numbers or range(plan.stop)
    with ExitStack() as stack:
        for output in outputs:
            new: dict[str, tuple[Path, Path]] = {}
            for one in ranges:
                target = next(t for t in one.plan.targets if t.content == output.target.content)
                writer = open_writer(target.path, plan.codec, plan.info, target.content, bits=plan.spec.bits)
                assert isinstance(writer, SequenceWriter)
                for index in range(one.plan.start, one.plan.stop):
                    new[str(index)] = writer.file(numbers[index]), output.files[index]
            staged = stack.enter_context(all_or_none({name: old for name, (_, old) in new.items()}))
            for name, (made, _) in new.items():
                link_or_copy(made, staged[name])


def _replace_packets(
    plan: ClipPlan, ranges: Sequence[_Range], outputs: Sequence[ExistingOutput], root: Path
) -> list[str]:
    """Joins each file anew from its own packets and those of the ranges. Returns notes."""
    stamps, parts = frame_stamps(plan), dict[str, list[Path]]()
    for output in outputs:
        content, pieces, at = output.target.content, list[Path](), plan.start
        for one in ranges:
            pieces += _kept(plan, output, range(at, one.plan.start), stamps, root)
            pieces += [one.plan.work.part(segment, content, plan.codec.suffix) for segment in one.plan.segments]
            at = one.plan.stop
        parts[content] = [*pieces, *_kept(plan, output, range(at, plan.stop), stamps, root)]
    return join_parts(plan, parts)


def _kept(
    plan: ClipPlan, output: ExistingOutput, frames: range, stamps: Sequence[tuple[int, int]], root: Path
) -> list[Path]:
    """A segment of those frames of a range that the output has, as they are; none where it has none."""
    kept = [index for index in frames if index in output.places]
    if not kept:
        return []
    assert output.packets is not None
    places = range(output.places[kept[0]], output.places[kept[-1]] + 1)
    out = root / f"kept-{output.target.content}-{kept[0]:06d}{plan.codec.suffix}"
    return [copy_packets(output.packets, places, [stamps[index - plan.start] for index in kept], out, plan.info)]
