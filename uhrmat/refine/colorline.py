"""Colour-line features (ours): where a pixel lies on the line between smooth foreground and background colours.

From the prior and the small picture, F and B are estimated by a weighted pull-push (each level of a pyramid keeps what
it is sure of and takes the rest from the coarser one). A full-resolution pixel I is then projected onto the line:

    p = (I - B)·(F - B) / |F - B|²,   confidence c = |F - B|² / (|F - B|² + s),   base = c·clamp(p) + (1 - c)·alpha_up
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SHARPNESS = 2.0
"""Exponent on alpha as the weight of a pixel's own colour."""
HOLD = 0.1
"""Weight of the coarser level against a pixel of weight 1."""
SOFT = 0.01
"""Squared colour distance at which projection and prior count the same."""


def estimate_smooth_colours(image: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth foreground and background colours of a small picture.

    image: (B, 3, H, W) in [0, 1]; alpha: (B, 1, H, W) in [0, 1]. Returns two (B, 3, H, W).
    """
    return _pull_push(image, alpha**SHARPNESS), _pull_push(image, (1 - alpha) ** SHARPNESS)


def _pull_push(image: Tensor, weight: Tensor) -> Tensor:
    pyramid = [(image * weight, weight)]
    while min(pyramid[-1][1].shape[-2:]) > 2:
        pyramid.append((_halve(pyramid[-1][0]), _halve(pyramid[-1][1])))
    total, mass = (x.mean((2, 3), keepdim=True) for x in pyramid[-1])
    colour = torch.where(mass > 1e-6, total / mass.clamp(min=1e-6), image.mean((2, 3), keepdim=True))
    for colours, weights in reversed(pyramid):
        colour = F.interpolate(colour, size=colours.shape[-2:], mode="bilinear", align_corners=False)
        colour = (colours + HOLD * colour) / (weights + HOLD)
    return colour


def _halve(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 2, 2, ceil_mode=True, count_include_pad=False)


def project(image: Tensor, front: Tensor, back: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Projection of colours onto their colour line, blended with the prior by confidence.

    image, front, back: (..., 3) in [0, 1]; alpha: (..., 1) the upsampled prior. Returns base, confidence and the
    distance from the line, each (..., 1); base and confidence in [0, 1].
    """
    line = front - back
    length = (line * line).sum(-1, keepdim=True)
    place = (((image - back) * line).sum(-1, keepdim=True) / (length + 1e-6)).clamp(0, 1)
    confidence = length / (length + SOFT)
    away = (image - back - place * line).square().sum(-1, keepdim=True).sqrt()
    return confidence * place + (1 - confidence) * alpha, confidence, away
