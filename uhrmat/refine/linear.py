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
        return cv2.blur(x, side, borderType=cv2.BORDER_REFLECT).reshape(x.shape)

    image, guide = small.astype(np.float64), alpha.astype(np.float64)
    centre, level = mean(image), mean(guide)
    outer = mean((image[..., :, None] * image[..., None, :]).reshape(*guide.shape, 9)).reshape(*guide.shape, 3, 3)
    spread = outer - centre[..., :, None] * centre[..., None, :] + eps * np.eye(3)
    along = mean(image * guide[..., None]) - centre * level[..., None]
    a = np.linalg.solve(spread, along[..., None])[..., 0]
    b = level - (a * centre).sum(-1)
    return mean(np.concatenate([a, b[..., None]], -1)).astype(np.float32)
