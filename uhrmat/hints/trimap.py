"""A trimap from a mask: what an eroded mask holds is foreground, what a dilated one leaves out is background."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.coding import KNOWN

SHARE = 0.02
"""Default radius as a share of the picture's short side."""


def default_radius(height: int, width: int) -> int:
    """Pixels of erosion and of dilation where the user names none."""
    return max(2, round(SHARE * min(height, width)))


def trimap_from_mask(mask: np.ndarray, erode: int, dilate: int, known: float = KNOWN) -> np.ndarray:
    """(H, W) uint8 {0, 128, 255} from a mask or coarse alpha (H, W) float32 in [0, 1].

    Pixels strictly between `known` and 1 - `known` are unknown; `erode` and `dilate` (pixels, Euclidean) widen the
    unknown region into the foreground and into the background.
    """
    front = (mask >= np.float32(1 - known)).astype(np.uint8)
    back = (mask <= np.float32(known)).astype(np.uint8)
    found = np.full(mask.shape, 128, np.uint8)
    found[_shrunk(back, dilate)] = 0
    found[_shrunk(front, erode)] = 255
    return found


def _shrunk(region: np.ndarray, radius: int) -> np.ndarray:
    if region.all() or radius <= 0:
        return region > 0
    return cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_5) > radius
