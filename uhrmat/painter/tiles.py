"""Pieces of the picture, the trimap and the alpha at any zoom, encoded for the page.

Level 0 is full resolution, each further level has half the size of the one before, rounded up. Tile (x, y) of a level
begins at pixel (x, y) · `TILE` of it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.media import Picture
from uhrmat.media.coding import BACKGROUND, FOREGROUND
from uhrmat.media.display import Screen
from uhrmat.media.resample import area_average, half_shape, halve
from uhrmat.painter.strokes import Box

TILE = 512
"""Side of a tile, pixels."""
TINTS = {FOREGROUND: (40, 120, 255), BACKGROUND: (255, 120, 0)}
"""Colours of what is painted: blue and orange, which everybody can tell apart."""
TINT_OPACITY = 110
"""Of 255."""
_STRIP = 1024
_JPEG = [
    cv2.IMWRITE_JPEG_QUALITY, 92, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
]  # fmt: skip
_QUICK = [cv2.IMWRITE_PNG_COMPRESSION, 1]
Bytes = npt.NDArray[np.uint8]


def level_sizes(size: tuple[int, int]) -> list[tuple[int, int]]:
    """(H, W) of every level, down to one tile."""
    sizes = [size]
    while max(sizes[-1]) > TILE:
        sizes.append(half_shape(*sizes[-1]))
    return sizes


def tile_box(size: tuple[int, int], level: int, x: int, y: int) -> Box:
    """The pixels of a level that a tile shows.

    Raises:
        InputError: the picture has no such tile.
    """
    sizes = level_sizes(size)
    if not 0 <= level < len(sizes) or not (0 <= x * TILE < sizes[level][1] and 0 <= y * TILE < sizes[level][0]):
        raise InputError(f"There is no tile {x}, {y} at level {level}.", "Reload the page.")
    height, width = sizes[level]
    return x * TILE, y * TILE, min((x + 1) * TILE, width), min((y + 1) * TILE, height)


def full_box(box: Box, level: int, size: tuple[int, int]) -> Box:
    """A box of a level in pixels of full resolution."""
    left, top, right, bottom = (value << level for value in box)
    return left, top, min(right, size[1]), min(bottom, size[0])


class PhotoTiles:
    """The photograph as a screen shows it. Levels above the first are kept as 8-bit sRGB, a third of its pixels.

    Args:
        picture: at full resolution.
    """

    def __init__(self, picture: Picture) -> None:
        self.size = picture.height, picture.width
        self._pixels, self._screen = picture.pixels, Screen(picture.info)
        self._levels: list[Bytes] = []
        for shape in level_sizes(self.size)[1:]:
            self._levels.append(halve(self._levels[-1]) if self._levels else self._first_level(shape))

    def _first_level(self, shape: tuple[int, int]) -> Bytes:
        result = np.empty((*shape, 3), np.uint8)
        for top in range(0, self.size[0], _STRIP):
            result[top // 2 : (top + _STRIP) // 2] = halve(self._screen(self._pixels[top : top + _STRIP]))
        return result

    def encode(self, level: int, x: int, y: int) -> bytes:
        """A tile as JPEG. Raises InputError where there is none."""
        left, top, right, bottom = tile_box(self.size, level, x, y)
        if level:
            part = self._levels[level - 1][top:bottom, left:right]
        else:
            part = self._screen(np.ascontiguousarray(self._pixels[top:bottom, left:right]))
        return _encoded(".jpg", part[..., ::-1], _JPEG)


def encode_strokes(trimap: Bytes, level: int, x: int, y: int) -> bytes:
    """A tile of a trimap (H, W) as a PNG to be laid over the picture: known pixels in `TINTS`, unknown ones nothing."""
    size = trimap.shape[0], trimap.shape[1]
    box = tile_box(size, level, x, y)
    left, top, right, bottom = full_box(box, level, size)
    part, shape = trimap[top:bottom, left:right], (box[3] - box[1], box[2] - box[0])
    front, back = (_share(part == value, shape) for value in TINTS)
    known = np.maximum(front + back, np.float32(1e-6))[..., None]
    tints = [np.array(tint, np.float32) for tint in TINTS.values()]
    colour = (front[..., None] * tints[0] + back[..., None] * tints[1]) / known
    shown = np.concatenate([colour, (front + back)[..., None] * TINT_OPACITY], axis=2)
    return _encoded(".png", np.rint(shown).astype(np.uint8)[..., [2, 1, 0, 3]], _QUICK)


def _share(mask: npt.NDArray[np.bool_], shape: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The share of each small pixel that a mask covers."""
    flags = mask.view(np.uint8) * np.uint8(255)
    if mask.shape != shape:
        flags = cv2.resize(flags, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(flags, np.float32) / np.float32(255)


def encode_alpha(alpha: Bytes) -> bytes:
    """(h, w) uint8 as a white PNG with that alpha."""
    pixels = np.full((*alpha.shape, 4), 255, np.uint8)
    pixels[..., 3] = alpha
    return _encoded(".png", pixels, _QUICK)


def crop_low_res(low: npt.NDArray[np.float32], size: tuple[int, int], box: Box, shape: tuple[int, int]) -> np.ndarray:
    """A part of a low-resolution map (h, w[, C]) of a picture, resampled bilinearly.

    Args:
        low: float32, covering the whole picture.
        size: (H, W) of the picture.
        box: the part, in pixels of the picture.
        shape: (h', w') of the result.

    Returns:
        (h', w'[, C]) float32.
    """
    left, top, right, bottom = box
    smaller = shape[0] * (size[0] / low.shape[0]) < (bottom - top) * 0.99
    if smaller:  # than the map itself: averaged, not picked
        scale = low.shape[0] / size[0], low.shape[1] / size[1]
        rows = slice(int(top * scale[0]), max(int(top * scale[0]) + 1, round(bottom * scale[0])))
        columns = slice(int(left * scale[1]), max(int(left * scale[1]) + 1, round(right * scale[1])))
        return area_average(low[rows, columns], shape)
    y = (top + (np.arange(shape[0]) + 0.5) * (bottom - top) / shape[0]) * low.shape[0] / size[0] - 0.5
    x = (left + (np.arange(shape[1]) + 0.5) * (right - left) / shape[1]) * low.shape[1] / size[1] - 0.5
    at_x, at_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return np.asarray(cv2.remap(low, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))


def _encoded(suffix: str, pixels: Bytes, options: list[int]) -> bytes:
    return cv2.imencode(suffix, pixels, options)[1].tobytes()
