"""What the refiner sees at a pixel: a function of coordinates, so that nothing is built for the whole picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from uhrmat.refine.colorline import project, smooth_colours

CHANNELS = 16
"""RGB, prior, base, confidence, distance from the line, known foreground, known background, scale, F (3), B (3)."""
BASE = 4
"""Channel of the colour-line projection, stored as 2·base - 1: where the refiner's residual starts."""


class BilinearMaps:
    """Small maps (h, w, C) read at full-resolution coordinates: bilinear, pixel centres aligned, edges repeated."""

    def __init__(self, maps: Tensor, size: tuple[int, int], origin: tuple[float, float] = (0.0, 0.0)) -> None:
        """maps: (h, w, C) covering a picture of `size` (H, W); `origin` (y, x) is added to coordinates first."""
        self.rows = maps.reshape(-1, maps.shape[-1]).contiguous()
        self.shape = maps.shape[:2]
        self.step = (maps.shape[0] / size[0], maps.shape[1] / size[1])
        self.origin = origin

    def __call__(self, ys: Tensor, xs: Tensor) -> Tensor:
        (y0, y1, fy), (x0, x1, fx) = (self._axis(c, axis) for axis, c in enumerate((ys, xs)))
        width = self.shape[1]
        top = torch.lerp(self._take(y0 * width + x0), self._take(y0 * width + x1), fx)
        bottom = torch.lerp(self._take(y1 * width + x0), self._take(y1 * width + x1), fx)
        return torch.lerp(top, bottom, fy)

    def _axis(self, at: Tensor, axis: int) -> tuple[Tensor, Tensor, Tensor]:
        last = self.shape[axis] - 1
        place = ((at + (self.origin[axis] + 0.5)) * self.step[axis] - 0.5).clamp(0, last)
        low = place.floor()
        return low.long(), (low.long() + 1).clamp(max=last), (place - low)[..., None].float()

    def _take(self, index: Tensor) -> Tensor:
        return self.rows.index_select(0, index.flatten()).view(*index.shape, -1)


class ColourLineFeatures:
    """`fn(ys, xs)` for `Engine.sample`: (..., CHANNELS) features of a picture with its prior.

    picture: (H, W, 3) uint8, uint16 (as int32) or float32 tensor, with `peak` its white; small: (h, w, 3) float32 in
    [0, 1], the area-averaged picture; alpha: (h, w) float32 prior in [0, 1]; trimap: (H, W) uint8 {0, 128, 255} or None;
    scale: full-resolution pixels per prior pixel.
    """

    def __init__(
        self, picture: Tensor, peak: float, small: Tensor, alpha: Tensor, trimap: Tensor | None, scale: float
    ) -> None:
        height, width = picture.shape[:2]
        colours = smooth_colours(small.permute(2, 0, 1)[None], alpha[None, None])
        maps = torch.cat([alpha[..., None], *(c[0].permute(1, 2, 0) for c in colours)], -1)
        self.maps = BilinearMaps(maps, (height, width))
        self.pixels = picture.reshape(-1, 3)
        self.trimap = None if trimap is None else trimap.reshape(-1)
        self.width, self.peak, self.scale = width, peak, scale

    def __call__(self, ys: Tensor, xs: Tensor) -> Tensor:
        index = (ys * self.width + xs).flatten()
        colour = self.pixels.index_select(0, index).view(*ys.shape, 3).float() / self.peak
        known = None if self.trimap is None else self.trimap.index_select(0, index).view(ys.shape)
        return assemble(colour, self.maps(ys, xs), known, self.scale)


def assemble(colour: Tensor, maps: Tensor, known: Tensor | None, scale: float | Tensor) -> Tensor:
    """Features (..., CHANNELS) from colour (..., 3), sampled maps (..., 7: alpha, F, B) and trimap values (...) or None."""
    alpha, front, back = maps.split((1, 3, 3), -1)
    base, confidence, away = project(colour, front, back, alpha)
    if known is None:
        sure = torch.zeros_like(alpha).expand(*alpha.shape[:-1], 2)
    else:
        sure = torch.stack([known == 255, known == 0], -1).float()
        base = torch.where(known[..., None] == 128, base, sure[..., :1])
    size = torch.full_like(alpha, math.log2(scale) / 4) if not isinstance(scale, Tensor) else scale.expand_as(alpha)
    parts = [2 * colour - 1, 2 * alpha - 1, 2 * base - 1, confidence, 4 * away, sure, size, 2 * front - 1, 2 * back - 1]
    return torch.cat(parts, -1)
