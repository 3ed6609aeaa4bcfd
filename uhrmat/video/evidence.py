"""How far the colours speak for a solved alpha against the mask it was to refine.

A closed form leaks where subject and background share a colour: the matte then follows some edge inside of one of
them. There the mask is the better witness; where the colours differ, as in hair before the sky, the solution is.
"""

from __future__ import annotations

import cv2
import numpy as np

_CLEAR, _OFF = 1.0, 0.7
"""Contrast, in variances, that makes a colour a full witness, and how far a projection may be from the solution."""
_SEEN = 0.003
"""Share of a neighbourhood, weighted, that must be known on either side for its colour to be a witness."""
_REACH = 0.025
"""Radius of the neighbourhood whose colours are compared, as a share of the short side."""


def combine_with_mask(small: np.ndarray, solved: np.ndarray, mask: np.ndarray, most: float) -> np.ndarray:
    """(h, w) float32: `solved` drawn towards `mask`, both (h, w) in [0, 1], where the colours of `small` (h, w, 3) in
    [0, 1] do not speak for it. most: that the mask weighs, in [0, 1]."""
    weight = most * (1 - support(small, solved, mask))
    return ((1 - weight) * solved + weight * mask).astype(np.float32)


def support(small: np.ndarray, solved: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1]: contrast of the colours inside and outside of the mask nearby, times how near the
    pixel's place on the line between them is to `solved`."""
    sigma = max(1.0, _REACH * min(solved.shape))
    front, back = (_colours(small, known, sigma) for known in (mask > 0.98, mask < 0.02))
    line = front[0] - back[0]
    length = np.square(line).sum(2)
    place = ((small - back[0]) * line).sum(2) / np.maximum(length, 1e-6)
    contrast = np.clip(length / (front[1] + back[1] + 1e-3) / _CLEAR, 0, 1) * (np.minimum(front[2], back[2]) > _SEEN)
    return np.asarray(contrast * np.clip(1 - np.abs(place - solved) / _OFF, 0, 1), np.float32)


def _colours(small: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (h, w, 3) and variance (h, w) of the colours of `known` pixels nearby, and the share (h, w) of those."""
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    mean, square = (
        cv2.GaussianBlur(x * weight[..., None], (0, 0), sigma) / total[..., None] for x in (small, small * small)
    )
    return mean, np.maximum(square - mean * mean, 0).sum(2), total
