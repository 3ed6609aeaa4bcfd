"""What the propagation says of a clip's frames: how certain each mask is, and where the subject is lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from uhrmat.video.propagation.advice import best_hint_frame
from uhrmat.video.propagation.params import TRACKING, TrackingParams
from uhrmat.video.propagation.states import TrackedMask, read_blended

_SHOWN = 5
"""Runs of frames that a note names."""


def frame_figures(folder: Path, index: int, params: TrackingParams = TRACKING) -> dict[str, Any]:
    """The figures of a frame's propagated mask for the report; none where it was not tracked by a network.

    Args:
        folder: of the propagated alphas.
        index: of the frame.
        params: see there.

    Returns:
        "confidence" in [0, 1], and "propagation": "sure", "doubtful" or "lost".

    Raises:
        InputError: the frame's file is damaged.
    """
    tracked = read_blended(folder, index)
    if tracked is None:
        return {}
    return {"confidence": round(tracked.confidence, 4), "propagation": state_of(tracked, params)}


def state_of(tracked: TrackedMask, params: TrackingParams = TRACKING) -> str:
    """Whether a tracked mask is "sure", "doubtful" or "lost"."""
    return "lost" if tracked.is_lost(params) else "doubtful" if tracked.confidence < params.doubtful else "sure"


def frames_in_state(frames: Sequence[Mapping[str, Any]], state: str) -> list[int]:
    """Numbers of the frames whose propagation is in this state, see `frame_figures`."""
    return [int(frame["number"]) for frame in frames if frame.get("propagation") == state]


def propagation_notes(frames: Sequence[Mapping[str, Any]], keys: Collection[int] = ()) -> list[str]:
    """Notes that name the frames at which the subject is lost or doubtful, and the one on which a hint helps most.

    keys: numbers of the frames that have a hint.
    """
    notes = []
    for state, text in (("lost", "the subject is lost"), ("doubtful", "the propagated mask is doubtful")):
        numbers = frames_in_state(frames, state)
        if numbers:
            runs = consecutive_runs(numbers)
            listed = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs[:_SHOWN])
            more = f" and {len(runs) - _SHOWN} more ranges" if len(runs) > _SHOWN else ""
            notes.append(f"{text} from frame {numbers[0]} (frames {listed}{more}): give a hint there")
    best = best_hint_frame(frames, keys)
    return notes if best is None else [*notes, f"a hint on frame {best} would help most"]


def consecutive_runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """First and last of each run of consecutive numbers, which ascend."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return runs
