"""A small sheet that shows at a glance what happened: photograph, open pixels in red, alpha, cut-out over checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from uhrmat.media import Picture

if TYPE_CHECKING:
    from uhrmat.matter import Matte

Array = npt.NDArray[Any]
PANEL = 640
_RED = np.array([1.0, 0.1, 0.1], np.float32)


def preview(matte: Matte, panel: int = PANEL) -> Array:
    """The sheet of `matte`, two panels by two of at most `panel` pixels each way: uint8 (h, w, 3)."""
    height, width = matte.alpha.shape
    scale = min(1.0, panel / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    photo = _small_photo(matte, size)
    alpha = _shrink(matte.alpha, size)[..., None]
    red = _shrink(matte.active.astype(np.uint8) * 255, size)[..., None] * np.float32(0.7 / 255)
    cut = photo if matte.foreground is None else _small_colour(matte, size)
    panels = [photo, red * _RED + (1 - red) * photo, np.repeat(alpha, 3, 2), alpha * cut + (1 - alpha) * _checks(*size)]
    sheet = np.vstack([np.hstack(panels[:2]), np.hstack(panels[2:])])
    return np.rint(sheet.clip(0, 1) * 255).astype(np.uint8)


def _shrink(image: Array, size: tuple[int, int]) -> Array:
    import cv2

    return cv2.resize(image, (size[1], size[0]), interpolation=cv2.INTER_AREA)


def _small_photo(matte: Matte, size: tuple[int, int]) -> Array:
    return _display(matte, _shrink(matte.picture.pixels, size))


def _small_colour(matte: Matte, size: tuple[int, int]) -> Array:
    """Foreground colour weighted by alpha, so that what lies behind does not bleed into the edge."""
    assert matte.foreground is not None
    step = max(1, matte.alpha.shape[0] // (2 * size[0]))
    alpha = np.maximum(matte.alpha[::step, ::step], np.float32(1e-4))
    colour = matte.foreground[::step, ::step] * alpha[..., None]
    mean = _shrink(colour.astype(np.float32, copy=False), size) / _shrink(alpha, size)[..., None]
    stored = mean if mean.dtype == matte.foreground.dtype else np.rint(mean)
    return _display(matte, stored.astype(matte.foreground.dtype))


def _display(matte: Matte, pixels: Array) -> Array:
    """Stored pixels of the picture's kind as float32 in [0, 1] for a screen."""
    return Picture(np.ascontiguousarray(pixels), None, matte.picture.info).to_float()


def _checks(height: int, width: int, square: int = 16) -> Array:
    """A checkerboard in two greys: float32 (height, width, 1)."""
    y, x = np.ogrid[:height, :width]
    return np.where((y // square + x // square) % 2, np.float32(0.85), np.float32(0.6))[..., None]
