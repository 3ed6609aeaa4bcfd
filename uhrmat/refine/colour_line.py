"""Colour-line features (ours): where a pixel lies on the line between smooth foreground and background colours.

From the prior and the small picture, F and B are estimated by a weighted pull-push (each level of a pyramid keeps what
it has weight for and takes the rest from the coarser level). A full-resolution colour I is then projected onto the
line from B to F:

    p = (I - B)·(F - B) / |F - B|²,  confidence c = |F - B|² / (|F - B|² + s),  projection = c·clamp(p) + (1 - c)·alpha
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import constant


@dataclass(frozen=True, kw_only=True)
class ColourLineParams:
    """Parameters of the colour-line features.

    None was tuned. The inputs of SHM-lite and DDFE `line` depend on them: changing one means training
    again (`uhrmat train shm`, `uhrmat train ddfe`) and another `INPUT_VERSION` in `features` and `ddfe.network`.

    Attributes:
        sharpness: Exponent on alpha as the weight of a pixel's own colour.
        hold: Weight of the coarser pyramid level against a pixel of weight 1.
        softness: s above, squared colour distance at which projection and prior count the same.
    """

    sharpness: float = 2.0
    hold: float = 0.1
    softness: float = 0.01


COLOUR_LINE = ColourLineParams()


def estimate_smooth_colours(
    image: Tensor, alpha: Tensor, params: ColourLineParams = COLOUR_LINE
) -> tuple[Tensor, Tensor]:
    """Smooth foreground and background colours of a small picture.

    Args:
        image: (B, 3, H, W) in [0, 1].
        alpha: (B, 1, H, W) in [0, 1].
        params: Weights of the pull-push.

    Returns:
        F and B, each (B, 3, H, W) in [0, 1].
    """
    first, sign = (constant(pair, alpha.device).to(alpha).view(2, 1, 1, 1, 1) for pair in ((0.0, 1.0), (1.0, -1.0)))
    weights = torch.addcmul(first, alpha, sign) ** params.sharpness
    front, back = _pull_push(image, weights, params.hold, image.device.type != "cpu")
    return front, back


def _pull_push(image: Tensor, weights: Tensor, hold: float, at_once: bool) -> Tensor:
    """Weighted pull-push on tensors, which weights are trained on. `prior.pull_push` resamples by OpenCV instead.

    Args:
        image: (B, 3, H, W).
        weights: (N, B, 1, H, W), of N estimates.
        hold: See `ColourLineParams`.
        at_once: Whether all levels but the finest are divided at once: fewer launches, more memory.

    Returns:
        (N, B, 3, H, W).
    """
    # Colours and, as fourth channel, weights plus `hold`, which averaging leaves as it is.
    one, more = (constant(values, image.device).to(image) for values in ((1.0,), (0.0, 0.0, 0.0, hold)))
    colours = torch.cat([image, one.expand_as(image[:, :1])], 1)
    pyramid = [torch.addcmul(more.view(4, 1, 1), colours, weights).flatten(0, 1)]
    while min(pyramid[-1].shape[-2:]) > 2:
        pyramid.append(_halve(pyramid[-1]))
    total = pyramid[-1].mean((2, 3), keepdim=True)
    total = total.view(*weights.shape[:2], 4, 1, 1)
    mass, plain = total[:, :, 3:] - hold, image.mean((2, 3), keepdim=True)
    colour = torch.where(mass > 1e-6, total[:, :, :3] / mass.clamp(min=1e-6), plain).flatten(0, 1)
    divided = _own_and_coarser(pyramid[1:], hold) if at_once else []
    for own, share in divided:
        coarser = F.interpolate(colour, size=own.shape[-2:], mode="bilinear", align_corners=False)
        colour = torch.addcmul(own, share, coarser)
    for level in reversed(pyramid[:1] if at_once else pyramid):
        colour = F.interpolate(colour, size=level.shape[-2:], mode="bilinear", align_corners=False)
        colour = torch.add(level[:, :3], colour, alpha=hold).div_(level[:, 3:])
    return colour.view(*weights.shape[:2], *colour.shape[1:])


def _own_and_coarser(pyramid: list[Tensor], hold: float) -> list[tuple[Tensor, Tensor]]:
    """Each level's part of its colours and the weight of the coarser one's, coarse to fine, divided all at once."""
    if not pyramid:
        return []
    sizes = [level.shape[-2:] for level in pyramid]
    flat = torch.cat([level.flatten(2) for level in pyramid], 2)
    lengths = [height * width for height, width in sizes]
    above = flat[:, :3], constant((hold,), flat.device).to(flat)
    owns, shares = (torch.split(part / flat[:, 3:], lengths, 2) for part in above)
    parts = zip(owns, shares, sizes, strict=True)
    return [(own.view(*own.shape[:2], *size), share.view(*share.shape[:2], *size)) for own, share, size in parts][::-1]


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)


def project(
    image: Tensor, front: Tensor, back: Tensor, alpha: Tensor, params: ColourLineParams = COLOUR_LINE
) -> tuple[Tensor, Tensor, Tensor]:
    """Project colours onto their colour line and mix the result with the prior by confidence.

    Args:
        image: Colours, (..., 3) in [0, 1].
        front: Smooth foreground colours F, (..., 3) in [0, 1].
        back: Smooth background colours B, (..., 3) in [0, 1].
        alpha: Upsampled prior, (..., 1) in [0, 1].
        params: Softness of the confidence.

    Returns:
        Projection in [0, 1], confidence in [0, 1] and distance of the colour from the line, each (..., 1).
    """
    offsets = torch.stack([image - back, (front - back).expand_as(image)])
    return project_offsets(offsets, alpha, params)[:3]


def project_offsets(
    offsets: Tensor, alpha: Tensor, params: ColourLineParams = COLOUR_LINE, detail: float | None = None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`project` from differences of colours, and how far another difference reaches along the line.

    Args:
        offsets: (n, ..., 3): I - B, F - B and, with `detail`, a third one.
        alpha: Upsampled prior, (..., 1) in [0, 1].
        params: Softness of the confidence.
        detail: Added to the squared length of the line that the third one is divided by.

    Returns:
        What `project` returns, and the reach of the third one in [-1, 1], (..., 1); without one, the confidence again.
    """
    line = offsets[1]
    products = (offsets * line).sum(-1, keepdim=True)
    more = 0 if detail is None else 1
    softness = (1e-6, params.softness, *[detail or 0.0] * more)
    numbers = (softness, (0.0, 0.0, *[-1.0] * more), (1.0, 1.0, *[1.0] * more))
    shape = (-1, *[1] * line.ndim)
    soft, low, high = (constant(values, line.device).to(line).view(shape) for values in numbers)
    reach = (products / (products[1] + soft)).clamp(low, high)
    place, confidence, along = reach[0], reach[1], reach[-1]
    distance = torch.linalg.vector_norm(torch.addcmul(offsets[0], place, line, value=-1), dim=-1, keepdim=True)
    return torch.lerp(alpha, place, confidence), confidence, distance, along
