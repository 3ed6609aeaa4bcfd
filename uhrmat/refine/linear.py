"""The local linear model of the guided filter: alpha = a·I + b in every window of the small picture.

He, Sun: "Fast Guided Filter", 2015, colour version: a = (cov(I) + eps)⁻¹ cov(I, alpha), b = mean(alpha) - a·mean(I),
both averaged over the windows that hold a pixel.
"""

from __future__ import annotations

import cv2
import numpy as np

RADIUS = 4
EPSILON = 1e-4


def guided_coefficients(small: np.ndarray, alpha: np.ndarray, radius: int = RADIUS, eps: float = EPSILON) -> np.ndarray:
    """(h, w, 4) float32: a (3) and b of each pixel, averaged over the windows that hold it.

    small: (h, w, 3) in [0, 1]; alpha: (h, w).
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(x: np.ndarray) -> np.ndarray:
        return cv2.blur(x, side, borderType=cv2.BORDER_REFLECT)

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
