"""Premultiplied RGBA layers and the exact drawing of polygons on them.

A layer is float32 (H, W, 4), colour premultiplied by alpha, all in [0, 1]. Polygons are drawn one over another without
antialiasing on a four times finer grid, tile by tile, and averaged: coverage is a true area, and crossing strands hide
each other as they do in a photograph.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from uhrmat.train.synth.stage import Bytes, Floats, Points

FINE = 4
"""Sub-pixels per pixel and axis."""
_SHIFT = 4
_TILE = 256


def blank(height: int, width: int) -> Floats:
    """An empty layer."""
    return np.zeros((height, width, 4), np.float32)


def over(bottom: Floats, top: Floats) -> Floats:
    """Put `top` over `bottom`, which is changed in place and returned."""
    bottom *= 1 - top[..., 3:]
    bottom += top
    return bottom


def paint(bottom: Floats, mask: Floats, colour: Floats) -> Floats:
    """Put straight `colour` (H, W, 3) or (3,) with coverage `mask` (H, W) over `bottom`, in place."""
    rows = np.flatnonzero(mask.any(1))
    if len(rows) == 0:
        return bottom
    part = slice(int(rows[0]), int(rows[-1]) + 1)
    cover, target = mask[part, :, None], bottom[part]
    target *= 1 - cover
    target[..., :3] += cover * (colour[part] if colour.ndim == 3 else colour)
    target[..., 3:] += cover
    return bottom


def to_bytes(colour: NDArray[np.floating]) -> Bytes:
    """Round [0, 1] to [0, 255]."""
    return np.asarray(np.rint(np.clip(colour, 0, 1) * 255), np.uint8)


def draw(
    layer: Floats,
    polygons: Sequence[Points] | Points,
    colours: NDArray[np.floating],
    *,
    blur: float = 0.0,
    opacity: float = 1.0,
    light: Floats | None = None,
) -> Floats:
    """Draw polygons (each (P, 2) as x, y in pixels) with straight colours (N, 3) over `layer`, in place.

    `blur` is the Gaussian sigma in pixels of the group as a whole, `opacity` its transparency, `light` (H, W)
    multiplies the colour and so runs smoothly across neighbouring strands.
    """
    if len(polygons) == 0:
        return layer
    fixed = [_fixed(p) for p in polygons]
    boxes = np.array([cv2.boundingRect(p) for p in fixed], float) / (FINE << _SHIFT)
    boxes[:, 2:] += boxes[:, :2]
    inks = np.concatenate([to_bytes(colours), np.full((len(fixed), 1), 255, np.uint8)], axis=1).tolist()
    height, width = layer.shape[:2]
    for y0 in range(0, height, _TILE):
        for x0 in range(0, width, _TILE):
            y1, x1 = min(y0 + _TILE, height), min(x0 + _TILE, width)
            pad = int(np.ceil(3 * blur)) + 1
            window = _touched(boxes, (x0 - pad, y0 - pad, x1 + pad, y1 + pad))
            if len(window):
                _draw_tile(layer, fixed, inks, window, (y0, y1, x0, x1), pad, (blur, opacity), light)
    return layer


def _fixed(polygon: Points) -> NDArray[np.int32]:
    """Pixel coordinates (pixel centres at half integers) as OpenCV's fixed point on the fine grid."""
    return np.rint(np.asarray(polygon) * (FINE << _SHIFT) - (1 << _SHIFT) / 2).astype(np.int32)


def _touched(boxes: NDArray[np.float64], tile: tuple[int, int, int, int]) -> NDArray[np.intp]:
    """Indices of the boxes that meet the tile, in drawing order."""
    meets = (boxes[:, 2] >= tile[0]) & (boxes[:, 3] >= tile[1]) & (boxes[:, 0] <= tile[2]) & (boxes[:, 1] <= tile[3])
    return np.flatnonzero(meets)


