"""Trimaps that leave most of the picture unknown: a few strokes of a brush, or the first rough hint.

An ordinary trimap is drawn around its subject, and all that it leaves unknown is worth computing. Scribbles are not:
most of what they leave unknown is plainly one side or the other once the strokes beside it are compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN
from uhrmat.media.resample import FloatArray, Shape, area_average

Trimap = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class ScribbleParams:
    """What counts as scribbles, and how they are downsampled.

    Attributes:
        unknown_share: share of unknown pixels above which a trimap is scribbles, in [0, 1]. Half of the picture; not
            tuned. At or below it nothing about trimaps changes.
        least_share: share of a small pixel's area from which on a stroke that covers it counts there, in (0, 1]. An
            ordinary trimap's pixels must be known wholly, which a thin stroke never is. Not tuned.
    """

    unknown_share: float = 0.5
    least_share: float = 0.25


SCRIBBLES = ScribbleParams()


def are_scribbles(trimap: Trimap, params: ScribbleParams = SCRIBBLES) -> bool:
    """Whether a trimap (H, W) {0, 128, 255} leaves most of the picture unknown."""
    return bool(np.count_nonzero(trimap == UNKNOWN) > params.unknown_share * trimap.size)


def downsample_scribbles(trimap: Trimap, shape: Shape, params: ScribbleParams = SCRIBBLES) -> Trimap:
    """Downsample scribbles so that thin strokes are kept.

    Args:
        trimap: (H, W) uint8 {0, 128, 255}.
        shape: (h, w) of the result, not larger.
        params: how much of a small pixel a stroke must cover.

    Returns:
        (h, w) uint8: a small pixel is of the side that covers more of it, where that is enough; else unknown.
    """
    back, front = (area_average(trimap == side, shape) for side in (BACKGROUND, FOREGROUND))
    return from_shares(back, front, params)


def from_shares(back: FloatArray, front: FloatArray, params: ScribbleParams = SCRIBBLES) -> Trimap:
    """The trimap of small pixels by the shares (h, w) in [0, 1] of each that are known background and foreground."""
    small = np.full(back.shape, UNKNOWN, np.uint8)
    small[(back >= params.least_share) & (back >= front)] = BACKGROUND
    small[(front >= params.least_share) & (front > back)] = FOREGROUND
    return small
