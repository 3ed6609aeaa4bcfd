"""A cut-out over something else: I = alpha * F + (1 - alpha) * B, in the picture's own encoding and bit depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.errors import InputError
from uhrmat.media import Picture, read_picture, srgb_decode

Colour = tuple[float, float, float]
Background = Picture | Colour
Array = npt.NDArray[Any]
_ROWS = 256


def parse_background(text: str) -> Background:
    """A colour (display-referred RGB in [0, 1]) from a name, #rrggbb or rgb(r,g,b); else the picture of that path.

    Raises InputError when it is neither, or when the picture cannot be read.
    """
    from PIL import ImageColor

    if Path(text).exists():
        return read_picture(Path(text))
    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise InputError(
            f"The background {text!r} is neither a colour nor a picture that exists.",
            "Give a name like white, #rrggbb, or the path of a picture.",
        ) from None
    return red / 255, green / 255, blue / 255


def composite(foreground: Array, alpha: Array, background: Background, *, linear: bool = False) -> Array:
    """Puts a straight `foreground` (H, W, 3) with `alpha` (H, W) in [0, 1] over `background`; returns (H, W, 3).

    The result has the dtype of `foreground`: uint8, uint16, or float32, which is scene-linear if `linear`. A
    picture as background is scaled to cover the foreground and cut to its middle. Memory: the result and a few rows.
    """
    height, width = alpha.shape
    result = np.empty_like(foreground)
    full = 1.0 if foreground.dtype.kind == "f" else float(np.iinfo(foreground.dtype).max)
    cover = None if isinstance(background, tuple) else _Cover(background, height, width)
    for y0 in range(0, height, _ROWS):
        rows = slice(y0, min(y0 + _ROWS, height))
        behind = np.asarray(background, np.float32) if cover is None else cover.rows(rows)
        behind = srgb_decode(behind) if linear else behind
        share = alpha[rows, :, None]
        mixed = share * foreground[rows].astype(np.float32) + (1 - share) * (behind * np.float32(full))
        result[rows] = mixed if foreground.dtype.kind == "f" else np.rint(mixed.clip(0, full))
    return result


class _Cover:
    """Rows of a picture scaled to cover (height, width) and cut to its middle, as display-referred float32."""

    def __init__(self, picture: Picture, height: int, width: int) -> None:
        import cv2

        scale = max(height / picture.height, width / picture.width)
        size = max(width, round(picture.width * scale)), max(height, round(picture.height * scale))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        scaled = cv2.resize(picture.pixels, size, interpolation=method)
        top, left = (size[1] - height) // 2, (size[0] - width) // 2
        self._picture = Picture(scaled[top : top + height, left : left + width], None, picture.info)

    def rows(self, rows: slice) -> Array:
        """(rows, width, 3) float32 in [0, 1]."""
        return self._picture.to_float(rows.start, rows.stop)
