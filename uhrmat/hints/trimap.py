"""A trimap from a mask: foreground inside the eroded mask, background outside the dilated one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.coding import KNOWN


@dataclass(frozen=True, kw_only=True)
class TrimapParams:
    """Parameters of a trimap made from a mask.

    Attributes:
        radius: erosion and dilation where the user names none, as a share of the picture's short side. `--radius` of
            `uhrmat trimap` replaces it. Not tuned.
        least_radius: pixels.
    """

    radius: float = 0.02
    least_radius: int = 2


TRIMAP_DEFAULTS = TrimapParams()


def default_radius(height: int, width: int, params: TrimapParams = TRIMAP_DEFAULTS) -> int:
    """Pixels of erosion and of dilation of a mask of (height, width) where the user names none."""
    return max(params.least_radius, round(params.radius * min(height, width)))


def trimap_from_mask(mask: np.ndarray, erode: int, dilate: int, known: float = KNOWN) -> np.ndarray:
    """Trimap from a mask or a coarse alpha.

    Args:
        mask: (H, W) float32 in [0, 1].
        erode: pixels (Euclidean) by which the unknown region is widened into the foreground.
        dilate: pixels by which it is widened into the background.
        known: values up to this far from 0 or 1 are known, in [0, 0.5).

    Returns:
        (H, W) uint8 {0, 128, 255}.
    """
    front = (mask >= np.float32(1 - known)).astype(np.uint8)
    back = (mask <= np.float32(known)).astype(np.uint8)
    trimap = np.full(mask.shape, 128, np.uint8)
    trimap[_erode(back, dilate)] = 0
    trimap[_erode(front, erode)] = 255
    return trimap


def _erode(region: np.ndarray, radius: int) -> np.ndarray:
    if region.all() or radius <= 0:
        return region > 0
    return np.asarray(cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_5) > radius)
