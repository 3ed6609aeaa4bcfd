"""A clip in segments that begin at key frames: each depends on nothing outside it, so any machine can compute any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KEYFRAME_INTERVAL = 60
"""Frames from one key frame, which is computed anew, to the next: 2.4 seconds at 25 frames a second."""


@dataclass(frozen=True)
class Segment:
    """Frames `start` up to but without `stop`, as indices in the clip; number: of the segment, from 0."""

    number: int
    start: int
    stop: int

    @property
    def name(self) -> str:
        """For its files."""
        return f"segment-{self.number:05d}"


def split(start: int, stop: int, interval: int = KEYFRAME_INTERVAL) -> Iterator[Segment]:
    """The segments of frames `start` to `stop`, each of `interval` frames but the last."""
    for number, first in enumerate(range(start, stop, interval)):
        yield Segment(number, first, min(first + interval, stop))
