"""When each frame is shown: the time stamps of a stream, read from its packets without decoding any."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.media.video.types import Array

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av.container import InputContainer


_NONE = -(2**63)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Display times of all frames, strictly ascending, in the stream's time base, and where decoding can begin.

    `stamped` is False for raw streams without any time stamp; then `pts` counts frames. `broken` says that reading the
    packets ended in an error rather than at the end of the file, `discarded` how many packets an edit list hides.

    A frame's index is the rank of its own time stamp. Where stamps repeat or go backward, `places` holds the index of
    the frame of each packet, -1 for none, and `keys` the positions of key frames in the file rather than their stamps;
    `irregular` counts such stamps. `counted`: the stamps do not tell the order of display, the decoder's output does.
    """

    pts: array[int]
    keys: array[int]
    last_duration: int
    stamped: bool
    broken: bool
    discarded: int = 0
    places: array[int] | None = None
    irregular: int = 0
    counted: bool = False

    def __len__(self) -> int:
        return len(self.pts)

    def rank(self, pts: int) -> int:
        """The index of the frame shown at `pts`, the nearest where none is."""
        at = bisect.bisect_left(self.pts, pts)
        if at == len(self.pts) or (at > 0 and pts - self.pts[at - 1] < self.pts[at] - pts):
            return at - 1
        return at

    def duration(self, index: int) -> int:
        """How long frame `index` is shown, in the time base."""
        if index + 1 < len(self.pts):
            return self.pts[index + 1] - self.pts[index]
        return self.last_duration or (self.pts[-1] - self.pts[-2] if len(self.pts) > 1 else 0)

    def entries(self, index: int) -> Iterator[int | None]:
        """Where to begin decoding for frame `index`, nearest first: elements of `keys`, then None: the start."""
        if self.stamped and not self.counted:
            wanted = self.pts[index] if self.places is None else self.places.index(index)
            before = bisect.bisect_right(self.keys, wanted)
            for back in (1, 3):
                if before - back > 0:
                    yield self.keys[before - back]
        yield None


def scan(container: InputContainer, stream: Any) -> Timeline:
    """Read all packets of `stream` once. Damage ends the reading, it is no error here."""
    import av

    packets = _Packets()
    broken = False
    try:
        for packet in container.demux(stream):
            if packet.size:
                packets.add(packet)
    except av.error.FFmpegError:
        broken = True
    if not packets.last[0] > _NONE:
        return Timeline(
            pts=array("q", range(packets.bare)), keys=array("q"), last_duration=1, stamped=False, broken=broken
        )
    # AVI has no display times: FFmpeg's guesses for H.264 and HEVC are the decoding order
    context = stream.codec_context
    guessed = container.format.name == "avi" and context.name in ("h264", "hevc") and context.has_b_frames
    return packets.timeline(broken, Fraction(stream.time_base), counted=bool(guessed))


class _Packets:
    """Time stamps of a stream's packets in the order of the file, `_NONE` for those without a frame or a stamp."""

    def __init__(self) -> None:
        self.stamps, self.decoding, self.keys = array("q"), array("q"), array("q")
        self.last, self.bare, self.discarded = (_NONE, 0), 0, 0

    def add(self, packet: Any) -> None:
        stamp = packet.dts if packet.pts is None else packet.pts
        if packet.is_discard:
            self.discarded, stamp = self.discarded + 1, _NONE
        elif stamp is None:
            self.bare, stamp = self.bare + 1, _NONE
        else:
            self.last = max(self.last, (stamp, packet.duration or 0))
            if packet.is_keyframe:
                self.keys.append(len(self.stamps))
        self.stamps.append(stamp)
        self.decoding.append(_NONE if packet.dts is None else packet.dts)

    def timeline(self, broken: bool, time_base: Fraction, *, counted: bool) -> Timeline:
        stamps = np.frombuffer(self.stamps, np.int64)
        there = np.flatnonzero(stamps != _NONE)
        parts = self._parts(there, max(1, round(Fraction(1, 2) / time_base)))
        order = np.lexsort((there, stamps[there], parts))
        ordered, jumps = stamps[there][order], int(parts[-1])
        repeats = int(np.sum((np.diff(ordered) == 0) & (np.diff(parts[order]) == 0)))
        if not repeats and not jumps:
            keys = array("q", sorted(self.stamps[key] for key in self.keys))
            return Timeline(
                pts=_array(ordered),
                keys=keys,
                last_duration=self.last[1],
                stamped=True,
                broken=broken,
                discarded=self.discarded,
                counted=counted,
            )
        times = _ascending(ordered, parts[order])
        places = np.full(len(stamps), -1, np.int64)
        places[there[order]] = np.arange(len(order))
        return Timeline(
            pts=_array(times),
            keys=self.keys,
            last_duration=self.last[1],
            stamped=True,
            broken=broken,
            discarded=self.discarded,
            places=_array(places),
            irregular=repeats + jumps,
            counted=counted,
        )

    def _parts(self, there: Array, far: int) -> Array:
        """For each packet with a stamp, how often time went backward before it: decoding times, which only ascend in a
        sound file, at a key frame or by more than `far`; display times where there are no decoding times."""
        decoding, stamps = np.frombuffer(self.decoding, np.int64)[there], np.frombuffer(self.stamps, np.int64)[there]
        times = np.where(decoding == _NONE, stamps, decoding)
        step = np.diff(times, prepend=times[0])
        step[1:][(decoding[1:] == _NONE) != (decoding[:-1] == _NONE)] = 0
        key = np.isin(there, np.frombuffer(self.keys, np.int64))
        bare = decoding == _NONE
        return np.cumsum(((step < 0) & key) | ((step < -far) & ~bare))


