"""Which key frame would help a clip most, from the confidence of its propagated masks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from uhrmat.video.propagation.params import TRACKING, TrackingParams


def best_hint_frame(
    frames: Sequence[Mapping[str, Any]], keys: Collection[int], params: TrackingParams = TRACKING
) -> int | None:
    """The frame on which a hint would help most.

    A hint is propagated from its frame in both directions, as far as the next key frame or cut, and is trusted less
    with every frame (`params.decay`). So the frame is chosen whose hint reaches the most doubt: the sum, over the
    doubtful and lost frames that it reaches, of the doubt (1 minus the confidence; 1 where the subject is lost) times
    `decay` to the power of the distance. Of equals the first.

    Args:
        frames: figures of each frame in order: "number", "cut", and "confidence" and "propagation" of
            `report.frame_figures`.
        keys: numbers of the frames that have a hint.
        params: see there.

    Returns:
        Its number; None where no frame is doubtful or lost.
    """
    doubt = [_doubt(frame) for frame in frames]
    if not any(doubt):
        return None
    numbers = [int(frame["number"]) for frame in frames]
    cuts = [bool(frame.get("cut")) for frame in frames]
    reached = [-own for own in doubt]  # each direction counts the frame itself
    for order in (range(len(frames)), range(len(frames) - 1, -1, -1)):
        total, last = 0.0, None
        for at in order:
            if last is not None:
                parted = numbers[last] in keys or (cuts[at] if at > last else cuts[last])
                total *= 0.0 if parted else params.decay ** abs(numbers[at] - numbers[last])
            total += doubt[at]
            reached[at] += total
            last = at
    able = [at for at, number in enumerate(numbers) if number not in keys]
    best = max(able, key=lambda at: (round(reached[at], 9), -at), default=None)
    return None if best is None else numbers[best]


def _doubt(frame: Mapping[str, Any]) -> float:
    state = frame.get("propagation")
    if state == "lost":
        return 1.0
    return 1.0 - float(frame.get("confidence", 0)) if state == "doubtful" else 0.0
