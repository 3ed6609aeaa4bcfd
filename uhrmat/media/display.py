"""Pictures for a screen: 8 bits sRGB, scaled down by area, colours weighted by alpha."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media import Picture, PictureInfo
from uhrmat.media.icc import convert, is_srgb

Array = npt.NDArray[Any]


class Screen:
    """Turns stored pixels of one picture's kind into what a screen shows: uint8 (h, w, 3) in sRGB.

    Scene-linear values go through the sRGB curve; an ICC profile is converted; 16 bits are rounded to 8.
    """

    def __init__(self, info: PictureInfo) -> None:
        self._info = info
        self._icc = None if info.linear or is_srgb(info.icc) else info.icc

    def __call__(self, pixels: Array) -> npt.NDArray[np.uint8]:
        """pixels: (h, w, 3) in the stored dtype, a part of the picture or a smaller copy."""
        if pixels.dtype != np.uint8:
            shown = Picture(np.ascontiguousarray(pixels), None, self._info).to_float()
            if self._icc is not None:
                shown = convert(shown, self._icc, None).clip(0, 1)
            return np.rint(shown * 255).astype(np.uint8)
        return pixels if self._icc is None else convert(pixels, self._icc, None)


def shrink(image: Array, size: tuple[int, int]) -> Array:
    """`image` scaled down to `size` (height, width) by area averaging, in its own dtype."""
    import cv2

    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def fit(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) scaled so that the longer one is at most `side`; never enlarged."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def small_colour(colour: Array, alpha: Array, size: tuple[int, int]) -> Array:
    """Foreground colours (H, W, 3) scaled down with `alpha` (H, W) as weight, so that what lies behind does not bleed
    into the edge; in their own dtype."""
    step = max(1, alpha.shape[0] // (2 * size[0]))
    weight = np.maximum(alpha[::step, ::step], np.float32(1e-4))
    sums = shrink((colour[::step, ::step] * weight[..., None]).astype(np.float32, copy=False), size)
    mean = sums / shrink(weight, size)[..., None]
    return (mean if colour.dtype.kind == "f" else np.rint(mean)).astype(colour.dtype)


def checks(height: int, width: int, square: int = 16) -> Array:
    """A checkerboard in two greys: float32 (height, width, 1)."""
    y, x = np.ogrid[:height, :width]
    return np.where((y // square + x // square) % 2, np.float32(0.85), np.float32(0.6))[..., None]
