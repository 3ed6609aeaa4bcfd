"""Coefficients of the guided filter on a device, see `refine.guided_filter`."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

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
    radius = params.radius
    # Colours about their middle: float32 keeps more of the small differences that covariances are.
    image, level = small - 0.5, alpha[None]
    products = (image[:, None] * image).flatten(0, 1)
    means = _box(torch.cat([image, level, image * level, products]), radius)
    centre, mean = means[:3], means[3]
    along = means[4:7] - centre * mean
    spread = means[7:].view(3, 3, *alpha.shape) - centre[:, None] * centre
    spread.diagonal(dim1=0, dim2=1).add_(params.epsilon)
    cofactors = torch.linalg.cross(spread.roll(-1, 0), spread.roll(-2, 0), dim=1)
    determinant = (spread[0] * cofactors[0]).sum(0).clamp(min=params.epsilon**3)
    a = (cofactors * along).sum(1) / determinant  # the inverse of a symmetric matrix by its cofactors
    b = mean - (a * (centre + 0.5)).sum(0)
    return _box(torch.cat([a, b[None]]), radius)


def _box(planes: Tensor, radius: int) -> Tensor:
    """Means over squares of 2 · radius + 1 pixels of (C, h, w), reflected at the borders with the edge repeated."""
    for axis in (1, 2):
        order = symmetric_order(planes.shape[axis], radius, planes.device)
        planes = planes.index_select(axis, order)
    side = 2 * radius + 1
    return F.avg_pool2d(F.avg_pool2d(planes, (side, 1), 1), (1, side), 1)


@lru_cache(maxsize=64)
def symmetric_order(size: int, radius: int, device: torch.device) -> Tensor:
    """Numbers 0 to size - 1 with `radius` more on either side, reflected with the edge repeated, (size + 2·radius,)."""
    place = torch.arange(-radius, size + radius, device=device) % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)
