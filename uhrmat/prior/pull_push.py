"""Hole filling: values are extended from where they are known to where they are not, by weighted pull-push.

Gortler, Grzeszczuk, Szeliski, Cohen, "The Lumigraph", SIGGRAPH 1996, §3.4, https://doi.org/10.1145/237170.237200:
a pyramid of weighted means is built until everything is covered, then each level's gaps are filled from the coarser
one. Here a coarser level also counts a little where a pixel has a weight. `media.video.extend` and `refine.colour_line`
fill by other rules (known pixels keep their values; on tensors), with other results.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.resample import half_shape, halve


@dataclass(frozen=True, kw_only=True)
class PullPushParams:
    """Parameters of hole filling.

    Attributes:
        coarse_weight: weight of the coarser level against a pixel of weight 1; positive. A larger one smooths known
            values more. Not tuned.
    """

    coarse_weight: float = 0.1


PULL_PUSH = PullPushParams()


def pull_push(values: np.ndarray, weight: np.ndarray, params: PullPushParams = PULL_PUSH) -> np.ndarray:
    """Fill values where their weight is low from where it is high.

    Args:
        values: (h, w, C), of any float type.
        weight: (h, w) in [0, 1], how far each value is known.
        params: how much coarser levels count.

    Returns:
        (h, w, C) float32: near `values` where the weight is high, a mean of their surroundings elsewhere. Where no
        pixel has a weight, the mean of all values.
    """
    weight = weight.astype(np.float32)
    if not weight.any():
        return np.broadcast_to(values.mean((0, 1), dtype=np.float64), values.shape).astype(np.float32)
    return _fill(values * weight[..., None], weight, params.coarse_weight)


def _fill(sums: np.ndarray, weight: np.ndarray, coarse_weight: float) -> np.ndarray:
    """One level, of weighted sums (h, w, C)."""
    height, width = weight.shape
    if max(height, width) <= 2:
        mean = sums.sum((0, 1)) / max(float(weight.sum()), 1e-12)
        return np.broadcast_to(mean, sums.shape).astype(np.float32)
    half = half_shape(height, width)
    small_sums, small_weight = halve(sums).reshape(*half, *sums.shape[2:]), halve(weight).reshape(half)
    coarse = _fill(small_sums, small_weight, coarse_weight)
    coarse = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR).reshape(sums.shape)
    return np.asarray((sums + coarse_weight * coarse) / (weight + coarse_weight)[..., None])
