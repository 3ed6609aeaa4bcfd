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
    power = params.sharpness
    return _pull_push(image, alpha**power, params.hold), _pull_push(image, (1 - alpha) ** power, params.hold)


def _pull_push(image: Tensor, weight: Tensor, hold: float) -> Tensor:
    """Weighted pull-push on tensors, which weights are trained on. `prior.pull_push` resamples by OpenCV instead."""
    pyramid = [(image * weight, weight)]
    while min(pyramid[-1][1].shape[-2:]) > 2:
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    total, mass = (x.mean((2, 3), keepdim=True) for x in pyramid[-1])
    colour = torch.where(mass > 1e-6, total / mass.clamp(min=1e-6), image.mean((2, 3), keepdim=True))
    for colours, weights in reversed(pyramid):
        colour = F.interpolate(colour, size=colours.shape[-2:], mode="bilinear", align_corners=False)
        colour = (colours + hold * colour) / (weights + hold)
    return colour


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
    place = (((image - back) * line).sum(-1, keepdim=True) / (length + 1e-6)).clamp(0, 1)
    confidence = length / (length + params.softness)
    distance = (image - back - place * line).square().sum(-1, keepdim=True).sqrt()
    return confidence * place + (1 - confidence) * alpha, confidence, distance
