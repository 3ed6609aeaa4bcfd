"""Per-pixel inputs of SHM: a function of coordinates, so that nothing is built for the whole picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.transfer import constant
from uhrmat.media import Picture
from uhrmat.media.colour import linear_to_display
from uhrmat.refine.colour_line import estimate_smooth_colours, project
from uhrmat.refine.guided_filter import guided_coefficients

INPUT_VERSION = 1
"""Version of SHM's inputs: channels and scalings of `assemble_features` and `context_maps`, the colour line and the
residual baseline. Weights are trained for one version; loading refuses another (`hub.tensors.check_input_version`)."""
CHANNELS = 16
"""RGB, prior, projection, confidence, distance from the line, known foreground and background, scale, F (3), B (3)."""
CONTEXT = 128
"""Side of the square small picture for Masked-SE's encoder. Frozen into the weights, see `INPUT_VERSION`."""
PRIOR = 3
"""Channel of the upsampled prior, stored as 2·alpha - 1."""
PROJECTION = 4
"""Channel of the colour-line projection, stored as 2·projection - 1: where the network's residual starts."""
_KNOWN = tuple(
    float(value) for level in range(256) for value in (level == 255, level == 0, level != 0, level not in (0, 255))
)
"""For each value of a trimap: is foreground known, is background known, largest alpha, is neither known."""
_LINE = (5, 6, 10, 11, 12, 13, 14, 15)
"""Channels that only the colour line fills, beside PROJECTION."""


@dataclass(frozen=True, kw_only=True)
class ResidualBaselineParams:
    """Parameters of the residual baseline, see `network_weight`.

    SHM-lite is trained with them: another value needs no other inputs, but weights trained for it do better. Not
    tuned: no command compared values other than 1 and 0.35 at scale 1, see "Residual baseline" in
    docs/research/refiners.md.

    Attributes:
        near: Weight of the network's result at scale 1, in [0, 1]; the rest is the fallback alpha.
        far: The same from `far_scale` on.
        far_scale: Full-resolution pixels per prior pixel from which on the fallback is the guided filter alone.
    """

    near: float = 0.45
    far: float = 0.25
    far_scale: float = 2.0


RESIDUAL_BASELINE = ResidualBaselineParams()


def context_maps(small: np.ndarray | Tensor) -> Tensor:
    """Area-average a small map to the input of Masked-SE's encoder, in training and in use alike.

    Args:
        small: (h, w, C) float32.

    Returns:
        (C, CONTEXT, CONTEXT) float32.
    """
    maps = small if isinstance(small, Tensor) else torch.from_numpy(small)
    planes = maps.permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(planes, (CONTEXT, CONTEXT), mode="area")[0]


class BilinearMaps:
    """Small maps (h, w, C) read at full-resolution coordinates: bilinear, pixel centres aligned, edges repeated."""

    def __init__(self, maps: Tensor, size: tuple[int, int], origin: tuple[float, float] = (0.0, 0.0)) -> None:
        """maps: (h, w, C) covering a picture of `size` (H, W); origin: (y, x), added to coordinates first."""
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
    """Display-referred colours of a picture by pixel number, converted from the stored type only where read."""

    def __init__(self, picture: Picture) -> None:
        self.info = picture.info
        pixels = picture.pixels.reshape(-1, 3)
        if not pixels.flags.writeable:  # arrays that Pillow lends; torch takes none that it could not write to
            pixels = pixels.copy()
        self.rows = torch.from_numpy(pixels.view(np.int16) if pixels.dtype == np.uint16 else pixels)

    def __call__(self, index: Tensor) -> Tensor:
        """index: int64 of shape S, y * width + x. Returns S + (3,) float32 in [0, 1]."""
        stored = self.rows.index_select(0, index.flatten().to(self.rows.device)).view(*index.shape, 3)
        if stored.dtype == torch.uint8:
            return stored.to(index.device).float() / 255
        if stored.dtype == torch.int16:
            return (stored.to(index.device).int() & 0xFFFF).float() / 65535
        shown = stored.numpy().clip(0, 1)
        if self.info.linear:
            shown = linear_to_display(stored.numpy(), self.info.chromaticities)
        return torch.from_numpy(shown).to(index.device)


