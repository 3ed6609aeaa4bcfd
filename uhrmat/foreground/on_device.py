"""`foreground.solve` on a GPU: the same levels, blurs and shares, in strips of whole rows instead of blocks.

Results equal those of the host to the last step of 8 bits but for few pixels (`tests/foreground/test_on_device.py`).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.devices import on_device
from uhrmat.core.transfer import constant, download, upload
from uhrmat.foreground.solve import FOREGROUND_DEFAULTS, Array, Floats, ForegroundParams, Solution
from uhrmat.refine.memory.budget import is_out_of_memory

_STRIP = 1 << 24
"""Pixels that are solved at once: all of a picture of 4K. Changes memory, not colours. Not tuned."""
_SPREAD = 8
"""Pixels around fractional alpha that get a colour, as the host's."""
_BYTES = 240
"""Bytes for each pixel of a strip: colours of both layers in float32, five times, and the level's picture. Counted, not
measured."""

_TINY = ((16, 4),)
"""Longer sides of levels, pixels, and the most passes over those that are no larger: they only begin what finer ones go
on with. Chosen on GT04, GT08, GT16, GT18, GT24 and GT26 of alphamatting.com and the scene of
`tests/foreground/test_on_device.py`, where fewer passes differ from the host's by more than a step of 8 bits. The host
makes all of `ForegroundParams.passes`."""

Bounds = tuple[Tensor, Tensor]
"""Least and largest colour, each ()."""


def foreground_bytes(pixels: Array) -> int:
    """Bytes of the device that `estimate_foreground_on_device` needs."""
    count = int(pixels.shape[0] * pixels.shape[1])
    return count * (2 * 3 * int(pixels.dtype.itemsize) + 8) + min(count, 2 * _STRIP) * _BYTES


@torch.inference_mode()
def estimate_foreground_on_device(
    pixels: Array,
    alpha: Floats,
    device: torch.device,
    *,
    spread: int = _SPREAD,
    strip: int = _STRIP,
    params: ForegroundParams = FOREGROUND_DEFAULTS,
) -> Array:
    """`solve.estimate_foreground` in torch: one copy to the device, one back.

    Args:
        pixels: (H, W, 3) uint8, uint16 or float32, in any colour space.
        alpha: (H, W) float32 in [0, 1].
        device: Where it is computed.
        spread: Pixels around fractional alpha that get a colour.
        strip: Pixels solved at once, in whole rows. Changes memory, not colours.
        params: Of the solution.

    Returns:
        (H, W, 3) in the dtype of `pixels`, see `solve.estimate_foreground`.
    """
    with on_device(device):
        there = upload([pixels, alpha], device)
        colours = _colours(there[0], there[1], spread, strip, params)
        done: Array = download([colours])[0]
    return done.view(pixels.dtype)


@torch.inference_mode()
def try_foreground(pixels: Tensor, alpha: Tensor) -> Tensor | None:
    """`estimate_foreground_on_device` of a picture that is there, or None where the memory runs out.

    Args:
        pixels: (H, W, 3) uint8, int16 with the bits of uint16, or float32.
        alpha: (H, W) float32 in [0, 1].

    Returns:
        (H, W, 3) in the dtype of `pixels`.
    """
    try:
        return _colours(pixels, alpha, _SPREAD, _STRIP, FOREGROUND_DEFAULTS)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None


