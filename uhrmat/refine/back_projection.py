"""Makes a refined alpha agree with the finished matte that it was refined from, by iterative back-projection.

A matte of another tool says what the alpha is at its own resolution; a refiner is to add what lies between its pixels,
not to change their means. So the refined alpha is averaged to the matte's resolution, and the difference is added back,
enlarged (M. Irani and S. Peleg, "Improving resolution by image registration", CVGIP 53 (1991), 231-239,
https://doi.org/10.1016/1049-9652(91)90045-L, with the enlargement as back-projection kernel). Many mattes are softer
than their resolution; then the average is softened likewise before it is compared, by the Gaussian that brings both
closest.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.resample import area_average
from uhrmat.sparsity.spatial import nonempty_strips, upsampled_rows


@dataclass(frozen=True, kw_only=True)
class BackProjectionParams:
    """Parameters of the back-projection. May be changed; chosen on five generated frames, see "Back-projection" in
    docs/research/clips.md.

    Attributes:
        blurs: Softness of mattes that is tried: standard deviation of a Gaussian in the matte's pixels.
        worst: Root mean square difference between averaged alpha and matte, in [0, 1], above which the matte has
            errors that a refiner may correct, and nothing is done.
        least_scale: Full-resolution pixels per pixel of the matte from which on it is done.
    """

    blurs: tuple[float, ...] = (0.0, 0.4, 0.55, 0.7, 0.85, 1.0, 1.2, 1.5, 2.0)
    worst: float = 0.05
    least_scale: float = 1.5


BACK_PROJECTION = BackProjectionParams()


def estimate_blur(
    alpha: np.ndarray, active: np.ndarray, matte: np.ndarray, params: BackProjectionParams = BACK_PROJECTION
) -> float | None:
    """How soft a matte is beside the alpha that was refined from it.

    Args:
        alpha: Refined alpha, (H, W) float32.
        active: (H, W) bool, the refined pixels.
        matte: (h, w) float32 in [0, 1].
        params: See there.

    Returns:
        Standard deviation of a Gaussian in the matte's pixels; None where the matte is nearly as large as the alpha, or
        differs too much from it at every softness.
    """
    if min(alpha.shape) < params.least_scale * min(matte.shape):
        return None
    where = area_average(active.astype(np.float32), matte.shape) > 0.5
    if not where.any():
        return None
    averaged = np.asarray(area_average(alpha.clip(0, 1), matte.shape), np.float32)
    errors = [float(np.square(_soften(averaged, blur) - matte)[where].mean()) for blur in params.blurs]
    best = int(np.argmin(errors))
    return params.blurs[best] if np.sqrt(errors[best]) <= params.worst else None


def back_project(alpha: np.ndarray, active: np.ndarray, matte: np.ndarray, blur: float) -> None:
    """Add to a refined alpha, in place, what its average lacks of the matte.

    Args:
        alpha: (H, W) float32, in [0, 1] afterwards where it is changed.
        active: (H, W) bool, the pixels that may be changed.
        matte: (h, w) float32 in [0, 1].
        blur: Of the matte, see `estimate_blur`.
    """
    averaged = np.asarray(area_average(alpha.clip(0, 1), matte.shape), np.float32)
    lacking = matte - _soften(averaged, blur)
    for rows in nonempty_strips(active):
        inside = active[rows]
        add = upsampled_rows(lacking, alpha.shape, rows.start, rows.stop)[inside]
        alpha[rows][inside] = (alpha[rows][inside].clip(0, 1) + add).clip(0, 1)


def _soften(values: np.ndarray, blur: float) -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), blur)) if blur else values
