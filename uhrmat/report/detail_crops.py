"""Detail crops: the rectangles of a matte with most fine structure, to be looked at pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_BLOCK = 16
_ROWS = 64 * _BLOCK


@dataclass(frozen=True)
class Crop:
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


def detail_crops(alpha: np.ndarray, size: tuple[int, int], count: int = 3) -> list[Crop]:
    """Up to `count` rectangles of `size` (height, width) that do not overlap and hold most detail, in descending order.

    alpha: (H, W) float32 in [0, 1]. Detail is where alpha is neither 0 nor 1 and changes from pixel to pixel: each
    pixel counts 4 a (1 - a) plus the size of its gradient. Rectangles without any are left out, so an empty or a
    hard-edged full matte gives none.
    """
    height, width = min(size[0], alpha.shape[0]), min(size[1], alpha.shape[1])
    rows, columns = -(-height // _BLOCK), -(-width // _BLOCK)
    sums = _window_sums(_hair(alpha), (rows, columns))
    found: list[Crop] = []
    while len(found) < count and sums.max() > 0:
        y, x = (int(i) for i in np.unravel_index(int(np.argmax(sums)), sums.shape))
        top, left = min(y * _BLOCK, alpha.shape[0] - height), min(x * _BLOCK, alpha.shape[1] - width)
        found.append(Crop(top, left, height, width))
        sums[max(0, y - rows) : y + rows + 1, max(0, x - columns) : x + columns + 1] = 0
    return found


def _hair(alpha: np.ndarray) -> np.ndarray:
    """Hair of each block of 16 x 16 pixels: (ceil(H / 16), ceil(W / 16)) float64. Works in strips."""
    strips = []
    for top in range(0, alpha.shape[0], _ROWS):
        part = alpha[top : top + _ROWS]
        value = 4 * part * (1 - part)
        value[:, 1:] += np.abs(np.diff(part, axis=1))
        value[1:] += np.abs(np.diff(part, axis=0))
        rows = np.add.reduceat(value, np.arange(0, value.shape[0], _BLOCK), axis=0)
        strips.append(np.add.reduceat(rows, np.arange(0, value.shape[1], _BLOCK), axis=1))
    return np.concatenate(strips).astype(np.float64)


def _window_sums(hair: np.ndarray, window: tuple[int, int]) -> np.ndarray:
    """Sums over every window that lies inside, by an integral image."""
    total = np.pad(hair, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    h, w = min(window[0], hair.shape[0]), min(window[1], hair.shape[1])
    return total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