def network_weight(scale: float, params: ResidualBaselineParams = RESIDUAL_BASELINE) -> tuple[float, float]:
    """Weight of the network's result against the fallback alpha, and of the guided filter in the fallback.

    The fallback is the prior where that has seen every pixel (scale 1), and the guided filter from `far_scale` on.

    Args:
        scale: Full-resolution pixels per prior pixel.
        params: Weights at both ends.

    Returns:
        Both weights in [0, 1].
    """
    share = min(1.0, math.log(max(scale, 1.0)) / math.log(params.far_scale))
    return params.near + (params.far - params.near) * share, share


class ColourLineFeatures:
    """Features of a picture with its prior as a function of coordinates, for `Engine.sample`.

    Calling it with (ys, xs), int64 of equal shape, gives (..., CHANNELS) float32, and writes the residual baseline of
    these pixels into `baseline`.

    Args:
        colours: Of the picture.
        size: (H, W) of the picture.
        small: Area-averaged picture, (h, w, 3) float32 in [0, 1].
        alpha: Prior, float32 in [0, 1], of small's size or, from an earlier scale, larger.
        trimap: (H, W) uint8 {0, 128, 255}, or None.
        baseline: (H, W) float32 that receives the residual baseline, or None.
        device: Of the features.
        line: False leaves the colour line out, see `mask_colour_line`.

    Attributes:
        network_weight: Weight of the residual, see `network_weight`.
    """

    def __init__(
        self, colours: PictureColours, size: tuple[int, int], small: np.ndarray, alpha: np.ndarray,
        trimap: np.ndarray | None, baseline: np.ndarray | None = None, device: torch.device | str = "cpu",
        line: bool = True,
    ) -> None:  # fmt: skip
        prior = torch.from_numpy(alpha)
        same = alpha.shape == small.shape[:2]
        guide = prior if same else _average(prior, small.shape[:2])
        colour_maps = estimate_smooth_colours(torch.from_numpy(small).permute(2, 0, 1)[None], guide[None, None])
        maps = [prior[..., None], torch.cat(colour_maps, 1)[0].permute(1, 2, 0)]
        self.maps = [BilinearMaps(x.to(device), size) for x in ([torch.cat(maps, -1)] if same else maps)]
        self.colours, self.width, self.scale = colours, size[1], size[0] / alpha.shape[0]
        self.trimap = None if trimap is None else torch.from_numpy(trimap).reshape(-1)
        self.baseline = None if baseline is None else torch.from_numpy(baseline)
        self.network_weight, self.guided = network_weight(self.scale)
        self.line = line
        self.model: BilinearMaps | None = None
        if baseline is not None and self.guided:
            self.model = BilinearMaps(torch.from_numpy(guided_coefficients(small, guide.numpy())).to(device), size)

    def __call__(self, ys: Tensor, xs: Tensor) -> Tensor:
        index = ys * self.width + xs
        known = None
        if self.trimap is not None:
            known = self.trimap.index_select(0, index.flatten().to(self.trimap.device)).view(ys.shape).to(ys.device)
        maps = torch.cat([read(ys, xs) for read in self.maps], -1)
        features = assemble_features(self.colours(index), maps, known, self.scale)
        if not self.line:
            features = mask_colour_line(features)
        if self.baseline is not None:
            model = None if self.model is None else self.model(ys, xs)
            start = residual_baseline(features, fallback_alpha(features, model, self.guided), self.network_weight)
            self.baseline[ys.to(self.baseline.device), xs.to(self.baseline.device)] = start.to(self.baseline.device)
        return features


def fallback_alpha(features: Tensor, model: Tensor | None, guided: float) -> Tensor:
    """Alpha that the network's result is averaged with: the upsampled prior or, by a share, the guided filter.

    Args:
        features: (..., CHANNELS), see `assemble_features`.
        model: Coefficients of the guided filter there, (..., 4), see `guided_filter`; None gives the prior.
        guided: Share of the guided filter, in [0, 1].

    Returns:
        (...,) in [0, 1].
    """
    prior = (features[..., PRIOR] + 1) / 2
    if model is None:
        return prior
    value = (model[..., :3] * (features[..., :3] + 1) / 2).sum(-1) + model[..., 3]
    return torch.lerp(prior, value.clamp(0, 1), guided)


