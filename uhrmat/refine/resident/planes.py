"""Whole planes on a device: what `sparsity.spatial`, `refine.fuse` and `media.resample` do on the host, in torch.

Results equal those of the host but for the last bits of float32. Nothing here waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from uhrmat.core.transfer import constant
from uhrmat.media.resample import _ANY, _KNOWN_SLACK
from uhrmat.refine.base import RefineInput
from uhrmat.refine.memory.tiling import Part
from uhrmat.refine.planes import PlaneOperations
from uhrmat.refine.resident.picture import ResidentPicture, new_plane
from uhrmat.refine.resident.window import tile_counts
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

Shape = tuple[int, int]
_bounds: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""`known_bounds` by trimap."""


def upsample(values: Tensor, size: Shape) -> Tensor:
    """A map (h, w) enlarged bilinearly to (H, W): pixel centres aligned, edges repeated."""
    return F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def known_bounds(trimap: Tensor) -> tuple[Tensor, Tensor]:
    """Least and largest alpha that a trimap allows, each (H, W) bool: the same where a pixel is known. Kept as long as
    the trimap, which nothing changes, is there."""
    kept: Any = _bounds  # its methods have no types
    if trimap not in kept:
        kept[trimap] = trimap == 255, trimap != 0
    bounds: tuple[Tensor, Tensor] = kept[trimap]
    return bounds


def upsampled_prior(prior: Tensor, trimap: Tensor, out: Tensor | None = None) -> Tensor:
    """See `refine.fuse.upsampled_prior`; (H, W) of `picture.new_plane`."""
    size = (trimap.shape[0], trimap.shape[1])
    alpha = new_plane(size, trimap.device) if out is None else out
    return torch.clamp(upsample(prior, size), *known_bounds(trimap), out=alpha)


def apply_trimap(alpha: Tensor, trimap: Tensor) -> None:
    """See `refine.fuse.apply_trimap`."""
    torch.clamp(alpha.nan_to_num_(nan=0.5), *known_bounds(trimap), out=alpha)


def _equal_as_share(values: Tensor, other: Tensor | int) -> Tensor:
    """1 where values (H, W) equal others and 0 elsewhere, in half precision on a GPU."""
    kind = torch.float16 if values.device.type == "cuda" else torch.float32
    return torch.eq(values, other, out=torch.empty(values.shape, dtype=kind, device=values.device))


def _dilated_share(share: Tensor, kernel: int) -> Tensor:
    """The share of set pixels in the square of `kernel` pixels around each, (H, W): positive where any is set, for it
    is at least 1 / kernel² there."""
    share = share[None]
    for window, pad in (((kernel, 1), (kernel // 2, 0)), ((1, kernel), (0, kernel // 2))):
        share = F.avg_pool2d(share, window, 1, pad)
    return share[0]


def trimap_mask(trimap: Tensor) -> Tensor:
    """See `sparsity.spatial.trimap_mask`."""
    return _dilated_share(_equal_as_share(trimap, 128), SPATIAL_SPARSITY.kernel) > 0


def trimap_from_alpha(alpha: Tensor, size: Shape) -> Tensor:
    """See `sparsity.spatial.trimap_from_alpha`."""
    return _trimap_between(upsample(alpha, size), SPATIAL_SPARSITY.low, _below(SPATIAL_SPARSITY.high))


def _trimap_between(values: Tensor, low: float, high: float) -> Tensor:
    """(H, W) uint8: 0 up to `low`, 128 above it, 255 above `high`."""
    place = torch.bucketize(values, constant((low, high), values.device), out_int32=True)
    table = constant((0, 128, 255), values.device, np.uint8)
    return table.index_select(0, place.flatten()).view(values.shape)


def _below(bound: float) -> float:
    """The float32 before that of `bound`."""
    return float(np.nextafter(np.float32(bound), np.float32(-np.inf)))


def _above(bound: float) -> float:
    """The float32 after that of `bound`."""
    return float(np.nextafter(np.float32(bound), np.float32(np.inf)))


def area_average(planes: Tensor, shape: Shape) -> Tensor:
    """Average over the area of each small pixel.

    Args:
        planes: (..., C, H, W) float32.
        shape: (h, w), not larger.

    Returns:
        (..., C, h, w) float32.
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
    kind = picture.pixels.dtype
    # As one picture of a batch, so that pooling keeps the colours last.
    mean = area_average(picture.values().permute(2, 0, 1)[None], shape)[0].permute(1, 2, 0)
    if kind == torch.int16:
        mean = mean.round().int()
    elif kind == torch.uint8:
        mean = mean.round_()
    info = replace(picture.info, height=shape[0], width=shape[1], linear=False)
    return ResidentPicture(mean.to(kind).contiguous(), info)


def downsample_trimap(trimap: Tensor, shape: Shape) -> Tensor:
    """See `media.resample.downsample_trimap`."""
    mean = area_average(trimap.float()[None], shape)[0]
    return _trimap_between(mean, _below(_KNOWN_SLACK), 255 - _KNOWN_SLACK)


def downsample_mask(mask: Tensor, shape: Shape) -> Tensor:
    """See `media.resample.downsample_mask`."""
    return area_average(mask.float()[None], shape)[0] > _ANY


def remaining_active(active: Tensor, prior: Tensor, refined: bool) -> Tensor:
    """See `sparsity.spatial.remaining_active`."""
    if not refined:
        return active
    full = upsample(prior, (active.shape[0], active.shape[1]))
    between = torch.clamp(full, _above(SPATIAL_SPARSITY.low), _below(SPATIAL_SPARSITY.high))
    share = _dilated_share(_equal_as_share(full, between), SPATIAL_SPARSITY.kernel)
    return torch.logical_and(active, share)


class DevicePlanes:
    """`refine.planes.PlaneOperations` on tensors."""

    def count_cells(self, inputs: RefineInput) -> np.ndarray:
        return tile_counts(inputs).astype(np.int32)

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
