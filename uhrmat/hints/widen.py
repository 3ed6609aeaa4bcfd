"""A mask's unknown band, widened where the subject is found to reach beyond it.

A mask that was painted by hand is a little too wide, too narrow or moved. Where alpha is not that of the known region
at the band's rim, the edge lies outside, and the pixels behind the rim are not known after all.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN


@dataclass(frozen=True, kw_only=True)
class WideningParams:
    """Parameters of the widened band. Chosen on 23 mattes of people and animals, see docs/research/prior.md.

    Attributes:
        rim: how far from a known region unknown pixels are at the band's rim, pixels.
        tolerance: by which alpha at the rim may differ from 0 beside known background and from 1 beside known
            foreground, in [0, 0.5).
        share: of the band's half width, by which it is widened around a pixel of the rim that differs by more.
    """

    rim: int = 2
    tolerance: float = 0.1
    share: float = 0.6


WIDENING_DEFAULTS = WideningParams()


def widen_band(
    trimap: np.ndarray, alpha: np.ndarray, radius: float, params: WideningParams = WIDENING_DEFAULTS
) -> np.ndarray:
    """Widen the unknown region of a trimap where alpha at its rim is not that of the known region beside it.

    Args:
        trimap: (h, w) uint8 {0, 128, 255}.
        alpha: (h, w) float32 in [0, 1], solved from it.
        radius: half the width of its unknown band, pixels.
        params: see there.

    Returns:
        (h, w) uint8, the trimap itself where no pixel of the rim differs by more than the tolerance. A region is left
        as it is where none of it would stay known.
    """
    unknown, widened = trimap == UNKNOWN, trimap
    rim, reach = _disc(params.rim), _disc(max(1, round(params.share * radius)))
    for value, differs in ((BACKGROUND, alpha > params.tolerance), (FOREGROUND, alpha < 1 - params.tolerance)):
        known = trimap == value
        outside = unknown & differs & (cv2.dilate(known.astype(np.uint8), rim) > 0)
        given_up = known & (cv2.dilate(outside.astype(np.uint8), reach) > 0)
        if given_up.any() and (known & ~given_up).any():
            widened = np.where(given_up, np.uint8(UNKNOWN), widened)
    return widened


def widened_trimap(trimap: np.ndarray, small: np.ndarray, widened: np.ndarray) -> np.ndarray:
    """A trimap (H, W) uint8, unknown also where `widened` (h, w) is and its own `small` copy (h, w) is not."""
    height, width = trimap.shape
    given_up = (widened == UNKNOWN) & (small != UNKNOWN)
    more = cv2.resize(given_up.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return np.where(more, np.uint8(UNKNOWN), trimap)


def _disc(radius: int) -> np.ndarray:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)))
