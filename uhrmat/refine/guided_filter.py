"""Fast guided filter: alpha = a·I + b in every window of the small picture, enlarged and applied at full resolution.

He, Sun: "Fast Guided Filter", 2015, https://arxiv.org/abs/1505.00996, colour version:
a = (cov(I) + eps)⁻¹ cov(I, alpha), b = mean(alpha) - a·mean(I), both averaged over the windows that hold a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class GuidedFilterParams:
    """Parameters of the guided filter.

    DDFE `line` and the residual baseline of SHM see the filter's result: weights are trained for these values. Changing
    one means training again and another `INPUT_VERSION`.

    Attributes:
        radius: Of a window, pixels of the small picture. Not tuned.
        epsilon: Regularisation of the covariance, squared colour in [0, 1]: larger follows the picture less. Not
            tuned; `python -m benchmarks.learned_guide` trains an epsilon, which hardly differs.
    """

    radius: int = 4
    epsilon: float = 1e-4


GUIDED_FILTER = GuidedFilterParams()


def guided_coefficients(small: np.ndarray, alpha: np.ndarray, params: GuidedFilterParams = GUIDED_FILTER) -> np.ndarray:
    """Coefficients of the local linear model.

    Args:
        small: Low-resolution picture, (h, w, 3) float32 in [0, 1].
        alpha: Low-resolution alpha, (h, w) float32 in [0, 1].
        params: Radius and regularisation.

    Returns:
        (h, w, 4) float32: a (3) and b of each pixel, averaged over the windows that hold it.
    """
    side, eps = (2 * params.radius + 1, 2 * params.radius + 1), params.epsilon

    def mean(x: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(x, side, borderType=cv2.BORDER_REFLECT))

    planes = [np.ascontiguousarray(small[..., c]) for c in range(3)]
    centre, level = [mean(plane) for plane in planes], mean(alpha)
    along = [mean(plane * alpha) - middle * level for plane, middle in zip(planes, centre, strict=True)]
    xx, xy, xz, yy, yz, zz = (
        mean(planes[i] * planes[j]) - centre[i] * centre[j] + np.float32(eps if i == j else 0)
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    )
    # The inverse of the symmetric 3x3 matrix by its cofactors.
    c00, c01, c02 = yy * zz - yz * yz, xz * yz - xy * zz, xy * yz - xz * yy
    c11, c12, c22 = xx * zz - xz * xz, xy * xz - xx * yz, xx * yy - xy * xy
    scale = 1 / np.maximum(xx * c00 + xy * c01 + xz * c02, np.float32(eps) ** 3)
    rows = ((c00, c01, c02), (c01, c11, c12), (c02, c12, c22))
    a = [scale * sum(c * v for c, v in zip(row, along, strict=True)) for row in rows]
    b = level - sum(x * middle for x, middle in zip(a, centre, strict=True))
    return np.stack([mean(x) for x in (*a, b)], -1)
