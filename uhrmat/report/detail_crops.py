"""Detail crops: the rectangles of a matte with most fine structure, to be shown pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 16
"""Side of the blocks in which detail is summed, pixels; crops start at multiples of it."""
_ROWS = 64 * _BLOCK
"""Rows handled at a time, which bounds the memory of temporaries."""


@dataclass(frozen=True)
class Crop:
    """A rectangle of a picture.

    Attributes:
        top: First row.
        left: First column.
        height: Rows, pixels.
        width: Columns, pixels.
    """

    top: int
    left: int
    height: int
    width: int


def detail_crops(alpha: np.ndarray, size: tuple[int, int], count: int = 3) -> list[Crop]:
    """Choose the rectangles with most detail, which do not overlap.

    The detail of a pixel is 4 α (1 - α) plus the size of its gradient.

    Args:
        alpha: (H, W) float32 in [0, 1].
        size: (height, width) of a rectangle, pixels; at most the picture's.
        count: Largest number of rectangles.

    Returns:
        Rectangles in descending order of their detail; those without any are left out.
    """
    height, width = min(size[0], alpha.shape[0]), min(size[1], alpha.shape[1])
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    sums = _window_sums(_block_detail(alpha), (rows, columns))
    crops: list[Crop] = []
    while len(crops) < count and sums.max() > 0:
        y, x = (int(i) for i in np.unravel_index(int(np.argmax(sums)), sums.shape))
        top, left = min(y * _BLOCK, alpha.shape[0] - height), min(x * _BLOCK, alpha.shape[1] - width)
        crops.append(Crop(top, left, height, width))
        sums[max(0, y - rows) : y + rows + 1, max(0, x - columns) : x + columns + 1] = 0
    return crops


def _block_detail(alpha: np.ndarray) -> np.ndarray:
    """Detail summed in each block of 16 x 16 pixels, (ceil(H / 16), ceil(W / 16)) float64, computed in strips."""
    strips = []
    for top in range(0, alpha.shape[0], _ROWS):
        part = alpha[top : top + _ROWS]
        value = 4 * part * (1 - part)
        value[:, 1:] += np.abs(np.diff(part, axis=1))
        value[1:] += np.abs(np.diff(part, axis=0))
        rows = np.add.reduceat(value, np.arange(0, value.shape[0], _BLOCK), axis=0)
        strips.append(np.add.reduceat(rows, np.arange(0, value.shape[1], _BLOCK), axis=1))
    return np.concatenate(strips).astype(np.float64)


def _window_sums(detail: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Sums over every window of so many blocks that lies inside, by an integral image."""
    total = np.pad(detail, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    h, w = min(window[0], detail.shape[0]), min(window[1], detail.shape[1])
    return np.asarray(total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w])
