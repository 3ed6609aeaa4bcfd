"""Fast guided filter (He, Sun, 2015), the baseline that most tools upsample a matte with.

The local linear model is fitted on the small picture (`linear`), enlarged bilinearly and applied to the full-resolution
colours.
"""

from __future__ import annotations

import numpy as np
import torch

from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.linear import guided_coefficients
from uhrmat.refine.refiner import RefineInput, active_coordinates


class GuidedRefiner:
    """The guided filter on the active pixels."""

    name, engine = "guided", "none"

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        maps = BilinearMaps(torch.from_numpy(guided_coefficients(job.small, job.prior)), job.size)
        colours, target = PictureColours(job.picture), torch.from_numpy(alpha)
        for ys, xs in active_coordinates(job.active):
            model = maps(ys, xs)
            target[ys, xs] = (model[..., :3] * colours(ys * job.size[1] + xs)).sum(-1) + model[..., 3]