def residual_baseline(features: Tensor, fallback: Tensor, weight: float | Tensor) -> Tensor:
    """Alpha that `weight` times the network's residual is added to.

    Args:
        features: (..., CHANNELS), see `assemble_features`.
        fallback: (...,), see `fallback_alpha`.
        weight: Of the colour-line projection, in [0, 1]; the rest is the fallback. See `network_weight`.

    Returns:
        (...,) in [0, 1].
    """
    base = (features[..., PROJECTION] + 1) / 2
    return fallback + weight * (base - fallback)


def _average(prior: Tensor, shape: tuple[int, int]) -> Tensor:
    return torch.nn.functional.interpolate(prior[None, None], shape, mode="area")[0, 0]


def mask_colour_line(features: Tensor, axis: int = -1) -> Tensor:
    """A copy without the colour line: the prior in place of the projection, zeros in the other channels of the line.

    Args:
        features: CHANNELS channels on `axis`.
        axis: Of the channels.

    Returns:
        A tensor of the same shape.
    """
    masked = features.movedim(axis, -1).clone()
    masked[..., _LINE] = 0
    masked[..., PROJECTION] = masked[..., PRIOR]
    return masked.movedim(-1, axis)


def assemble_features(colour: Tensor, maps: Tensor, known: Tensor | None, scale: float) -> Tensor:
    """Inputs of the network at some pixels. Channels and scalings are frozen into the weights, see `INPUT_VERSION`.

    Args:
        colour: (..., 3) in [0, 1].
        maps: (..., 7) in [0, 1]: upsampled prior, F (3), B (3).
        known: Trimap values {0, 128, 255}, (...,), or None where nothing is known.
        scale: Full-resolution pixels per prior pixel.

    Returns:
        (..., CHANNELS).
    """
    return scale_features(unscaled_features(colour, maps, known), scale)


def unscaled_features(colour: Tensor, maps: Tensor, known: Tensor | None) -> Tensor:
    """Channels of `assemble_features` before they are scaled: all but the distance in [0, 1], and any for the scale."""
    alpha, front, back = torch.split(maps, [1, 3, 3], -1)
    base, confidence, distance = project(colour, front, back, alpha)
    if known is None:
        certain = torch.zeros_like(alpha).expand(*alpha.shape[:-1], 2)
    else:
        certain, _, bounds = known_pixels(known)
        base = torch.clamp(base, *bounds)
    return torch.cat([colour, alpha, base, confidence, distance, certain, alpha, front, back], -1)


def scale_features(unscaled: Tensor, scale: float) -> Tensor:
    """Scale the channels of `unscaled_features` to what weights are trained on."""
    gain = (*[2.0] * 5, 1.0, 4.0, 1.0, 1.0, 0.0, *[2.0] * 6)
    offset = (*[-1.0] * 5, 0.0, 0.0, 0.0, 0.0, math.log2(scale) / 4, *[-1.0] * 6)
    return scale_channels(unscaled, gain, offset)


def known_pixels(trimap: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
    """What a trimap says of pixels.

    Args:
        trimap: uint8 {0, 128, 255}, (...,).

    Returns:
        (..., 2) float32, 1 where foreground and where background is known; (..., 1), 1 where neither is; and the bounds
        of alpha, each (..., 1).
    """
    table = constant(_KNOWN, trimap.device).view(256, 4)
    marks = table.index_select(0, trimap.flatten().int()).view(*trimap.shape, 4)
    return marks[..., :2], marks[..., 3:], (marks[..., :1], marks[..., 2:3])


def scale_channels(x: Tensor, gain: tuple[float, ...], offset: tuple[float, ...]) -> Tensor:
    """`gain` times x plus `offset`, each (C,), of x (..., C)."""
    return torch.addcmul(constant(offset, x.device).to(x), x, constant(gain, x.device).to(x))
