"""Downsampling by area averaging: each small pixel is the mean of the area that it covers.

`downsample` averages an array at once, in its own type. `area_average` and `area_average_strips` work strip by strip,
so that no full-resolution float copy is made: the first on arrays in memory, the second on rows that a function reads.
Their results differ in the last bits (OpenCV's vertical pass against a matrix product), so neither replaces the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.media.picture import Picture

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Shape = tuple[int, int]
"""Height and width in pixels."""
_STRIP_PIXELS = 1 << 17
"""Pixels of the large array that `area_average` converts to float32 at once: they stay in the processor's cache."""
_STRIP_ROWS = 32
"""Rows of the small array that `area_average_strips` makes at once."""
_ANY = 1e-5
"""The least share of set pixels in `downsample_mask`: below one in 65536, above float32's rounding."""
_KNOWN_SLACK = 0.01
"""How far from 0 or 255 the mean of a known trimap area may be by rounding."""


def downsample(array: Array, shape: Shape) -> Array:
    """Average an array over the area of each small pixel, in the array's own type, by OpenCV's INTER_AREA.

    Args:
        array: (H, W[, C]), uint8, uint16 or float32.
        shape: (h, w) of the result, not larger than the array.

    Returns:
        (h, w[, C]) in the type of `array`; integers are rounded. As OpenCV does, a single channel axis is dropped.
    """
    return np.asarray(cv2.resize(array, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))


def resize(array: Array, shape: Shape) -> Array:
    """Resize (H, W[, C]) to (h, w[, C]) in its own type: area averaging where an axis gets shorter, else bilinear."""
    if shape[0] < array.shape[0] or shape[1] < array.shape[1]:
        return downsample(array, shape)
    return np.asarray(cv2.resize(array, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))


def half_shape(height: int, width: int) -> Shape:
    """Half of a size, rounded up."""
    return -(-height // 2), -(-width // 2)


def halve(array: Array) -> Array:
    """The means of 2 × 2 pixels of (H, W[, C]) in its own type; the size is rounded up."""
    return downsample(array, half_shape(*array.shape[:2]))


def area_average(pixels: Array, shape: Shape, peak: float = 1.0) -> Array:
    """Average an array over the area of each small pixel, as float32 in units of `peak`.

    Args:
        pixels: (H, W[, C]) of any real type.
        shape: (h, w) of the result. Along an axis where it is larger than the array, pixels are interpolated linearly.
        peak: The value that becomes 1, for example 255 for uint8.

    Returns:
        (h, w[, C]) float32.
    """
    (height, width), (h, w) = pixels.shape[:2], shape
    across, down = (cv2.INTER_AREA if a <= b else cv2.INTER_LINEAR for a, b in ((w, width), (h, height)))
    rows = max(1, _STRIP_PIXELS // width)
    strips = []
    for top in range(0, height, rows):
        strip = pixels[top : top + rows].astype(np.float32)
        strips.append(cv2.resize(strip, (w, len(strip)), interpolation=across) if w != width else strip)
    narrow = np.concatenate(strips)
    small = cv2.resize(narrow, (w, h), interpolation=down) if h != height else narrow
    return np.asarray(small / np.float32(peak)).reshape(h, w, *pixels.shape[2:])


def area_average_strips(
    read: Callable[[int, int], FloatArray], size: Shape, shape: Shape
) -> Iterator[tuple[int, FloatArray]]:
    """Average an array that is read row by row; yields its small copy in strips.

    Args:
        read: `read(y0, y1)` gives rows y0 up to y1 of the large array, (y1 - y0, W[, C]) float32.
        size: (H, W) of the large array.
        shape: (h, w) of the small one, not larger.

    Yields:
        The first row and the float32 pixels (rows, w[, C]) of each strip of the small array, from top to bottom.
    """
    (height, _), (h, w) = size, shape
    for top in range(0, h, _STRIP_ROWS):
        bottom = min(top + _STRIP_ROWS, h)
        first, last = top * height // h, -(-bottom * height // h)
        narrow = cv2.resize(read(first, last), (w, last - first), interpolation=cv2.INTER_AREA)
        edges = np.arange(top, bottom + 1) * (height / h) - first
        rows = np.arange(last - first)
        overlap = np.minimum(edges[1:, None], rows + 1) - np.maximum(edges[:-1, None], rows)
        weights = (overlap.clip(0) * (h / height)).astype(np.float32)
        yield top, (weights @ narrow.reshape(len(rows), -1)).reshape(bottom - top, *narrow.shape[1:])


def downsample_picture(picture: Picture, shape: Shape) -> Picture:
    """A smaller copy (h, w) of a picture without its alpha, in its own type; display-referred where that is float32."""
    size, kind = (picture.height, picture.width), picture.pixels.dtype
    peak = 1.0 if kind == np.float32 else float(np.iinfo(kind).max)
    pixels = np.empty((*shape, 3), kind)
    for top, strip in area_average_strips(picture.to_float, size, shape):
        pixels[top : top + len(strip)] = strip if kind == np.float32 else np.rint(strip * peak)
    info = replace(picture.info, height=shape[0], width=shape[1], linear=False)
    return Picture(pixels, None, info)


def downsample_trimap(trimap: npt.NDArray[np.uint8], shape: Shape) -> npt.NDArray[np.uint8]:
    """A trimap (H, W) of {0, 128, 255} as (h, w): a small pixel is known only where all pixels that it covers are."""
    result = np.full(shape, 128, np.uint8)
    height, width = trimap.shape[:2]
    for top, strip in area_average_strips(lambda y0, y1: trimap[y0:y1].astype(np.float32), (height, width), shape):
        rows = result[top : top + len(strip)]
        rows[strip < _KNOWN_SLACK] = 0
        rows[strip > 255 - _KNOWN_SLACK] = 255
    return result


def downsample_mask(mask: npt.NDArray[np.bool_], shape: Shape) -> npt.NDArray[np.bool_]:
    """A mask (H, W) as (h, w) bool: a small pixel is set where any pixel that it covers is."""
    result = np.empty(shape, bool)
    height, width = mask.shape[:2]
    for top, strip in area_average_strips(lambda y0, y1: mask[y0:y1].astype(np.float32), (height, width), shape):
        result[top : top + len(strip)] = strip > _ANY
    return result


def downsample_for_display(picture: Picture, shape: Shape) -> np.ndarray:
    """Downsample a picture by area averaging, as a display shows it.

    Args:
        picture: of any stored type.
        shape: (h, w). A picture that is smaller is enlarged bilinearly.

    Returns:
        (h, w, 3) float32 in [0, 1].
    """
    if picture.pixels.dtype == np.float32:
        if picture.height < shape[0] or picture.width < shape[1]:
            return area_average(picture.to_float(), shape)
        strips = area_average_strips(picture.to_float, (picture.height, picture.width), shape)
        return np.concatenate([strip for _, strip in strips])
    return area_average(picture.pixels, shape, float(np.iinfo(picture.pixels.dtype).max))
