"""Hints of an EXR with overscan: drawn over the display window, they are extended to the whole picture."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media.picture import Picture, PictureInfo

Array = npt.NDArray[Any]


def display_size(info: PictureInfo) -> tuple[int, int]:
    """Height and width of a picture's display window; its own where it has none."""
    if info.exr is None:
        return info.height, info.width
    left, top, right, bottom = info.exr.display
    return bottom - top + 1, right - left + 1


def extend_over_overscan(array: Array, info: PictureInfo) -> Array:
    """Extend an array from the display window to the whole picture by repeating its outermost values.

    Args:
        array: (h, w) or (h, w, C) over the display window, of any resolution.
        info: Of the picture.

    Returns:
        The array over the data window, in the same resolution.
    """
    if info.exr is None or info.exr.data == info.exr.display:
        return array
    height, width = display_size(info)
    rows, columns = info.exr.shown
    down, across = array.shape[0] / height, array.shape[1] / width
    margins = [
        (round(rows.start * down), round((info.height - rows.stop) * down)),
        (round(columns.start * across), round((info.width - columns.stop) * across)),
    ]
    return np.pad(array, [*margins, (0, 0)][: array.ndim], mode="edge")


def extend_picture_over_overscan(picture: Picture, info: PictureInfo) -> Picture:
    """As `extend_over_overscan`, for a picture taken from the same place."""
    pixels = extend_over_overscan(picture.pixels, info)
    alpha = None if picture.alpha is None else extend_over_overscan(picture.alpha, info)
    return Picture(pixels, alpha, replace(picture.info, height=pixels.shape[0], width=pixels.shape[1], exr=None))
