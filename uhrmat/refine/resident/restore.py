"""Mean restoration at the sites of the active set, see `refine.prior_mean`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.refine.prior_mean import MEAN_RESTORATION, MeanRestorationParams
from uhrmat.refine.resident.guided import symmetric_order
from uhrmat.refine.resident.picture import Sites, flat_pixels
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

_FIXED = 1 << 20
"""Alpha is added up in units of 1 / _FIXED, as whole numbers, so that the order of addition changes nothing. float32
has 24 bits."""


def restore_prior_mean(
    alpha: Tensor, sites: Sites, trimap: Tensor | None, prior: Tensor,
    params: MeanRestorationParams = MEAN_RESTORATION,
) -> None:  # fmt: skip
    """`prior_mean.restore_prior_mean` on a device, in place.

    Args:
        alpha: Refined alpha, (H, W) float32 of `picture.new_plane`.
        sites: Of the refined pixels of the whole picture.
        trimap: (H, W) uint8 {0, 128, 255}, or None.
        prior: (h, w) float32 in [0, 1].
        params: How large a move is undone, in how large regions.
    """
    flat, readable = flat_pixels(alpha), sites.readable
    where = sites.level.mask.flatten()
    if trimap is not None:
        where = where & (trimap.view(-1).index_select(0, readable) == 128)
    wide = sites.read(prior[None], margin=True)
    upsampled = wide[0, :, 1:-1, 1:-1].flatten()
    values = flat.index_select(0, readable)
    move = torch.where(where, values.clamp(0, 1) - upsampled, 0)
    undone = _undone(move, where, sites, (prior.shape[0], prior.shape[1]), params)
    moved = values - sites.read(undone[None])[0]
    kept = torch.lerp(upsampled, moved, _share(wide).flatten())
    flat.index_copy_(0, torch.where(where, sites.index, alpha.numel()), kept)


def _undone(move: Tensor, where: Tensor, sites: Sites, shape: tuple[int, int], params: MeanRestorationParams) -> Tensor:
    """What is taken back of the mean of each region, (h, w). move: (S,), alpha minus upsampled prior."""
    (height, width), (h, w) = sites.size, shape
    tile, device = sites.level.tile, move.device
    place = sites.corner[:, None] + torch.arange(tile, device=device)[:, None]
    column, row = place[..., 0] * w // width, place[..., 1] * h // height
    cells = torch.add(column[:, None], row[:, :, None], alpha=w).flatten()
    # Sites beyond the picture fall into rows behind the last one, or into others, to which they add nothing.
    rows = ((sites.level.grid[0] + 2) * tile * h) // height + 2
    totals = torch.zeros((rows * w + w, 2), dtype=torch.int64, device=device)
    fixed = torch.stack([(move * _FIXED).round(), where.float()], 1).long()
    totals.index_add_(0, cells, fixed)
    planes = totals[: h * w].T.float().view(2, h, w)
    radius = max(1, round(min(shape) / params.regions))
    for axis in (1, 2):
        planes = planes.index_select(axis, symmetric_order(planes.shape[axis], radius, device))
    side = 2 * radius + 1
    sums = F.avg_pool2d(F.avg_pool2d(planes, (side, 1), 1), (1, side), 1)
    mean = sums[0] / sums[1].clamp(min=1e-6) / _FIXED
    return mean * -torch.expm1(-(mean / params.move).square())


def _share(wide: Tensor, low: float = SPATIAL_SPARSITY.low) -> Tensor:
    """Share of the refined alpha at every site, (T, tile, tile), see `prior_mean.restore_confident_prior`.

    Args:
        wide: The upsampled prior with one more site on every side of each tile, (1, T, tile + 2, tile + 2).
        low: See there.
    """
    share = ((0.5 - (wide - 0.5).abs()) / low - 1).clamp(0, 1)
    return F.max_pool2d(share[0], 3, 1)
