"""Pictures for a screen: 8-bit sRGB, downsampled by area averaging with colours weighted by alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media.icc import convert, is_srgb
from uhrmat.media.picture import Picture, PictureInfo
from uhrmat.media.resample import downsample

Array = npt.NDArray[Any]
_LEAST_WEIGHT = np.float32(1e-4)
"""The weight of pixels whose alpha is 0: where alpha is 0 everywhere, the plain mean of the colours is shown."""
_OVERSAMPLING = 2
"""Rows and columns that are averaged per pixel of a small copy; rows between them are skipped."""
_CHECKS = np.float32(0.85), np.float32(0.6)
"""The two greys of a checkerboard, display-referred in [0, 1]."""


class Screen:
    """A converter from the stored pixels of one picture to what a screen shows: uint8 (h, w, 3) in sRGB.

    Scene-linear values go through the sRGB curve, an ICC profile is converted, and 16 bits are rounded to 8.

    Args:
        info: The picture that the pixels come from: its profile, transfer and primaries.
    """

    def __init__(self, info: PictureInfo) -> None:
        self._info = info
        self._icc = None if info.linear or is_srgb(info.icc) else info.icc

    def __call__(self, pixels: Array) -> npt.NDArray[np.uint8]:
        """Convert (h, w, 3) in the stored type, a part of the picture or a smaller copy, to uint8 sRGB."""
        if pixels.dtype != np.uint8:
            shown = Picture(np.ascontiguousarray(pixels), None, self._info).to_float()
            if self._icc is not None:
                shown = convert(shown, self._icc, None).clip(0, 1)
            return np.rint(shown * 255).astype(np.uint8)
        return pixels if self._icc is None else convert(pixels, self._icc, None)


def fit_size(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) scaled so that the longer one is at most `side`; never enlarged."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def downsample_colour(colour: Array, alpha: Array, size: tuple[int, int]) -> Array:
    """Downsample foreground colours with alpha as weight, so that the background does not bleed into the edge.

    Args:
        colour: (H, W, 3), uint8, uint16 or float32.
        alpha: (H, W) float32 in [0, 1].
        size: (h, w) of the result.

    Returns:
        (h, w, 3) in the type of `colour`.
    """
    step = max(1, alpha.shape[0] // (_OVERSAMPLING * size[0]))
    weight = np.maximum(alpha[::step, ::step], _LEAST_WEIGHT)
    sums = downsample((colour[::step, ::step] * weight[..., None]).astype(np.float32, copy=False), size)
    mean = sums / downsample(weight, size)[..., None]
    return np.asarray(mean if colour.dtype.kind == "f" else np.rint(mean)).astype(colour.dtype)


def checkerboard(height: int, width: int, square: int = 16) -> Array:
    """A checkerboard of `square` pixels in two greys: float32 (height, width, 1)."""
    y, x = np.ogrid[:height, :width]
    return np.where((y // square + x // square) % 2, *_CHECKS)[..., None]