def _draw_tile(
    layer: Floats,
    fixed: list[NDArray[np.int32]],
    inks: list[list[int]],
    window: NDArray[np.intp],
    tile: tuple[int, int, int, int],
    pad: int,
    look: tuple[float, float],
    light: Floats | None,
) -> None:
    y0, y1, x0, x1 = tile
    rows, cols = y1 - y0 + 2 * pad, x1 - x0 + 2 * pad
    fine = np.zeros((rows * FINE, cols * FINE, 4), np.uint8)
    origin = np.array([x0 - pad, y0 - pad]) * (FINE << _SHIFT)
    origin = origin.astype(np.int32)
    for i in window.tolist():
        cv2.fillPoly(fine, [fixed[i] - origin], inks[i], cv2.LINE_8, _SHIFT)
    ink = shrink(fine)
    if look[0] > 0:
        ink = soften(ink, look[0])
    ink = ink[pad : pad + y1 - y0, pad : pad + x1 - x0]
    if look[1] < 1:
        ink = ink * np.float32(look[1])
    if light is not None:
        ink[..., :3] = np.minimum(ink[..., :3] * light[y0:y1, x0:x1, None], ink[..., 3:])
    over(layer[y0:y1, x0:x1], ink)


def shrink(fine: Bytes) -> Floats:
    """Average 4 x 4 blocks of uint8 to float32 in [0, 1]; the first halving rounds (fast), the second does not."""
    rows, cols = fine.shape[0] // 2, fine.shape[1] // 2
    half = cv2.resize(fine, (cols, rows), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(cv2.resize(half, (cols // 2, rows // 2), interpolation=cv2.INTER_AREA) * (1 / 255), np.float32)


def mask_of(height: int, width: int, polygons: Sequence[Points]) -> Floats:
    """Coverage (H, W) of polygons filled together by the even-odd rule: a polygon inside another is a hole."""
    mask = np.zeros((height, width), np.float32)
    fixed = [_fixed(p) for p in polygons]
    for y0 in range(0, height, _TILE):
        for x0 in range(0, width, _TILE):
            y1, x1 = min(y0 + _TILE, height), min(x0 + _TILE, width)
            fine = np.zeros(((y1 - y0) * FINE, (x1 - x0) * FINE), np.uint8)
            origin = np.array([x0, y0], np.int32) * (FINE << _SHIFT)
            cv2.fillPoly(fine, [p - origin for p in fixed], 255, cv2.LINE_8, _SHIFT)
            mask[y0:y1, x0:x1] = shrink(fine)
    return mask


def soften(layer: Floats, sigma: float) -> Floats:
    """Gaussian blur of a premultiplied layer: the lens, acting on colour and alpha alike."""
    if sigma <= 0.05:
        return layer
    return np.asarray(cv2.GaussianBlur(layer, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


def disc(radius: float) -> Floats:
    """An antialiased disc kernel: the picture of a point out of focus."""
    reach = int(np.ceil(radius + 0.5))
    ys, xs = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    kernel = np.clip(radius + 0.5 - np.sqrt(xs * xs + ys * ys), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)


def convolve(layer: Floats, kernel: Floats) -> Floats:
    """Correlate a layer with a normalised kernel, borders repeated."""
    return np.asarray(cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def straight(layer: Floats) -> Floats:
    """Straight colour (H, W, 3) of a premultiplied layer, continued smoothly to where little or nothing is drawn.

    Averages down until nothing is empty, then fills what is thinner than 1/8 on the way up.
    """
    return np.asarray(_push_pull(layer).clip(0, 1), np.float32)


def _push_pull(layer: Floats) -> Floats:
    height, width = layer.shape[:2]
    if min(height, width) <= 4:
        mean = layer.reshape(-1, 4).sum(0)
        return np.asarray(np.tile(mean[:3] / max(float(mean[3]), 1e-6), (height, width, 1)), np.float32)
    small = cv2.resize(layer, ((width + 1) // 2, (height + 1) // 2), interpolation=cv2.INTER_AREA)
    below = cv2.resize(_push_pull(np.asarray(small, np.float32)), (width, height), interpolation=cv2.INTER_LINEAR)
    alpha = layer[..., 3:]
    own: Floats = np.asarray(layer[..., :3] / np.maximum(alpha, 1e-6), np.float32)
    own -= below
    own *= np.minimum(alpha * 8, 1)
    own += below
    return own
