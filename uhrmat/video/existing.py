"""Outputs that are there already, in which some frames are to be matted again: found, checked and read."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from uhrmat.core.errors import InputError, OutputError
from uhrmat.hints.files import read_alpha
from uhrmat.media import read_info, read_picture
from uhrmat.media.video import open_clip, open_writer
from uhrmat.media.video.splice import PacketIndex, index_packets
from uhrmat.media.video.stills import SequenceWriter
from uhrmat.media.video.stream import StreamReader
from uhrmat.metrics import as_unit
from uhrmat.video.hints import ClipHints
from uhrmat.video.plan import ClipPlan
from uhrmat.video.ranges import FrameRange, format_range
from uhrmat.video.targets import CONTENTS, Target, choose_targets
from uhrmat.video.work import Fingerprint, fingerprint

_REPEAT = "Repeat the options that it was made with, or matte the whole clip without --redo."


@dataclass(frozen=True, kw_only=True)
class ExistingOutput:
    """An output that is there.

    Attributes:
        target: its content and place.
        files: index of a frame → its still; empty for a video file.
        packets: of a video file; None for stills.
        places: index of a frame → its place among the packets.
        state: fingerprints of its files when they were looked at.
    """

    target: Target
    files: Mapping[int, Path] = field(default_factory=dict)
    packets: PacketIndex | None = None
    places: Mapping[int, int] = field(default_factory=dict)
    state: tuple[Fingerprint, ...] = ()

    def alpha(self, index: int) -> np.ndarray:
        """The alpha of a frame, (H, W) float32 in [0, 1], of an output that holds one. Raises InputError."""
        coloured = self.target.content == "foreground"
        if self.packets is None:
            if not coloured:
                return read_alpha(self.files[index])
            alpha = read_picture(self.files[index]).alpha
            if alpha is None:
                raise InputError(f"'{self.files[index]}' has no alpha channel.", _REPEAT)
            return as_unit(alpha).clip(0, 1).astype(np.float32)
        place = self.places.get(index, -1)
        values = next(StreamReader(self.target.path).values(place, place + 1, alpha=coloured), None)
        if values is None:
            raise InputError(f"Frame {index} of '{self.target.path}' cannot be decoded.", _REPEAT)
        return values[1].clip(0, 1)


def find_existing(plan: ClipPlan) -> tuple[ExistingOutput, ...]:
    """The outputs in which the frames of `plan.spec.redo` are to be replaced. Writes nothing beside them.

    Raises:
        OutputError: one is missing or lacks frames, or was made with other settings, or the frames that follow on a
            range cannot be decoded without it.
    """
    outputs = find_outputs(plan)
    _check_others(plan)
    for frames in plan.spec.redo if plan.hints.propagated else ():
        beside = beside_range(plan, frames, outputs)
        hints = hints_of_range(plan.hints, frames, {index: plan.spec.source for index in beside})
        if hints.propagated:
            check_reached(hints, frames, frames[0] - 1 in beside, plan.spec.propagation)
    with TemporaryDirectory(prefix="uhrmat-") as scratch:
        for output in outputs:
            _check_encoding(plan, output, Path(scratch) / output.target.content)
            if output.packets is not None:
                _check_following(plan, output.packets, output.places)
    return outputs


def find_outputs(plan: ClipPlan) -> tuple[ExistingOutput, ...]:
    """The outputs of a plan that are there. Raises OutputError where one is missing or lacks frames."""
    return tuple(_find_stills(plan, t) if plan.codec.sequence else _find_file(plan, t) for t in plan.targets)


def _find_stills(plan: ClipPlan, target: Target) -> ExistingOutput:
    writer = open_writer(target.path, plan.codec, plan.info, target.content, bits=plan.spec.bits)
    assert isinstance(writer, SequenceWriter)
    numbers = plan.info.numbers or range(plan.stop)
    files = {index: writer.file(numbers[index]) for index in range(plan.start, plan.stop)}
    missing = [path for path in files.values() if not path.is_file()]
    if len(missing) == len(files):
        raise _nothing(target)
    if missing:
        raise OutputError(
            f"{len(missing)} of the {len(files)} stills of '{target.path}' are missing, first {missing[0].name}.",
            "Repeat the --start, --end or --frames that it was made with, or matte the whole clip without --redo.",
        )
    return ExistingOutput(target=target, files=files, state=tuple(fingerprint(path) for path in files.values()))


def _find_file(plan: ClipPlan, target: Target) -> ExistingOutput:
    if not target.path.is_file():
        raise _nothing(target)
    state, packets = fingerprint(target.path), index_packets(target.path)
    stamps = frame_stamps(plan)
    base = plan.info.time_base
    times = [(pts - stamps[0][0]) * base for pts, _ in stamps]
    places = _match(packets.times, times)
    if places is None:
        raise OutputError(
            f"'{target.path}' holds {len(packets.times)} frames that are not the {len(times)} of the clip.",
            "Repeat the --start, --end, --frames or --rate that it was made with, or matte the whole clip without "
            "--redo.",
        )
    return ExistingOutput(
        target=target, packets=packets, places={plan.start + at: place for at, place in places.items()}, state=(state,)
    )


def frame_stamps(plan: ClipPlan) -> list[tuple[int, int]]:
    """Time stamp and duration of each frame of a plan, in the clip's time base."""
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        return [reader.stamp(index) for index in range(plan.start, plan.stop)]


