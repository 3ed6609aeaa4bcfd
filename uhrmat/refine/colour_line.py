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
    weights = torch.stack([alpha, 1 - alpha]) ** params.sharpness
    front, back = _pull_push(image, weights, params.hold)
    return front, back


def _pull_push(image: Tensor, weights: Tensor, hold: float) -> Tensor:
    """Weighted pull-push on tensors, which weights are trained on. `prior.pull_push` resamples by OpenCV instead.

    Args:
        image: (B, 3, H, W).
        weights: (N, B, 1, H, W), of N estimates.
        hold: See `ColourLineParams`.

    Returns:
        (N, B, 3, H, W).
    """
    # Colours and, as fourth channel, weights plus `hold`, which averaging leaves as it is.
    pyramid = [torch.cat([image * weights, weights + hold], 2).flatten(0, 1)]
    while min(pyramid[-1].shape[-2:]) > 2:
        pyramid.append(_halve(pyramid[-1]))
    total = pyramid[-1].mean((2, 3), keepdim=True)
    mass, plain = total[:, 3:] - hold, image.mean((2, 3), keepdim=True).repeat(len(weights), 1, 1, 1)
    colour = torch.where(mass > 1e-6, total[:, :3] / mass.clamp(min=1e-6), plain)
    for level in reversed(pyramid):
        colour = F.interpolate(colour, size=level.shape[-2:], mode="bilinear", align_corners=False)
        colour = torch.add(level[:, :3], colour, alpha=hold).div_(level[:, 3:])
    return colour.view(*weights.shape[:2], *colour.shape[1:])


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
    line = front - back
    length = (line * line).sum(-1, keepdim=True)
    offset = image - back
    place = ((offset * line).sum(-1, keepdim=True) / (length + 1e-6)).clamp(0, 1)
    confidence = length / (length + params.softness)
    distance = torch.addcmul(offset, place, line, value=-1).square().sum(-1, keepdim=True).sqrt()
    return torch.lerp(alpha, place, confidence), confidence, distance