def _colours(pixels: Tensor, alpha: Tensor, spread: int, strip: int, params: ForegroundParams) -> Tensor:
    """Straight colours, (H, W, 3) of the stored type."""
    top = {torch.uint8: 255.0, torch.int16: 65535.0}.get(pixels.dtype, 1.0)
    half_step = 0.5 / (255.0 if pixels.dtype == torch.uint8 else 65535.0)
    partial = alpha < 1.0 - half_step
    band = _dilate((alpha >= half_step) & partial, spread) & partial
    least, limit = constant((0.0, top), alpha.device).unbind()
    if pixels.dtype == torch.float32:
        limit = pixels.amax().clamp(min=top)  # highlights of scene-linear pictures
    bounds = least, limit
    plan = Solution.plan((alpha.shape[0], alpha.shape[1]), params)
    step, width = plan.factor, alpha.shape[1]
    image, small = (_shrink(planes, step, pixels.dtype) for planes in (_planes(pixels), alpha[None]))
    coarse = _whole(image, small[0], bounds, params)
    rows = max(step, strip // width // step * step)
    out = pixels.masked_fill(partial[..., None], 0)
    for start in range(0, alpha.shape[0], rows):
        inside = slice(start, min(alpha.shape[0], start + rows))
        solved = _strip(pixels, alpha, inside, coarse, small[0], plan, bounds)
        if pixels.dtype != torch.float32:
            solved = solved.round_().int().to(pixels.dtype)
        out[inside] = torch.where(band[inside, :, None], solved.permute(1, 2, 0), out[inside])
    return out


def _strip(
    pixels: Tensor, alpha: Tensor, rows: slice, colours: Tensor, coarse: Tensor, plan: Solution, bounds: Bounds
) -> Tensor:  # fmt: skip
    """F (3, rows, W) from the coarsest level's colours (2, 3, h, w) and alpha (h, w)."""
    height, width, step = rows.stop - rows.start, alpha.shape[1], plan.factor
    halo, levels, params = plan.halo(plan.levels), plan.levels, plan.params
    ys = _clipped(rows.start // step - halo, -(-rows.stop // step) + halo, coarse.shape[0], coarse.device)
    xs = _clipped(-halo, -(-width // step) + halo, coarse.shape[1], coarse.device)
    colours, level_alpha = colours[:, :, ys[:, None], xs], coarse[ys[:, None], xs]
    images = _images(pixels, alpha, rows, plan)
    for level in range(levels - 1, -1, -1):
        image, finer = images[level]
        colours = _enlarge(colours, level_alpha, (2 * level_alpha.shape[0], 2 * level_alpha.shape[1]), params.floor)
        cut = 2 * plan.halo(level + 1) - plan.halo(level)
        colours = colours[:, :, cut : cut + finer.shape[0], cut : cut + finer.shape[1]]
        colours, level_alpha = _fuse(image, finer, colours, bounds, params, 1), finer
    edge = plan.halo(0)
    return colours[0, :, edge : edge + height, edge : edge + width]


def _images(pixels: Tensor, alpha: Tensor, rows: slice, plan: Solution) -> list[tuple[Tensor, Tensor]]:
    """Picture (3, h, w) and alpha (h, w) of a strip with its halo at each finer level, finest first."""
    if not plan.levels:
        return []
    step, top_level, width = plan.factor, plan.levels - 1, alpha.shape[1]
    reach = plan.halo(top_level) << top_level
    ys = _clipped(rows.start - reach, -(-rows.stop // step) * step + reach, alpha.shape[0], alpha.device)
    xs = _clipped(-reach, -(-width // step) * step + reach, width, alpha.device)
    planes = torch.cat([_planes(pixels[ys[:, None], xs]), alpha[ys[:, None], xs][None]])
    images = []
    for level in range(plan.levels):
        cut = (reach >> level) - plan.halo(level)
        inner = slice(cut, -cut or None)
        images.append((planes[:3, inner, inner], planes[3, inner, inner]))
        if level < top_level:
            planes = F.avg_pool2d(planes, 2)
    return images


def _whole(image: Tensor, alpha: Tensor, bounds: Bounds, params: ForegroundParams) -> Tensor:
    """F and B of a small picture, (2, 3, h, w), see `solve._whole`."""
    height, width = alpha.shape
    if max(height, width) <= 4:
        weights = _weights(alpha, params.floor)
        means = (image * weights).sum((2, 3), keepdim=True) / weights.sum((2, 3), keepdim=True)
        colours = means.expand(2, *image.shape)
    else:
        smaller = _halve(torch.cat([image, alpha[None]]))
        coarse = _whole(smaller[:3], smaller[3], bounds, params)
        colours = _enlarge(coarse, smaller[3], (height, width), params.floor)
    return _fuse(image, alpha, colours, bounds, params, _passes(max(height, width), params))


def _passes(side: int, params: ForegroundParams) -> int:
    """Passes over a level of so many pixels on its longer side, see `solve._whole`; few over tiny ones."""
    most = next((passes for limit, passes in _TINY if side <= limit), params.passes)
    return max(1, min(most, params.passes, params.pass_pixels // side))


def _fuse(
    image: Tensor, alpha: Tensor, colours: Tensor, bounds: Bounds, params: ForegroundParams, passes: int
) -> Tensor:  # fmt: skip
    """One level, `passes` times: the picture's share, the weighted blur, the picture's share again.

    The residual is shared out by a matrix of 2 x 2 at each pixel and a constant: with weighted colours u = w c and
    gains g, u + w g (I - a . c) = w g I + (1 - w g (a / w)^T) u. So a share is two kernels, and a third clips.
    """
    first, sign = (constant(pair, alpha.device).view(2, 1, 1, 1) for pair in ((0.0, 1.0), (1.0, -1.0)))
    layers = torch.addcmul(first, alpha, sign)
    weights = layers + params.floor
    gains = layers / (layers.square().sum(0) + params.noise) * weights
    visible = weights / _blur(weights, params.blur)
    fixed, limit = gains * image, bounds[1] * weights
    eye = constant((1.0, 0.0, 0.0, 1.0), alpha.device).view(2, 2, 1, 1, 1)
    plain = torch.addcmul(eye, gains[:, None], layers / weights, value=-1)
    blurred = plain * visible

    def share(parts: Tensor, matrix: Tensor) -> Tensor:
        shared = torch.addcmul(fixed, matrix[:, 0], parts[0]).addcmul_(matrix[:, 1], parts[1])
        return shared.clamp_(bounds[0], limit)

    colours = colours * weights
    for _ in range(passes):
        colours = share(colours, plain)
        colours = share(_blur(colours, params.blur), blurred)
    return colours / weights


def _blur(planes: Tensor, side: int) -> Tensor:
    """Means over squares of (2, C, h, w), the border repeated."""
    return F.avg_pool2d(F.pad(planes, (side // 2,) * 4, mode="replicate"), side, 1)


def _enlarge(colours: Tensor, alpha: Tensor, size: tuple[int, int], floor: float) -> Tensor:
    """Colours bilinearly at `size`, weighted so that a layer's visible pixels decide."""
    weights = _weights(alpha, floor)
    grown = F.interpolate(torch.cat([colours * weights, weights], 1), size, mode="bilinear", align_corners=False)
    return grown[:, :3] / grown[:, 3:]


def _weights(alpha: Tensor, floor: float) -> Tensor:
    """(2, 1, h, w): weights of the foreground's and the background's colour."""
    return torch.stack([alpha + floor, (1.0 + floor) - alpha])[:, None]


def _planes(pixels: Tensor) -> Tensor:
    """Stored (h, w, 3) as float32 (3, h, w), in the same units."""
    values = pixels.int() & 0xFFFF if pixels.dtype == torch.int16 else pixels
    return values.permute(2, 0, 1).float()


def _shrink(planes: Tensor, step: int, stored: torch.dtype) -> Tensor:
    """Area average by `step`, the last rows and columns repeated; colours rounded as the stored type is."""
    if step == 1:
        return planes
    height, width = planes.shape[1:]
    padded = F.pad(planes[None], (0, -width % step, 0, -height % step), mode="replicate")[0]
    small = F.avg_pool2d(padded, step)
    return small.round_() if stored != torch.float32 and len(planes) == 3 else small


def _halve(planes: Tensor) -> Tensor:
    """The means of 2 x 2 pixels; where a side is odd, by area."""
    height, width = planes.shape[1:]
    if height % 2 == 0 and width % 2 == 0:
        return F.avg_pool2d(planes, 2)
    return _shares(height, planes.device) @ planes @ _shares(width, planes.device).T


@lru_cache(maxsize=64)
def _shares(size: int, device: torch.device) -> Tensor:
    """(half, size): the share of each pixel in each pixel of half as many, rounded up."""
    half = -(-size // 2)
    edges = np.arange(half + 1) * (size / half)
    pixels = np.arange(size)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    shares = (overlap.clip(min=0) * (half / size)).astype(np.float32)
    return upload([shares], device)[0]


def _clipped(start: int, stop: int, size: int, device: torch.device) -> Tensor:
    """`start` to `stop` - 1, each at least 0 and below `size`."""
    return torch.arange(start, stop, device=device).clamp_(0, size - 1)


def _dilate(mask: Tensor, spread: int) -> Tensor:
    """A mask (H, W) widened by `spread` pixels to every side."""
    if not spread:
        return mask
    wide = mask.float()[None]
    for axis in ((2 * spread + 1, 1), (1, 2 * spread + 1)):
        wide = F.max_pool2d(wide, axis, 1, (axis[0] // 2, axis[1] // 2))
    wider: Tensor = wide[0] > 0
    return wider
