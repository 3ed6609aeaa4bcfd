"""Losses on alpha mattes. All are means over pixels, so that their weights do not depend on crop size or band width."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_l1(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean |found - true| over `mask`; (B, 1, H, W) each."""
    return ((found - true).abs() * mask).sum() / (mask.sum() + 1)


def masked_l2(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error over `mask`; (B, 1, H, W) each."""
    return ((found - true).square() * mask).sum() / (mask.sum() + 1)


def gradient(found: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    """Mean |difference of forward differences| along both axes over `mask`."""
    off = found - true
    right, down = (off[..., 1:] - off[..., :-1]).abs(), (off[..., 1:, :] - off[..., :-1, :]).abs()
    total = (right * mask[..., 1:]).sum() + (down * mask[..., 1:, :]).sum()
    return total / (mask.sum() + 1)


def laplacian_pyramid(found: Tensor, true: Tensor, mask: Tensor, levels: int = 4) -> Tensor:
    """L1 between Laplacian pyramids, level i weighted 2**i (Hou and Liu, ICCV 2019), over the mask's share of pixels.

    `found` must be fused with the known pixels first, so that a perfect band scores zero.
    """
    off, total = found - true, torch.zeros((), device=found.device)
    for level in range(levels):
        low = F.avg_pool2d(off, 2, ceil_mode=True, count_include_pad=False)
        wide = F.interpolate(low, size=off.shape[-2:], mode="bilinear", align_corners=False)
        total = total + 2.0**level * (off - wide).abs().mean()
        off = low
    return total / (mask.float().mean() + 1e-3)


def composition(found: Tensor, true: Tensor, front: Tensor, back: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Mean sqrt((c_found - c_true)² + eps²) over `mask` and colours (HRIMF-AMR Eq. 4, after Deep Image Matting).

    found, true, mask: (B, 1, H, W); front, back: (B, 3, H, W) colours that both mattes are composited of.
    """
    off = ((found - true) * (front - back)).square().add(eps**2).sqrt() - eps
    return (off * mask).sum() / (3 * (mask.sum() + 1))


def mdrd(offset: Tensor, true: Tensor, prior: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Matte detail resolution difference (HRIMF-AMR Eq. 6): ‖offset - (true - prior)‖₂ over `mask`.

    As a root of the mean over the mask, so that its weight does not depend on the crop; (B, 1, H, W) each, `prior` the
    upsampled low-resolution matte.
    """
    off = (offset - (true - prior)).square() * mask
    return (off.sum() / (mask.sum() + 1) + eps**2).sqrt()
