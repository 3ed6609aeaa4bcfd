"""Fast guided filter (He, Sun: "Fast Guided Filter", 2015), the baseline that most tools upsample a matte with.

On the small picture a local linear model alpha = a·I + b is fitted in every window; a and b are enlarged bilinearly and
applied to the full-resolution colours. `a` is a 3-vector: the colour version, (cov(I) + eps)⁻¹ cov(I, alpha).
"""

from __future__ import annotations

import cv2
import numpy as np
import torch

from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.refiner import Job, places

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


class GuidedRefiner:
    """The guided filter on the active pixels."""

    name, engine = "guided", "none"

    def refine(self, job: Job, alpha: np.ndarray) -> None:
        maps = BilinearMaps(torch.from_numpy(guided_coefficients(job.small, job.prior)), job.size)
        colours, target = PictureColours(job.picture), torch.from_numpy(alpha)
        for ys, xs in places(job.active):
            model = maps(ys, xs)
            target[ys, xs] = (model[..., :3] * colours(ys * job.size[1] + xs)).sum(-1) + model[..., 3]
