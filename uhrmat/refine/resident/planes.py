"""Whole planes on a device: what `sparsity.spatial`, `refine.fuse` and `media.resample` do on the host, in torch.

Results equal those of the host but for the last bits of float32. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.media.resample import _ANY, _KNOWN_SLACK
from uhrmat.refine.base import RefineInput
from uhrmat.refine.memory.tiling import Part
from uhrmat.refine.planes import PlaneOperations
from uhrmat.refine.resident.picture import ResidentPicture, new_plane
from uhrmat.refine.resident.window import mask_levels
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

Shape = tuple[int, int]


def upsample(values: Tensor, size: Shape) -> Tensor:
    """A map (h, w) enlarged bilinearly to (H, W): pixel centres aligned, edges repeated."""
    return F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def upsampled_prior(prior: Tensor, trimap: Tensor, out: Tensor | None = None) -> Tensor:
    """See `refine.fuse.upsampled_prior`; (H, W) of `picture.new_plane`."""
    size = (trimap.shape[0], trimap.shape[1])
    alpha = new_plane(size, trimap.device) if out is None else out
    return torch.where(trimap == 128, upsample(prior, size), trimap == 255, out=alpha)


def apply_trimap(alpha: Tensor, trimap: Tensor) -> None:
    """See `refine.fuse.apply_trimap`."""
    # Known pixels have the same bound on either side.
    torch.clamp(alpha.nan_to_num_(nan=0.5), trimap == 255, trimap != 0, out=alpha)


def dilate(mask: Tensor, kernel: int = SPATIAL_SPARSITY.kernel) -> Tensor:
    """See `sparsity.spatial.dilate`."""
    if kernel <= 1:
        return mask
    half = torch.float16 if mask.device.type == "cuda" else torch.float32
    share = mask.to(half)[None]
    for window, pad in (((kernel, 1), (kernel // 2, 0)), ((1, kernel), (0, kernel // 2))):
        share = F.avg_pool2d(share, window, 1, pad)  # positive where any is set: at least 1 / kernel²
    return share[0] > 0


def trimap_mask(trimap: Tensor) -> Tensor:
    """See `sparsity.spatial.trimap_mask`."""
    return dilate(trimap == 128)


def spatial_mask(alpha: Tensor, size: Shape) -> Tensor:
    """See `sparsity.spatial.spatial_mask`."""
    full = upsample(alpha, size)
    return dilate((full > SPATIAL_SPARSITY.low) & (full < SPATIAL_SPARSITY.high))


def trimap_from_alpha(alpha: Tensor, size: Shape) -> Tensor:
    """See `sparsity.spatial.trimap_from_alpha`."""
    full = upsample(alpha, size)
    known = (full >= SPATIAL_SPARSITY.high).to(torch.uint8) * 255
    return known.masked_fill_((full > SPATIAL_SPARSITY.low) & (full < SPATIAL_SPARSITY.high), 128)


def area_average(planes: Tensor, shape: Shape) -> Tensor:
    """Average over the area of each small pixel.

    Args:
        planes: (C, H, W) float32.
        shape: (h, w), not larger.

    Returns:
        (C, h, w) float32.
    """
    (height, width), (h, w) = planes.shape[-2:], shape
    if height % h == 0 and width % w == 0:
        return F.avg_pool2d(planes, (height // h, width // w))
    return _overlaps(height, h, planes.device) @ planes @ _overlaps(width, w, planes.device).T


def _overlaps(large: int, small: int, device: torch.device) -> Tensor:
    """(small, large): the share of each large pixel in each small one; rows add up to 1."""
    edges = torch.arange(small + 1, device=device, dtype=torch.float64) * (large / small)
    pixels = torch.arange(large, device=device)
    overlap = torch.minimum(edges[1:, None], pixels + 1) - torch.maximum(edges[:-1, None], pixels)
    return (overlap.clamp(min=0) * (small / large)).float()


def downsample_picture(picture: ResidentPicture, shape: Shape) -> ResidentPicture:
    """See `media.resample.downsample_picture`."""
    mean, kind = area_average(picture.planes(), shape).permute(1, 2, 0), picture.pixels.dtype
    if kind == torch.uint8:
        mean = (mean * 255).round().to(kind)
    elif kind == torch.int16:
        mean = (mean * 65535).round().int().to(kind)
    info = replace(picture.info, height=shape[0], width=shape[1], linear=False)
    return ResidentPicture(mean.contiguous(), info)


def downsample_trimap(trimap: Tensor, shape: Shape) -> Tensor:
    """See `media.resample.downsample_trimap`."""
    mean = area_average(trimap.float()[None], shape)[0]
    known = (mean > 255 - _KNOWN_SLACK).to(torch.uint8) * 255
    return known.masked_fill_((mean >= _KNOWN_SLACK) & (mean <= 255 - _KNOWN_SLACK), 128)


def downsample_mask(mask: Tensor, shape: Shape) -> Tensor:
    """See `media.resample.downsample_mask`."""
    return area_average(mask.float()[None], shape)[0] > _ANY


def remaining_active(active: Tensor, prior: Tensor, refined: bool) -> Tensor:
    """See `sparsity.spatial.remaining_active`."""
    return active & spatial_mask(prior, (active.shape[0], active.shape[1])) if refined else active


class DevicePlanes:
    """`refine.planes.PlaneOperations` on tensors."""

    def count_cells(self, inputs: RefineInput) -> np.ndarray:
        return mask_levels(inputs).counts[0].astype(np.int32)

    def unknown_trimap(self, inputs: RefineInput) -> Tensor:
        return torch.full(inputs.size, 128, dtype=torch.uint8, device=inputs.active.device)

    def no_pixels(self, inputs: RefineInput) -> Tensor:
        return torch.zeros_like(inputs.active)

    downsample_picture = staticmethod(downsample_picture)
    downsample_trimap = staticmethod(downsample_trimap)
    downsample_mask = staticmethod(downsample_mask)
    remaining_active = staticmethod(remaining_active)
    upsampled_prior = staticmethod(upsampled_prior)
    apply_trimap = staticmethod(apply_trimap)

    def keep_for_retry(self, inputs: RefineInput, alpha: Tensor) -> Callable[[], None]:
        before = alpha.clone()

        def restore() -> None:
            alpha.copy_(before)

        return restore

    def keep_halo(self, active: Tensor, alpha: Tensor, part: Part) -> Callable[[], None]:
        before = alpha[part.window].clone()

        def restore() -> None:
            before[part.core_in_window] = alpha[part.core]
            alpha[part.window] = before

        return restore


ON_DEVICE: PlaneOperations = DevicePlanes()