def _match(have: Sequence[Fraction], wanted: Sequence[Fraction]) -> dict[int, int] | None:
    """Position in `wanted` → position in `have` of the same time; None where `have` has another time than these, or
    lacks the first or the last."""
    near = min((b - a for a, b in itertools.pairwise(wanted)), default=Fraction(1)) / 2
    places, at = dict[int, int](), 0
    for place, time in enumerate(have):
        while at < len(wanted) and wanted[at] <= time - near:
            at += 1
        if at == len(wanted) or abs(wanted[at] - time) >= near or at in places:
            return None
        places[at] = place
    return places if 0 in places and len(wanted) - 1 in places else None


def _nothing(target: Target) -> OutputError:
    return OutputError(
        f"There is no {target.content} '{target.path}' in which frames could be matted again.",
        "Matte the clip without --redo first, or name its output with -o.",
    )


def _check_others(plan: ClipPlan) -> None:
    """Raises OutputError for another output of the clip in the same folder, which would keep its old frames."""
    if len({target.path for target in plan.targets} & {plan.spec.output}):
        return  # the output was named itself
    have = {target.content for target in plan.targets}
    for content in CONTENTS:
        if content in have or (content == "composite" and plan.spec.background is None):
            continue
        if content not in plan.codec.contents:
            continue
        spec = _with_outputs(plan, content)
        for target in spec:
            if target.path.exists():
                raise OutputError(
                    f"'{target.path}' was made of this clip too, and its frames would stay as they are.",
                    f"Give --outputs {','.join(c for c in CONTENTS if c in {*have, content})}, or move it away.",
                )


def _with_outputs(plan: ClipPlan, content: str) -> tuple[Target, ...]:
    return choose_targets(replace(plan.spec, outputs=(content,), background=None), plan.info)[1]


def _check_encoding(plan: ClipPlan, output: ExistingOutput, scratch: Path) -> None:
    """Raises OutputError for an output that was encoded in another way than its new frames would be."""
    made = _write_one(plan, output.target, scratch)
    names: tuple[str, ...]
    have: tuple[object, ...]
    new: tuple[object, ...]
    if output.packets is not None:
        have, new = output.packets.encoding, index_packets(made).encoding
        names = ("codec", "width", "height", "pixel format", "profile")
    else:
        info = read_info(next(iter(output.files.values()))), read_info(made)
        names = ("width", "height", "alpha channel", "bits")
        have, new = ((i.width, i.height, i.has_alpha, i.bit_depth) for i in info)
        if plan.codec.name == "exr":  # half or float, as the pixels of each still decide
            have, new = have[:-1], new[:-1]
    if have == new:
        return
    other = [f"{n} {h} in place of {w}" for n, h, w in zip(names, have, new, strict=False) if h != w]
    what = ", ".join(other) or "other ones of the encoder"
    raise OutputError(
        f"'{output.target.path}' was made with other settings: {what}.",
        _REPEAT,
    )


