"""Colours carried from where they are known to where they are not: a weighted pull-push on a pyramid.

Gortler, Grzeszczuk, Szeliski, Cohen, "The Lumigraph", SIGGRAPH 1996, §3.4: halve with weights until all is covered,
then fill each level's gaps from the one above.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.resample import half_shape, halve

HOLD = 0.1
"""Weight of the coarser level against a pixel of weight 1."""


def pull_push(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(h, w, C) float32: `values` (h, w, C) where `weight` (h, w) in [0, 1] is high, their surroundings elsewhere.

    Where nothing has any weight: the mean of all values.
    """
    weight = weight.astype(np.float32)
    if not weight.any():
        return np.broadcast_to(values.mean((0, 1), dtype=np.float64), values.shape).astype(np.float32)
    return _filled(values * weight[..., None], weight)


def _filled(sums: np.ndarray, weight: np.ndarray) -> np.ndarray:
    height, width = weight.shape
    if max(height, width) <= 2:
        mean = sums.sum((0, 1)) / max(float(weight.sum()), 1e-12)
        return np.broadcast_to(mean, sums.shape).astype(np.float32)
    smaller = (halve(x).reshape(*half_shape(height, width), *x.shape[2:]) for x in (sums, weight))
    coarse = cv2.resize(_filled(*smaller), (width, height), interpolation=cv2.INTER_LINEAR).reshape(sums.shape)
    return (sums + HOLD * coarse) / (weight + HOLD)[..., None]
