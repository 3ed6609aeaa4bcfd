"""Losses on alpha mattes. All are means over pixels, so that their weights do not depend on crop size or band width.

Unless a function says otherwise, alphas, targets and masks are (B, 1, H, W); alphas and targets lie in [0, 1] (a raw
prediction may leave it), masks are boolean or weights in [0, 1]; each loss is a scalar.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def masked_l1(alpha: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean |alpha - target| over `mask`."""
    return ((alpha - target).abs() * mask).sum() / (mask.sum() + 1)


def masked_l2(alpha: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean (alpha - target)² over `mask`."""
    return ((alpha - target).square() * mask).sum() / (mask.sum() + 1)


def gradient(alpha: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference of the forward differences of both mattes, along both axes, over `mask`."""
    off = alpha - target
    right, down = (off[..., 1:] - off[..., :-1]).abs(), (off[..., 1:, :] - off[..., :-1, :]).abs()
    total = (right * mask[..., 1:]).sum() + (down * mask[..., 1:, :]).sum()
    return total / (mask.sum() + 1)


def laplacian_pyramid(alpha: Tensor, target: Tensor, mask: Tensor, levels: int = 4) -> Tensor:
    """L1 distance of Laplacian pyramids, level i weighted by 2**i, over the mask's share of the pixels.

    After Hou and Liu, "Context-Aware Image Matting for Simultaneous Foreground and Alpha Estimation", ICCV 2019
    (https://arxiv.org/abs/1909.09725), whose pyramid has five levels and Gaussian filters; here area averages and
    bilinear enlargement.

    Args:
        alpha: prediction, exact outside the unknown region, so that a perfect prediction scores zero.
        target: true alpha.
        mask: the unknown region.
        levels: of the pyramid, without the coarsest remainder.
    """
    off, total = alpha - target, torch.zeros((), device=alpha.device)
    for level in range(levels):
        low = F.avg_pool2d(off, 2, ceil_mode=True, count_include_pad=False)
        wide = F.interpolate(low, size=off.shape[-2:], mode="bilinear", align_corners=False)
        total = total + 2.0**level * (off - wide).abs().mean()
        off = low
    return total / (mask.float().mean() + 1e-3)


def composition(alpha: Tensor, target: Tensor, front: Tensor, back: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Mean sqrt((c - c_target)² + eps²) over `mask` and colours: HRIMF-AMR Eq. 4 (compositional loss).

    From Xu et al., "Deep Image Matting", CVPR 2017 (https://arxiv.org/abs/1703.03872). c and c_target are composites
    of the same colours with both alphas, so that c - c_target = (alpha - target) (front - back).

    Args:
        alpha: prediction.
        target: true alpha.
        front: (B, 3, H, W) foreground colours in [0, 1].
        back: (B, 3, H, W) background colours in [0, 1].
        mask: the unknown region.
        eps: keeps the root differentiable at zero; it is subtracted again, so that a perfect prediction scores zero.
    """
    off = ((alpha - target) * (front - back)).square().add(eps**2).sqrt() - eps
    return (off * mask).sum() / (3 * (mask.sum() + 1))


def mdrd(offset: Tensor, target: Tensor, prior: Tensor, mask: Tensor, eps: float = 1e-6) -> Tensor:
    """Matte detail resolution difference: ‖offset - (target - prior)‖₂ over `mask`, HRIMF-AMR Eq. 6.

    Ye et al., HRIMF-AMR, IEEE TIP 2025 (https://github.com/yexianmin/HRAMR-Matting). Here the root of a mean instead of
    the Euclidean norm, so that its weight does not depend on the crop.

    Args:
        offset: predicted detail difference, of any sign.
        target: true alpha.
        prior: the upsampled low-resolution alpha.
        mask: the unknown region.
        eps: keeps the root differentiable at zero.
    """
    off = (offset - (target - prior)).square() * mask
    return (off.sum() / (mask.sum() + 1) + eps**2).sqrt()