def _ascending(stamps: Array, parts: Array) -> Array:
    """Strictly ascending times of frames in their order: each part follows on where it would begin before the end of
    the one before, frames of one time share the time up to the next."""
    times = stamps.copy()
    steps = np.diff(times)
    steps = steps[steps > 0]
    usual = max(1, int(np.median(steps))) if len(steps) else 1
    for first in np.flatnonzero(np.diff(parts)) + 1:
        late = times[first - 1] + usual - times[first]
        if late > 0 and times[first] <= times[first - 1]:
            times[first:] += late
    values, starts, counts = np.unique(times, return_index=True, return_counts=True)
    room = np.append(np.diff(values), usual)
    inside = np.arange(len(times)) - np.repeat(starts, counts)
    times = times + inside * np.repeat(room, counts) // np.repeat(counts, counts)
    rank = np.arange(len(times))
    return np.asarray(np.maximum.accumulate(times - rank) + rank)


def _array(values: Array) -> array[int]:
    return array("q", values.astype(np.int64).tobytes())


def measure_rate(timeline: Timeline, time_base: Fraction, announced: list[Fraction | None]) -> tuple[Fraction, bool]:
    """Frames per second, and whether time stamps are uneven by more than the rounding of their time base.

    An announced rate is taken where it agrees with the time stamps to one in a thousand, or as well as they can tell,
    so that 30000/1001 stays itself in containers that count milliseconds.
    """
    rates = [Fraction(r) for r in announced if r and r > 0]
    if len(timeline) < 2 or not timeline.stamped:
        return (rates[0] if rates else Fraction(25)), False
    times = np.asarray(timeline.pts, np.float64)
    step = (times[-1] - times[0]) / (len(times) - 1)
    uneven = bool(np.abs(times - times[0] - step * np.arange(len(times))).max() > min(1.5, max(0.5, step / 4)))
    if step <= 0:
        return (rates[0] if rates else Fraction(25)), True
    mean = Fraction(len(times) - 1, timeline.pts[-1] - timeline.pts[0]) / time_base
    blur = max(Fraction(1, 1000), Fraction(3, 2 * (timeline.pts[-1] - timeline.pts[0])))
    near = [r for r in rates if abs(r / mean - 1) < blur]
    return (near[0] if near and not uneven else max(mean.limit_denominator(100_000), Fraction(1, 100_000))), uneven


@dataclass(frozen=True)
class FrameClock:
    """The time stamps that frames are given, in `base` seconds: the file's own, or from `start` on in equal steps."""

    timeline: Timeline
    base: Fraction
    start: int
    step: int = 0

    def pts(self, index: int) -> int:
        """When frame `index` is shown."""
        return self.start + index * self.step if self.step else self.timeline.pts[index]

    def duration(self, index: int) -> int:
        """For how long frame `index` is shown."""
        return self.step or self.timeline.duration(index)


def make_clock(timeline: Timeline, base: Fraction, rate: Fraction, variable: bool) -> FrameClock:
    """The file's time stamps where they are uneven or exact; an even clip's, freed from the rounding of its time base.

    A clip of 30000/1001 frames per second that Matroska stored in milliseconds goes out as evenly as it came in.
    """
    if not timeline.stamped:
        return FrameClock(timeline, 1 / rate, 0, 1)
    if variable or (1 / rate / base).denominator == 1:
        return FrameClock(timeline, base, timeline.pts[0])
    scale = -(-10_000 // rate.numerator)
    fine = Fraction(1, rate.numerator * scale)
    return FrameClock(timeline, fine, round(timeline.pts[0] * base / fine), rate.denominator * scale)
