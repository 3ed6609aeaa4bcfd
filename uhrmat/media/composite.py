"""Compositing over a background: I = alpha F + (1 - alpha) B, in the picture's own encoding, space and bit depth.

The background is converted to the photograph's colour space first. If it has an alpha, so has the result.
Source: "over" in Porter and Duff, Compositing Digital Images, SIGGRAPH 1984 (https://doi.org/10.1145/800031.808606).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.core.regular import need_regular
from uhrmat.media import Picture, PictureInfo, read_picture
from uhrmat.media.convert import to_linear
from uhrmat.media.icc import convert, is_srgb, matrix_to_rec709
from uhrmat.media.picture import FULL_SCALE
from uhrmat.media.png_colour import white_signal

Colour = tuple[float, ...]
"""Display-referred sRGB in [0, 1], with or without an alpha as fourth number."""
Background = Picture | Colour
Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
_ROWS = 256
"""Rows that are composited at once."""
_LEAST_ALPHA = np.float32(1e-6)
"""What straight colour is divided by where alpha is 0: any number above 0 serves, as the colour is not visible."""
_SRGB = PictureInfo(path=None, width=1, height=1, dtype="float32", bit_depth=32)


def parse_background(text: str) -> Background:
    """The background that a text names.

    Args:
        text: A colour as CSS writes it (a name, #rrggbb, #rrggbbaa, rgb(r,g,b)), or the path of a picture, which takes
            precedence.

    Raises:
        InputError: It is neither, or the picture cannot be read.
    """
    from PIL import ImageColor

    need_regular(text)
    if os.path.exists(text):
        return read_picture(Path(text))
    try:
        values = ImageColor.getrgb(text)
    except ValueError:
        raise InputError(
            f"The background {text!r} is neither a colour nor a picture that exists.",
            "Give a name like white, #rrggbb, or the path of a picture.",
        ) from None
    return tuple(value / 255 for value in (values if min(values[3:], default=255) < 255 else values[:3]))


def is_opaque(background: Background) -> bool:
    """Whether a background has no transparent pixel."""
    if isinstance(background, tuple):
        return len(background) < 4 or background[3] >= 1
    return background.alpha is None or bool(background.alpha.min() >= FULL_SCALE[background.alpha.dtype.name])


def need_opaque(background: Background, where: str = "a clip's composite") -> None:
    """Raise InputError for a background with transparent pixels. where: what has no alpha, for the error."""
    if not is_opaque(background):
        raise InputError(
            f"The background is transparent in places, and {where} has no alpha.",
            "Give an opaque colour or picture.",
        )


def composite(foreground: Array, alpha: Array, background: Background, info: PictureInfo | None = None) -> Array:
    """Composite a foreground over a background. Memory: the result and a few rows.

    Args:
        foreground: (H, W, 3) straight colour in a stored type.
        alpha: (H, W) float32 in [0, 1].
        background: A picture is scaled to cover the foreground and cropped about its centre.
        info: Says the colour space of `foreground`; by default display-referred sRGB.

    Returns:
        (H, W, 3) in the type and space of `foreground`; straight colour where the background is not opaque, with the
        alpha that `composite_alpha` gives.
    """
    height, width = alpha.shape
    result = np.empty_like(foreground)
    full = np.float32(FULL_SCALE[foreground.dtype.name])
    rows_behind = _BackgroundRows(background, height, width, info or _SRGB)
    for y0 in range(0, height, _ROWS):
        rows = slice(y0, min(y0 + _ROWS, height))
        colour, opacity = rows_behind.rows(rows)
        share = alpha[rows, :, None]
        rest = 1 - share if opacity is None else (1 - share) * opacity
        mixed = share * foreground[rows].astype(np.float32) + rest * (colour * full)
        if opacity is not None:
            mixed /= np.maximum(share + rest, _LEAST_ALPHA)
        result[rows] = mixed if foreground.dtype.kind == "f" else np.rint(mixed.clip(0, full))
    return result


def composite_alpha(alpha: Array, background: Background) -> FloatArray | None:
    """The alpha (H, W) of the result of `composite`; None where the background is opaque."""
    if is_opaque(background):
        return None
    height, width = alpha.shape
    rows_behind = _BackgroundRows(background, height, width, _SRGB)
    result = np.empty((height, width), np.float32)
    for y0 in range(0, height, _ROWS):
        rows = slice(y0, min(y0 + _ROWS, height))
        _, opacity = rows_behind.rows(rows)
        assert opacity is not None
        result[rows] = alpha[rows] + (1 - alpha[rows]) * opacity[..., 0]
    return result


class _BackgroundRows:
    """Rows of a background as float32 colour in a photograph's space, and its alpha where it has one."""

    def __init__(self, background: Background, height: int, width: int, info: PictureInfo) -> None:
        self._info, self._alpha = info, None
        if isinstance(background, tuple):
            plain = np.array(background[:3], np.float32).reshape(1, 1, 3)
            self._plain: FloatArray | None = _convert_colours(Picture(plain, None, _SRGB), info)
            if not is_opaque(background):
                self._alpha = np.full((height, 1, 1), background[3], np.float32)
            return
        self._plain = None
        self._picture, self._alpha = _cover(background, height, width)

    def rows(self, rows: slice) -> tuple[FloatArray, FloatArray | None]:
        """(rows, width, 3) or (1, 1, 3) colour, and (rows, width, 1) or (rows, 1, 1) alpha."""
        opacity = None if self._alpha is None else self._alpha[rows]
        if self._plain is not None:
            return self._plain, opacity
        part = Picture(self._picture.pixels[rows], None, self._picture.info)
        return _convert_colours(part, self._info), opacity


def _cover(picture: Picture, height: int, width: int) -> tuple[Picture, FloatArray | None]:
    """A picture scaled to cover (height, width) and cut to its middle, straight, and its alpha (height, width, 1)."""
    if is_opaque(picture):
        return Picture(_scale_to_cover(picture.pixels, height, width), None, picture.info), None
    assert picture.alpha is not None
    opacity = picture.alpha / np.float32(FULL_SCALE[picture.alpha.dtype.name])
    weighted = picture.pixels.astype(np.float32)
    if not picture.info.premultiplied:
        weighted *= opacity[..., None]
    alpha = _scale_to_cover(opacity, height, width)[..., None]
    straight = _scale_to_cover(weighted, height, width) / np.maximum(alpha, _LEAST_ALPHA)
    if picture.pixels.dtype.kind != "f":
        straight = np.rint(straight).clip(0, FULL_SCALE[picture.pixels.dtype.name])
    return Picture(straight.astype(picture.pixels.dtype), None, picture.info), alpha


def _scale_to_cover(pixels: Array, height: int, width: int) -> Array:
    from uhrmat.media.resample import resize  # loads cv2

    scale = max(height / pixels.shape[0], width / pixels.shape[1])
    size = max(height, round(pixels.shape[0] * scale)), max(width, round(pixels.shape[1] * scale))
    scaled = resize(pixels, size)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    return scaled[top : top + height, left : left + width]


def _convert_colours(picture: Picture, info: PictureInfo) -> FloatArray:
    """Colours of `picture` in the space of `info`: scene-linear with its primaries, or encoded by its profile."""
    theirs, ours = _profile(picture.info), _profile(info)
    if not info.linear:
        shown = picture.to_float()
        return shown if theirs == ours else np.minimum(convert(shown, theirs, ours), white_signal(info.png_colour))
    if picture.info.linear:
        light = picture.pixels.astype(np.float32, copy=False)
        if picture.info.chromaticities == info.chromaticities:
            return light
        if picture.info.chromaticities is not None:
            light = light @ matrix_to_rec709(picture.info.chromaticities).T
    else:
        light = to_linear(picture.to_float(), False, theirs)
    if info.chromaticities is not None:
        light = light @ np.linalg.inv(matrix_to_rec709(info.chromaticities)).T
    return light.astype(np.float32, copy=False)


def _profile(info: PictureInfo) -> bytes | None:
    """The profile of display-referred pixels, None for sRGB; `to_float` shows linear ones in sRGB."""
    return None if info.linear or is_srgb(info.icc) else info.icc
