"""The end of a clip: the parts of its segments become its files, and what is to be said of the clip as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.core.stage import all_or_none
from uhrmat.media.video import copy_sound, join_segments, open_clip
from uhrmat.media.video.light import light_note
from uhrmat.media.video.stills import pixel_aspect_note
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagation.report import propagation_notes
from uhrmat.video.report import frame_warnings
from uhrmat.video.screen import missing_screen_note
from uhrmat.video.subject_masks import subject_notes
from uhrmat.video.targets import sound_beside
from uhrmat.video.work import check_unchanged


def finish_clip(plan: ClipPlan) -> list[str]:
    """Joins the parts of all segments into the final files, with the clip's sound, and removes the work folder.

    Returns:
        Notes about the clip as a whole.

    Raises:
        InputError: an input has changed since the clip was planned.
        OutputError: a file cannot be written.
    """
    check_unchanged(plan.inputs)
    reports = [report for segment in plan.segments if (report := plan.work.report(segment)) is not None]
    notes = clip_notes(plan, [frame for report in reports for frame in report["frames"]])
    if plan.info.fields and not plan.codec.interlaced:
        notes.append(
            f"{plan.codec.name} does not say which field is first: its frames, of both fields, count as progressive"
        )
    if plan.codec.name == "exr" and plan.needs_foreground:
        notes += light_note(plan.info.colour)
    if plan.codec.sequence:
        notes += pixel_aspect_note(plan.codec, plan.info)
    else:
        notes += join_parts(plan, {
            target.content: [plan.work.part(segment, target.content, plan.codec.suffix) for segment in plan.segments]
            for target in plan.targets
        })  # fmt: skip
    if plan.codec.sequence and plan.info.has_audio:
        notes += _sound_beside(plan)
    plan.work.remove()
    return notes


def clip_notes(plan: ClipPlan, frames: Sequence[Mapping[str, Any]]) -> list[str]:
    """Notes about the clip as a whole from the figures of its frames."""
    doubts = propagation_notes(frames, plan.hints.keys)
    sought = subject_notes(frames)
    return [*plan.hints.notes, *sought, *missing_screen_note(frames), *frame_warnings(frames), *doubts]


def join_parts(plan: ClipPlan, parts: Mapping[str, Sequence[Path]]) -> list[str]:
    """Joins the parts of each output, by its content, in order; the files get their names together. Returns notes."""
    notes: list[str] = []
    whole = plan.stop == plan.info.frames
    with all_or_none({target.content: target.path for target in plan.targets}, overwrite=plan.replace) as staged:
        for target in plan.targets:
            done = join_segments(
                parts[target.content], staged[target.content], plan.info, plan.codec,
                audio_from=plan.spec.source if plan.info.has_audio else None,
                start=plan.start or None, stop=None if whole else plan.stop,
            )  # fmt: skip
            if done.audio_path is not None:
                staged[f"sound of {target.content}"] = done.audio_path
            notes += done.notes
    return notes


def _sound_beside(plan: ClipPlan) -> list[str]:
    """Copies the sound into a file beside the first sequence, because stills hold none. Returns notes."""
    target = sound_beside(plan.targets[0].path)
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        first, last = (next(iter(reader.frames(n, n + 1)), None) for n in (plan.start, plan.stop - 1))
    origin = Fraction(0) if first is None else first.time
    whole = plan.stop == plan.info.frames or last is None
    end = None if whole or last is None else last.time + last.duration * plan.info.time_base
    count, notes = copy_sound(plan.info, target, origin, origin if plan.start else None, end)
    return [*notes, *([f"the sound, {count} packets untouched, is in {target}"] if count else [])]