def _write_one(plan: ClipPlan, target: Target, scratch: Path) -> Path:
    """The first frame, without subject, as the plan writes it."""
    with open_clip(plan.spec.source, rate=plan.spec.rate) as reader:
        frame = next(iter(reader.frames(plan.start)))
    path = scratch if plan.codec.sequence else scratch.with_suffix(plan.codec.suffix)
    with open_writer(path, plan.codec, plan.info, target.content, bits=plan.spec.bits) as writer:
        alpha = np.zeros((plan.info.height, plan.info.width), np.float32)
        writer.write(frame, alpha, None if target.content == "alpha" else frame.picture.pixels)
    return writer.file_of(frame) if isinstance(writer, SequenceWriter) else path


def _check_following(plan: ClipPlan, packets: PacketIndex, places: Mapping[int, int]) -> None:
    """Raises OutputError where the frame after a range needs the frames of the range."""
    borders = [s.start for s in plan.segments] + [plan.stop]
    for first, last in plan.spec.redo:
        place = next((places[index] for index in range(last + 1, plan.stop) if index in places), None)
        if place is None or packets.intra or (last + 1 in borders and packets.keys[place]):
            continue
        able = [n for n in borders if n > last + 1 and (n == plan.stop or (n in places and packets.keys[places[n]]))]
        raise OutputError(
            f"Frame {last + 1} of '{packets.path}' cannot be decoded without those before it, as {plan.codec.name} "
            f"stores differences, so --redo '{format_range((first, last))}' cannot keep it as it is.",
            f"Give --redo '{first}-{able[0] - 1}'. In ProRes, FFV1 and pictures any frame can be replaced.",
        )


def hints_of_range(hints: ClipHints, frames: FrameRange, beside: Mapping[int, Path]) -> ClipHints:
    """The hints for a range of frames.

    Args:
        hints: of the whole clip.
        frames: the range.
        beside: finished mattes of the frames beside it, by index.

    Returns:
        Where every frame of the range has a file of its own, these alone; else all of them and the finished mattes,
        from which the others' are propagated. Points and boxes count as hints to propagate on any number of frames.
    """
    first, last = frames
    if not hints.propagated:
        return hints
    inside = {index: path for index, path in hints.keys.items() if first <= index <= last}
    if len(inside) == last - first + 1 and not inside.keys() & hints.prompts.keys():
        return replace(hints, keys=inside, propagated=False)
    prompts = {index: one for index, one in hints.prompts.items() if index not in beside}
    return replace(hints, keys={**hints.keys, **beside}, mattes=frozenset(beside), prompts=prompts)


def beside_range(plan: ClipPlan, frames: FrameRange, outputs: Sequence[ExistingOutput]) -> dict[int, ExistingOutput]:
    """Indices of the frames before and after a range, and the output that holds their mattes; none where none does."""
    usable = [one for one in outputs if one.target.content != "composite"]
    wanted = [index for index in (frames[0] - 1, frames[1] + 1) if plan.start <= index < plan.stop]
    return {index: usable[0] for index in wanted if usable and (usable[0].files or index in usable[0].places)}


def check_reached(hints: ClipHints, frames: FrameRange, begun: bool, propagation: str) -> None:
    """Raises InputError where propagated hints do not reach the first frame of a range.

    Args:
        hints: of the range, see `hints_of_range`.
        frames: the range.
        begun: the finished matte of the frame before it is there.
        propagation: one of `propagation.params.METHODS`, or a promptable network.
    """
    first = frames[0]
    before = any(index < first for index in hints.keys)
    backward = propagation != "flow" and any(index > first for index in hints.keys)
    if begun or first in hints.keys or (backward and not before):
        return
    raise InputError(
        f"No hint reaches frame {first}, the first of --redo '{format_range(frames)}'.", f"Give a {hints.kind} for it."
    )
