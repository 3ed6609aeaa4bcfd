"""Tracked masks in the work folder of a clip: one file a frame and direction, so that a run can go on anywhere."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import atomic_write
from uhrmat.video.hints import ClipHints
from uhrmat.video.propagation.params import TRACKING, TrackingParams

Direction = Literal["forward", "backward"]


@dataclass(frozen=True, kw_only=True)
class TrackedMask:
    """The mask of a frame at the network's size.

    Attributes:
        mask: (h, w) uint8, 255 is the subject.
        confidence: in [0, 1], see `track.mask_confidence`; 1 for a key frame.
        distance: frames from the key frame.
        key_area: area of the key frame's mask in pixels.
        trust: in the key frame, in (0, 1], a factor of the weight against the other direction (`blend_directions`):
            1 for hints, `TrackingParams.matte_trust` for finished mattes beside them.
    """

    mask: np.ndarray
    confidence: float = 1.0
    distance: int = 0
    key_area: float = 0.0
    trust: float = 1.0

    @property
    def alpha(self) -> np.ndarray:
        """(h, w) float32 in [0, 1]."""
        return self.mask.astype(np.float32) / np.float32(255)

    def is_lost(self, params: TrackingParams = TRACKING) -> bool:
        """Whether next to nothing is left of the subject that the key frame shows."""
        return float(self.alpha.sum()) < params.lost * self.key_area

    @classmethod
    def of_key(cls, alpha: np.ndarray, trust: float = 1.0) -> TrackedMask:
        """Of a key frame's alpha (h, w) in [0, 1]."""
        mask = np.rint(alpha * 255).astype(np.uint8)
        return cls(mask=mask, key_area=float(alpha.sum()), trust=trust)


def key_trust(hints: ClipHints, index: int, params: TrackingParams = TRACKING) -> float:
    """`TrackedMask.trust` of a key frame of these hints: less for a finished matte where there is a hint too."""
    return 1.0 if index in hints.own_keys else params.matte_trust


def network_file(folder: Path) -> Path:
    """The file of the clip's network in the folder of its propagated alphas."""
    return folder / "network.safetensors"


def state_file(folder: Path, direction: Direction, index: int) -> Path:
    """The file of a frame's tracked mask in the folder of the propagated alphas."""
    return folder / f"{direction}-{index:06d}.npz"


def write_state(folder: Path, direction: Direction, index: int, tracked: TrackedMask) -> None:
    """Write a frame's tracked mask, all of the file or nothing. Raises OutputError."""
    figures = np.array([tracked.confidence, tracked.distance, tracked.key_area, tracked.trust], np.float64)
    with atomic_write(state_file(folder, direction, index)) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, mask=tracked.mask, figures=figures)


def read_state(folder: Path, direction: Direction, index: int) -> TrackedMask | None:
    """A frame's tracked mask; None where there is none. Raises InputError for a damaged file."""
    path = state_file(folder, direction, index)
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            mask, (confidence, distance, key_area, trust) = file["mask"], file["figures"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"The tracked mask {path} is damaged.", "Run again without --resume.") from error
    return TrackedMask(
        mask=mask, confidence=float(confidence), distance=int(distance), key_area=float(key_area), trust=float(trust)
    )


def blend_directions(
    forward: TrackedMask | None, backward: TrackedMask | None, params: TrackingParams = TRACKING
) -> TrackedMask | None:
    """The mean of both directions, weighted by confidence, nearness to and trust in the key frame; None where there is
    none.

    Args:
        forward: from the key frame before.
        backward: from the key frame after.
        params: see there.
    """
    if forward is None or backward is None:
        return forward or backward
    weights = np.array([
        max(t.confidence, 1e-3) * params.decay**t.distance * t.trust for t in (forward, backward)
    ])  # fmt: skip
    first, second = (float(weight) for weight in weights / weights.sum())
    return TrackedMask(
        mask=np.rint(first * forward.mask + second * backward.mask).astype(np.uint8),
        confidence=first * forward.confidence + second * backward.confidence,
        distance=min(forward.distance, backward.distance),
        key_area=first * forward.key_area + second * backward.key_area,
        trust=first * forward.trust + second * backward.trust,
    )


def read_blended(folder: Path, index: int) -> TrackedMask | None:
    """A frame's tracked mask from all directions that there are; None where none was tracked. Raises InputError."""
    return blend_directions(read_state(folder, "forward", index), read_state(folder, "backward", index))
