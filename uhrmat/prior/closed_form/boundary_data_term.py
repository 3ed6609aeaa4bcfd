"""What a trimap's own outline says of its open pixels: people and programs draw it around the subject.

What is open lies within a margin around the subject, so what is open and not just beside the known background is the
subject's, unless the picture says otherwise. A flag that hangs wholly in the open region, before a background as dark,
is told by nothing else. Ours; constants chosen on photographs, see docs/research/prior.md.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.sparsity.spatial import dilate

WEIGHT = 4.5e-5
"""Pull on a pixel beside the closed form's Laplacian: what a smooth region knows goes about 150 pixels against it."""
ALONE = 0.4
"""The same where no foreground is known, times the square of the distance from which on a pixel is pulled to 1 with the
whole weight: a smooth region then answers alike at any size."""
_MOST = 0.9
"""Share of the open pixels that are nearer to the background than that distance; at half of it there is no pull."""
_INSIDE = 0.5
"""Share of the band's width from which on a pixel is pulled to 1 with the whole weight; at half of it with none."""
_BAND = (0.25, 0.4)
"""Widths of the band, in sides of a square as large as all that is not background: up to the first it is drawn around
the subject, from the second on the trimap is a few strokes."""
_DEEP = (0.35, 0.45)
"""Shares of open pixels far from either side: up to the first they are gaps and loose ends, from the second on a part
of the background was left open. Either way the outline says nothing of those pixels themselves."""


def boundary_data_term(trimap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and alphas, (n,) float64 each, towards which the n unknown pixels of a trimap (h, w) {0, 128, 255} are
    pulled: 0 beside the known background, 1 away from it. The weights fall to zeros where the trimap is not drawn
    around anything."""
    unknown, front = trimap == 128, trimap == 255
    rim = front & dilate(unknown, 3)
    if not (trimap == 0).any():
        nothing = np.zeros(int(unknown.sum()))
        return nothing, nothing
    if not rim.any():
        return _alone(trimap, unknown)
    from_back, from_front = _distance(trimap != 0), _distance(~front)
    width = float(np.median(from_back[rim]))
    inside = np.minimum(1, from_back[unknown] / (_INSIDE * width))
    deep = (from_front[unknown] > width) & (inside == 1)
    share = width / float(np.sqrt(np.count_nonzero(trimap)))
    drawn = np.interp(share, _BAND, (1, 0)) * np.interp(deep.mean(), _DEEP, (1, 0))
    weight = WEIGHT * drawn * (2 * inside - 1) ** 2
    return np.where(deep, 0, weight), (inside > 0.5).astype(np.float64)


def _alone(trimap: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where no foreground lies beside what is open (lace, glass, a feather), the outline is all that speaks for any."""
    from_back = _distance(trimap != 0)[unknown]
    deep = np.quantile(from_back, _MOST)
    inside = np.minimum(1, from_back / deep)
    return ALONE / deep**2 * (2 * inside - 1) ** 2, (inside > 0.5).astype(np.float64)


def _distance(outside: np.ndarray) -> np.ndarray:
    """(h, w) float64: pixels from each set pixel to the nearest that is not set."""
    return cv2.distanceTransform(outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype(np.float64)
