"""A clip whose frames are the masks, trimaps or alphas of another clip: which frame belongs to which, and its samples.

The frames are data: no colour management, the range of the codes honoured. Nothing here imports torch.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import check_hint_size, resize_mask, resize_trimap, single_channel
from uhrmat.media.coding import normalise_trimap
from uhrmat.media.video import ClipInfo, open_clip
from uhrmat.media.video.stream import StreamReader

_SAME_RATE = Fraction(1, 1000)
"""Rates that differ by less, as a share, count as one: 24 and 24000/1001 are one frame apart after 40 seconds."""
_SAMPLED = 5
"""Frames, evenly spread, by which it is decided which channel of a hint clip holds its values."""
_AHEAD = 32
"""Frames that are decoded and passed over rather than sought."""


@dataclass(frozen=True, kw_only=True)
class HintClip:
    """A clip that holds the hints of another one.

    Attributes:
        path: of the video file.
        kind: "mask", "trimap" or "alpha".
        frames: index of a frame of the clip that is matted → index of the frame that is its hint.
        alpha: whether the alpha channel holds the values; else the grey does.
        size: (H, W) of its frames, pixels.
        notes: lines for the user about how frames were matched.
    """

    path: Path
    kind: str
    frames: Mapping[int, int]
    alpha: bool
    size: tuple[int, int]
    notes: tuple[str, ...] = field(default=(), compare=False)


def match_hint_clip(path: Path, kind: str, info: ClipInfo, start: int, stop: int) -> HintClip:
    """Find which frame of a hint clip belongs to each frame of a clip.

    Clips with equally many frames, or of one rate, are matched by the number of the frame, others by time: a frame's
    hint is the one that is shown when it begins. A hint clip with exactly as many frames as are matted belongs to
    these.

    Args:
        path: the hint clip, a video file.
        kind: "mask", "trimap" or "alpha".
        info: of the clip that is matted.
        start, stop: its frames; `stop` is not included.

    Raises:
        InputError: the hint clip cannot be read, is coloured, has other proportions, or has no hint for `start`.
    """
    with open_clip(path) as reader:
        assert isinstance(reader, StreamReader)
        have = reader.info
        size = have.height, have.width
        check_hint_size(
            f"The {kind} clip '{path}'",
            "alpha",
            size,
            (info.height, info.width),
            picture=f"the clip '{info.path.name}'",
        )
        frames, notes = _match(reader, kind, info, start, stop)
        alpha = have.has_alpha and not _opaque(reader)
        if not alpha:
            _check_grey(reader, f"The {kind} clip '{path}'")
    if kind != "alpha" and size != (info.height, info.width):
        notes.append(f"the {kind} clip is {have.width}x{have.height} and is scaled to {info.width}x{info.height}")
    if have.has_alpha and not alpha:
        notes.append(f"the {kind} clip's alpha channel is opaque: its grey values are taken")
    notes += [note for note in reader.notes if note not in notes]
    return HintClip(path=path, kind=kind, frames=frames, alpha=alpha, size=size, notes=tuple(notes))


def _match(reader: StreamReader, kind: str, info: ClipInfo, start: int, stop: int) -> tuple[dict[int, int], list[str]]:
    """The hint's index by the frame's, and notes about how they were matched."""
    have, count, total = reader.info, reader.info.frames or 0, info.frames
    notes: list[str] = []
    numbers = info.numbers
    if count == total:
        frames = {index: index for index in range(start, stop)}
    elif count == stop - start:
        frames = {index: index - start for index in range(start, stop)}
        notes.append(f"the {kind} clip has {count} frames, as many as are matted: its first is for frame {start}")
    elif numbers and count == numbers[-1] - numbers[0] + 1:
        frames = {index: numbers[index] - numbers[0] for index in range(start, stop)}
    elif info.kind == "sequence" or _one_rate(have, info):
        frames = {index: index for index in range(start, min(stop, count))}
        if total is not None and count > total:
            notes.append(f"the {kind} clip has {count} frames, the clip {total}: the last {count - total} are not used")
    else:
        frames = _match_times(reader, info, start, stop)
        notes.append(
            f"the {kind} clip has {float(have.rate):.6g} frames a second and the clip {float(info.rate):.6g}: their "
            "frames are matched by time"
        )
    if start not in frames:
        raise InputError(
            f"The {kind} clip '{reader.path}' ends after {count} frames, but the first to be matted is {start}.",
            f"Give the {kind} clip that belongs to the whole clip, or to exactly the {stop - start} frames.",
        )
    if len(frames) < stop - start:
        notes.append(
            f"the {kind} clip ends at frame {max(frames)} of the clip: from there its last {kind} is propagated"
        )
    return frames, notes


def _one_rate(have: ClipInfo, info: ClipInfo) -> bool:
    return not (have.variable or info.variable) and abs(have.rate / info.rate - 1) < _SAME_RATE


def _match_times(reader: StreamReader, info: ClipInfo, start: int, stop: int) -> dict[int, int]:
    """The hint that is shown when each frame begins, up to the end of the hint clip."""
    times = [reader.time(index) for index in range(reader.info.frames or 0)]
    slack = min((b - a for a, b in itertools.pairwise(times)), default=Fraction(1)) / 8
    end = times[-1] + 1 / reader.info.rate
    frames = {}
    for index, time in zip(range(start, stop), _times(info, start, stop), strict=True):
        if time < end - slack or time <= times[-1]:
            frames[index] = bisect.bisect_right(times, time + slack) - 1
    return frames


def _times(info: ClipInfo, start: int, stop: int) -> list[Fraction]:
    """When the frames are shown, in seconds after the first of the clip."""
    if not info.variable:
        return [index / info.rate for index in range(start, stop)]
    with open_clip(info.path) as reader:
        assert isinstance(reader, StreamReader)
        return [reader.time(index) for index in range(start, stop)]


def _samples(reader: StreamReader) -> Iterator[int]:
    count = reader.info.frames or 1
    yield from dict.fromkeys(round(n * (count - 1) / (_SAMPLED - 1)) for n in range(_SAMPLED))


def _opaque(reader: StreamReader) -> bool:
    """Whether the alpha channel is opaque in every sampled frame, so that it holds no matte."""
    return all(
        float(values.min()) >= 1.0
        for number in _samples(reader)
        for _, values in reader.values(number, number + 1, alpha=True)
    )


def _check_grey(reader: StreamReader, name: str) -> None:
    """Raises InputError for a clip with colours in a sampled frame."""
    for number in _samples(reader):
        for frame in reader.frames(number, number + 1):
            single_channel(name, frame.picture.pixels, None)


class HintFrames:
    """The hints in a hint clip, in the type that `read_hints` takes.

    Frames requested in ascending order are decoded one after another; for others the file is sought. Both give
    the same values.

    Args:
        clip: the hint clip.
        size: (H, W) of the clip that is matted. Masks and trimaps are scaled to it, alphas keep their size.
    """

    def __init__(self, clip: HintClip, size: tuple[int, int]) -> None:
        reader = open_clip(clip.path)
        assert isinstance(reader, StreamReader)
        self._clip, self._size, self._reader = clip, size, reader
        self._frames: Iterator[tuple[int, np.ndarray]] = iter(())
        self._at: int | None = None
        self._hint = np.empty((0, 0), np.float32)

    def __call__(self, index: int) -> np.ndarray:
        """The hint of frame `index`: a trimap (H, W) uint8, a mask (H, W) or an alpha (h, w) float32 in [0, 1].

        Raises InputError where it cannot be decoded.
        """
        wanted = self._clip.frames[index]
        if wanted != self._at:
            self._hint = self._prepare(self._decode(wanted))
        return self._hint

    def _decode(self, wanted: int) -> np.ndarray:
        if self._at is None or not 0 < wanted - self._at <= _AHEAD:
            self._frames = self._reader.values(wanted, alpha=self._clip.alpha)
        self._at = None  # an error leaves no position
        for at, values in self._frames:
            if at == wanted:
                self._at = at
                return values
            if at > wanted:
                break
        raise InputError(
            f"Frame {wanted} of the {self._clip.kind} clip '{self._clip.path}' cannot be decoded.",
            "Repair that clip, or leave the frame out with the range of frames.",
        )

    def _prepare(self, values: np.ndarray) -> np.ndarray:
        kind, scaled = self._clip.kind, values.shape != self._size
        if kind == "trimap":
            trimap = normalise_trimap(values, lossy=True)
            return resize_trimap(trimap, self._size) if scaled else trimap
        return resize_mask(values, self._size) if kind == "mask" and scaled else values
