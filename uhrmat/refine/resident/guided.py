"""Coefficients of the guided filter on a device, see `refine.guided_filter`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import upload
from uhrmat.refine.guided_filter import GUIDED_FILTER, GuidedFilterParams


def guided_coefficients(small: Tensor, alpha: Tensor, params: GuidedFilterParams = GUIDED_FILTER) -> Tensor:
    """`guided_filter.guided_coefficients` in torch.

    Args:
        small: (3, h, w) float32 in [0, 1].
        alpha: (h, w) float32 in [0, 1].
        params: Radius and regularisation.

    Returns:
        (4, h, w) float32: a (3) and b.
    """
    # Colours about their middle: float32 keeps more of the small differences that covariances are.
    planes = torch.cat([small - 0.5, alpha[None]])
    products = planes[:, None] * planes[:3]
    means = box_mean(torch.cat([planes, products.flatten(0, 1)]), params.radius)
    centre, mean = means[:3], means[3]
    covariances = torch.addcmul(means[4:].view(4, 3, *alpha.shape), means[:4, None], centre, value=-1)
    spread, along = covariances[:3], covariances[3]
    spread.diagonal(dim1=0, dim2=1).add_(params.epsilon)
    rows = torch.cat([spread, spread[:2]])
    cofactors = torch.linalg.cross(rows[1:4], rows[2:5], dim=1)
    determinant = (spread[0] * cofactors[0]).sum(0).clamp(min=params.epsilon**3)
    model = torch.empty_like(planes)
    a = torch.div((cofactors * along).sum(1), determinant, out=model[:3])  # a symmetric matrix's inverse by cofactors
    torch.sub(mean, (a * (centre + 0.5)).sum(0), out=model[3])
    return box_mean(model, params.radius)


def box_mean(planes: Tensor, radius: int) -> Tensor:
    """Means over squares of 2 · radius + 1 pixels of (C, h, w), reflected at the borders with the edge repeated."""
    height, width = planes.shape[1:]
    wide = planes.flatten(1).index_select(1, symmetric_pixels(height, width, radius, planes.device))
    side = 2 * radius + 1
    wide = wide.view(-1, height + 2 * radius, width + 2 * radius)
    return F.avg_pool2d(F.avg_pool2d(wide, (side, 1), 1), (1, side), 1)


@lru_cache(maxsize=8)
def symmetric_pixels(height: int, width: int, radius: int, device: torch.device) -> Tensor:
    """Pixel numbers y · width + x of a picture with `radius` more on every side, reflected with the edge repeated,
    ((height + 2 · radius) · (width + 2 · radius),) int64."""
    ys, xs = (_symmetric_order(size, radius) for size in (height, width))
    return upload([(ys[:, None] * width + xs).ravel()], device)[0]


def _symmetric_order(size: int, radius: int) -> np.ndarray:
    place = np.arange(-radius, size + radius) % (2 * size)
    return np.minimum(place, 2 * size - 1 - place)
