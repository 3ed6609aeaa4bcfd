"""What the refiner sees at a pixel: a function of coordinates, so that nothing is built for the whole picture."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from uhrmat.media import Picture
from uhrmat.media.colour import linear_to_display
from uhrmat.refine.colorline import estimate_smooth_colours, project
from uhrmat.refine.linear import guided_coefficients

CHANNELS = 16
"""RGB, prior, base, confidence, distance from the line, known foreground, known background, scale, F (3), B (3)."""
CONTEXT = 128
"""Side of the square small picture for Masked-SE's encoder."""
PRIOR = 3
"""Channel of the upsampled prior, stored as 2·alpha - 1."""
NEAR_TRUST, FAR_TRUST, FREE_SCALE = 0.45, 0.25, 2.0
"""Trust in the network at scale 1, from FREE_SCALE on, and that scale."""
PROJECTION = 4
"""Channel of the colour-line projection, stored as 2·base - 1: where the refiner's residual starts."""
_LINE = (5, 6, 10, 11, 12, 13, 14, 15)
"""Channels that only the colour line fills, beside PROJECTION."""


def context_maps(small: np.ndarray) -> Tensor:
    """(C, CONTEXT, CONTEXT) from a small map (h, w, C): what Masked-SE's encoder sees, trained and used alike."""
    planes = torch.from_numpy(small).permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(planes, (CONTEXT, CONTEXT), mode="area")[0]


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
        return self.rows.index_select(0, index.flatten()).view(*index.shape, self.rows.shape[1])


class PictureColours:
    """Display-referred colours of a picture by pixel number, converted from the stored type only where asked for."""

    def __init__(self, picture: Picture) -> None:
        self.info = picture.info
        pixels = picture.pixels.reshape(-1, 3)
        if not pixels.flags.writeable:  # arrays that Pillow lends; torch takes none that it could not write to
            pixels = pixels.copy()
        self.rows = torch.from_numpy(pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels)

    def __call__(self, index: Tensor) -> Tensor:
        """index: int64 of shape S, y * width + x. Returns S + (3,) float32 in [0, 1]."""
        found = self.rows.index_select(0, index.flatten().to(self.rows.device)).view(*index.shape, 3)
        if found.dtype == torch.uint8:
            return found.to(index.device).float() / 255
        if found.dtype == torch.int16:
            return (found.to(index.device).int() & 0xFFFF).float() / 65535
        shown = found.numpy().clip(0, 1)
        if self.info.linear:
            shown = linear_to_display(found.numpy(), self.info.chromaticities)
        return torch.from_numpy(shown).to(index.device)


def trust(scale: float) -> tuple[float, float]:
    """Share of the network's word against its anchor's, and of the guided filter in the anchor, by the scale.

    scale: full-resolution pixels per prior pixel. The anchor is the prior where that has seen every pixel, and the
    guided filter from FREE_SCALE on (docs/research/refiners.md).
    """
    share = min(1.0, math.log(max(scale, 1.0)) / math.log(FREE_SCALE))
    return NEAR_TRUST + (FAR_TRUST - NEAR_TRUST) * share, share


