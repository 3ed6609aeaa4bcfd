"""Ranges of a clip's frames that are matted again. Loads no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence

from uhrmat.core.errors import InputError

FrameRange = tuple[int, int]
"""First and last frame, both included, as indices in the clip."""
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?", re.ASCII)


def parse_ranges(text: str) -> tuple[FrameRange, ...]:
    """Ranges from `120-180`, `150` or `10-20,40-50`: frames counted from 0, the last of each range included.

    Returns:
        In ascending order; ranges that overlap or touch are one.

    Raises:
        InputError: the text is something else, or a range ends before it begins.
    """
    ranges: list[FrameRange] = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            raise InputError(
                f"--redo '{text}' holds '{part.strip()}', which is no range of frames.",
                "Give the first and the last frame, like 120-180, one frame, like 150, or several, like 10-20,40-50.",
            )
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise InputError(f"--redo '{first}-{last}' ends before it begins.", f"Give '{last}-{first}'.")
        ranges.append((first, last))
    return merge_ranges(ranges)


def merge_ranges(ranges: Sequence[FrameRange]) -> tuple[FrameRange, ...]:
    """The ranges in ascending order; those that overlap or touch are one."""
    merged: list[FrameRange] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return tuple(merged)


def check_ranges(ranges: Sequence[FrameRange], start: int, stop: int, numbers: Sequence[int] = ()) -> None:
    """Raises InputError for a range that leaves frames `start` to `stop` (not included).

    numbers: of a sequence's files, for a hint to whoever gave these in place of indices.
    """
    for first, last in ranges:
        if start <= first and last < stop:
            continue
        cure = f"Choose frames from {start} to {stop - 1}; they are counted from 0."
        if {first, last} <= set(numbers):
            meant = format_range((numbers.index(first), numbers.index(last)))
            cure = f"Frames are counted from 0: the files {first} to {last} are frames {meant}."
        raise InputError(f"--redo '{format_range((first, last))}' leaves the frames {start} to {stop - 1}.", cure)


def format_range(frames: FrameRange) -> str:
    """`120-180`, or `150` for one frame."""
    first, last = frames
    return f"{first}" if first == last else f"{first}-{last}"


def format_ranges(ranges: Sequence[FrameRange]) -> str:
    """`10-20, 40`."""
    return ", ".join(format_range(one) for one in ranges)
