"""Mean restoration at the sites of the active set, see `refine.prior_mean`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import constant
from uhrmat.refine.prior_mean import MEAN_RESTORATION, MeanRestorationParams
from uhrmat.refine.resident.guided import box_mean
from uhrmat.refine.resident.picture import Sites, flat_pixels
from uhrmat.sparse.resident import EMPTY_ROWS
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

_FIXED = 1 << 20
"""Alpha and numbers of pixels are added up in units of 1 / _FIXED, as whole numbers, so that the order of addition
changes nothing. float32 has 24 bits."""


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
    flat = flat_pixels(alpha)
    where = sites.level.mask.flatten()
    if trimap is not None:
        where = where & (sites.known(trimap) == 128)
    wide = sites.read(prior[None], margin=True)
    upsampled = wide[0, :, 1:-1, 1:-1].flatten()
    values = flat.index_select(0, sites.readable)
    move = values.clamp(0, 1) - upsampled
    correction = _correction(move, where, sites, (prior.shape[0], prior.shape[1]), params)
    kept = torch.lerp(upsampled, values + sites.read(correction[None])[0], _share(wide).flatten())
    flat.index_copy_(0, torch.where(where, sites.index, alpha.numel()), kept)


def _correction(
    move: Tensor, where: Tensor, sites: Sites, shape: tuple[int, int], params: MeanRestorationParams
) -> Tensor:  # fmt: skip
    """What is added to the mean of each region, (h, w). move: (S,), alpha minus upsampled prior, which counts where
    `where` is set."""
    (height, width), (h, w), device = sites.size, shape, move.device
    tile = sites.level.tile
    scale, extent = (constant(pair, device, np.int64)[:, None, None] for pair in ((w, h), (width, height)))
    column, row = sites.places * scale // extent
    cells = torch.add(column[:, None], row[..., None], alpha=w).flatten()
    # Sites beyond the picture fall into rows behind the last one, or into others, to which they add nothing.
    rows = ((sites.level.grid[0] + EMPTY_ROWS + 1) * tile * h) // height + 2
    totals = torch.zeros((rows * w + w, 2), dtype=torch.int64, device=device)
    one = constant((1.0,), device).expand_as(move)
    moves = torch.where(where[:, None], torch.stack([move, one], 1), 0).mul_(_FIXED)
    totals.index_add_(0, cells, moves.long())
    sums = box_mean(totals[: h * w].T.float().view(2, h, w), max(1, round(min(shape) / params.regions)))
    mean = sums[0] / sums[1].clamp(min=1e-6 * _FIXED)
    exponent = torch.addcmul(constant((0.0,), device), mean, mean, value=-(params.move**-2))
    return exponent.expm1_() * mean


def _share(wide: Tensor, low: float = SPATIAL_SPARSITY.low) -> Tensor:
    """Share of the refined alpha at every site, (T, tile, tile), see `prior_mean.restore_confident_prior`.

    Args:
        wide: The upsampled prior with one more site on every side of each tile, (1, T, tile + 2, tile + 2).
        low: See there.
    """
    share = torch.rsub((wide - 0.5).abs_(), 0.5 / low - 1, alpha=1 / low).clamp_(0, 1)
    return F.max_pool2d(share[0], 3, 1)