class ColourLineFeatures:
    """`fn(ys, xs)` for `Engine.sample`: (..., CHANNELS) features of a picture with its prior.

    colours: of `size` (H, W); small: (h, w, 3) float32 in [0, 1], the area-averaged picture; alpha: float32 prior in
    [0, 1], of small's size or, from an earlier scale, finer; trimap: (H, W) uint8 {0, 128, 255} or None. `base`
    receives what `trust` times the residual is added to: the projection by `trust`, the anchor by the rest; line:
    False hides the colour line, see `mask_colour_line`.
    """

    def __init__(
        self, colours: PictureColours, size: tuple[int, int], small: np.ndarray, alpha: np.ndarray,
        trimap: np.ndarray | None, base: np.ndarray | None = None, device: torch.device | str = "cpu",
        line: bool = True,
    ) -> None:  # fmt: skip
        prior = torch.from_numpy(alpha)
        same = alpha.shape == small.shape[:2]
        guide = prior if same else _shrunk(prior, small.shape[:2])
        colour_maps = estimate_smooth_colours(torch.from_numpy(small).permute(2, 0, 1)[None], guide[None, None])
        maps = [prior[..., None], torch.cat(colour_maps, 1)[0].permute(1, 2, 0)]
        self.maps = [BilinearMaps(x.to(device), size) for x in ([torch.cat(maps, -1)] if same else maps)]
        self.colours, self.width, self.scale = colours, size[1], size[0] / alpha.shape[0]
        self.trimap = None if trimap is None else torch.from_numpy(trimap).reshape(-1)
        self.base = None if base is None else torch.from_numpy(base)
        self.trust, self.guided = trust(self.scale)
        self.line = line
        self.model: BilinearMaps | None = None
        if base is not None and self.guided:
            self.model = BilinearMaps(torch.from_numpy(guided_coefficients(small, guide.numpy())).to(device), size)

    def __call__(self, ys: Tensor, xs: Tensor) -> Tensor:
        index = ys * self.width + xs
        known = None
        if self.trimap is not None:
            known = self.trimap.index_select(0, index.flatten().to(self.trimap.device)).view(ys.shape).to(ys.device)
        maps = torch.cat([read(ys, xs) for read in self.maps], -1)
        found = assemble_features(self.colours(index), maps, known, self.scale)
        if not self.line:
            found = mask_colour_line(found)
        if self.base is not None:
            model = None if self.model is None else self.model(ys, xs)
            start = residual_baseline(found, fallback_alpha(found, model, self.guided), self.trust)
            self.base[ys.to(self.base.device), xs.to(self.base.device)] = start.to(self.base.device)
        return found


def fallback_alpha(found: Tensor, model: Tensor | None, guided: float) -> Tensor:
    """(...,) what the network's word is weighed against: the upsampled prior, or by the share `guided` the guided
    filter. found: features (..., CHANNELS); model: its coefficients (..., 4) there, see `linear`; None is the prior."""
    prior = (found[..., PRIOR] + 1) / 2
    if model is None:
        return prior
    value = (model[..., :3] * (found[..., :3] + 1) / 2).sum(-1) + model[..., 3]
    return torch.lerp(prior, value.clamp(0, 1), guided)


def residual_baseline(found: Tensor, anchor: Tensor, trust: float | Tensor) -> Tensor:
    """(...,) what `trust` times the residual is added to: the projection by `trust`, the anchor by the rest."""
    base = (found[..., PROJECTION] + 1) / 2
    return anchor + trust * (base - anchor)


def _shrunk(prior: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(prior[None, None], shape, mode="area")[0, 0]


def mask_colour_line(features: Tensor, axis: int = -1) -> Tensor:
    """Features whose colour line tells nothing: the prior in place of the projection, zeros for the rest."""
    found = features.movedim(axis, -1).clone()
    found[..., _LINE] = 0
    found[..., PROJECTION] = found[..., PRIOR]
    return found.movedim(-1, axis)


def assemble_features(colour: Tensor, maps: Tensor, known: Tensor | None, scale: float) -> Tensor:
    """Features (..., CHANNELS) from colour (..., 3), maps (..., 7: alpha, F, B) and trimap values (...) or None."""
    alpha, front, back = maps.split((1, 3, 3), -1)
    base, confidence, away = project(colour, front, back, alpha)
    if known is None:
        sure = torch.zeros_like(alpha).expand(*alpha.shape[:-1], 2)
    else:
        sure = torch.stack([known == 255, known == 0], -1).float()
        base = torch.where(known[..., None] == 128, base, sure[..., :1])
    size = torch.full_like(alpha, math.log2(scale) / 4)
    parts = [2 * colour - 1, 2 * alpha - 1, 2 * base - 1, confidence, 4 * away, sure, size, 2 * front - 1, 2 * back - 1]
    return torch.cat(parts, -1)
