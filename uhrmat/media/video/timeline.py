"""When each frame is shown: the time stamps of a stream, read from its packets without decoding any."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer


@dataclass(frozen=True)
class Timeline:
    """Display times of all frames, ascending, in the stream's time base, and where decoding can begin.

    `stamped` is False for raw streams without any time stamp; then `pts` counts frames. `broken` says that reading the
    packets ended in an error rather than at the end of the file. Eight bytes a frame.
    """

    pts: array[int]
    keys: array[int]
    last_duration: int
    stamped: bool
    broken: bool

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
        """Where to begin decoding for frame `index`, nearest first: time stamps of key frames, then None: the start."""
        before = bisect.bisect_right(self.keys, self.pts[index])
        for back in (1, 3):
            if self.stamped and before - back > 0:
                yield self.keys[before - back]
        yield None


def scan(container: InputContainer, stream: Any) -> Timeline:
    """Read all packets of `stream` once. Damage ends the reading, it is no error here."""
    import av

    stamps, keys, last, broken, bare = array("q"), array("q"), (-(2**63), 0), False, 0
    try:
        for packet in container.demux(stream):
            if packet.size == 0 or packet.is_discard:
                continue
            stamp = packet.dts if packet.pts is None else packet.pts
            if stamp is None:
                bare += 1
                continue
            stamps.append(stamp)
            last = max(last, (stamp, packet.duration or 0))
            if packet.is_keyframe:
                keys.append(stamp)
    except av.error.FFmpegError:
        broken = True
    if not stamps:
        return Timeline(array("q", range(bare)), array("q"), 1, False, broken)
    ordered = array("q", sorted(stamps))
    return Timeline(ordered, array("q", sorted(keys)), last[1], True, broken)


def measure_rate(timeline: Timeline, time_base: Fraction, announced: list[Fraction | None]) -> tuple[Fraction, bool]:
    """Frames per second, and whether time stamps are uneven by more than the rounding of their time base.

    An announced rate is taken where it agrees with the time stamps to one in a thousand, or as well as they can tell,
    so that 30000/1001 stays itself in containers that count milliseconds.
    """
    rates = [Fraction(r) for r in announced if r]
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
    return (near[0] if near and not uneven else mean.limit_denominator(100_000)), uneven


@dataclass(frozen=True)
class Clock:
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


def make_clock(timeline: Timeline, base: Fraction, rate: Fraction, variable: bool) -> Clock:
    """The file's time stamps where they are uneven or exact; an even clip's, freed from the rounding of its time base.

    A clip of 30000/1001 frames per second that Matroska stored in milliseconds goes out as evenly as it came in.
    """
    if not timeline.stamped:
        return Clock(timeline, 1 / rate, 0, 1)
    if variable or (1 / rate / base).denominator == 1:
        return Clock(timeline, base, timeline.pts[0])
    scale = -(-10_000 // rate.numerator)
    fine = Fraction(1, rate.numerator * scale)
    return Clock(timeline, fine, round(timeline.pts[0] * base / fine), rate.denominator * scale)
