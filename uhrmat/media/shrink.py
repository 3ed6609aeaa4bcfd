"""Area averages of arrays too large to be held in float32, and what of a trimap they leave known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np

from uhrmat.media import Picture

Shape = tuple[int, int]
_ROWS = 32
"""Rows of the small array made at once."""


def shrunk_strips(
    read: Callable[[int, int], np.ndarray], size: Shape, shape: Shape
) -> Iterator[tuple[int, np.ndarray]]:
    """(top, float32 strip) of an array of `size` (H, W) averaged to `shape` (h, w), which is smaller.

    read(y0, y1): float32 rows (y1 - y0, W[, C]).
    """
    (height, _), (h, w) = size, shape
    for top in range(0, h, _ROWS):
        bottom = min(top + _ROWS, h)
        first, last = top * height // h, -(-bottom * height // h)
        narrow = cv2.resize(read(first, last), (w, last - first), interpolation=cv2.INTER_AREA)
        edges = np.arange(top, bottom + 1) * (height / h) - first
        rows = np.arange(last - first)
        overlap = np.minimum(edges[1:, None], rows + 1) - np.maximum(edges[:-1, None], rows)
        weights = (overlap.clip(0) * (h / height)).astype(np.float32)
        yield top, (weights @ narrow.reshape(len(rows), -1)).reshape(bottom - top, *narrow.shape[1:])


def shrunk_picture(picture: Picture, shape: Shape) -> Picture:
    """A smaller copy of a picture in its own type, display-referred where that is float32."""
    size, kind = (picture.height, picture.width), picture.pixels.dtype
    peak = 1.0 if kind == np.float32 else float(np.iinfo(kind).max)
    pixels = np.empty((*shape, 3), kind)
    for top, strip in shrunk_strips(picture.to_float, size, shape):
        pixels[top : top + len(strip)] = strip if kind == np.float32 else np.rint(strip * peak)
    info = replace(picture.info, height=shape[0], width=shape[1], linear=False)
    return Picture(pixels, None, info)


def small_trimap(trimap: np.ndarray, shape: Shape) -> np.ndarray:
    """(h, w) uint8 {0, 128, 255}: a small pixel is known only where all pixels that it covers are."""
    found = np.full(shape, 128, np.uint8)
    for top, strip in shrunk_strips(lambda y0, y1: trimap[y0:y1].astype(np.float32), trimap.shape[:2], shape):
        rows = found[top : top + len(strip)]
        rows[strip < 0.01] = 0
        rows[strip > 254.99] = 255
    return found


def shrunk_mask(mask: np.ndarray, shape: Shape) -> np.ndarray:
    """(h, w) bool: a small pixel is set where any pixel that it covers is."""
    found = np.empty(shape, bool)
    for top, strip in shrunk_strips(lambda y0, y1: mask[y0:y1].astype(np.float32), mask.shape[:2], shape):
        found[top : top + len(strip)] = strip > 1e-5
    return found
