"""What stands keeps its alpha: an active pixel's new alpha is averaged with its last one where the subject stands.

A refiner that sees one frame gives a hair that stands another alpha in each, with the noise and with what passes behind
it. Those errors differ from frame to frame, so that their mean is nearer to the truth. Where the foreground moves, the
new alpha counts alone: the last one, taken along by the flow, costs more detail than it brings.

Before a background that stands, whatever stands shows the same colours again, pixel by pixel. Before one that moves
every colour changes, and the flow of the opaque foreground has to say what its hair does.
"""

from __future__ import annotations

import math
from typing import Any, TypeVar

import cv2
import numpy as np

from uhrmat.media import Picture
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, nonempty_strips, upsampled_rows
from uhrmat.sparsity.temporal import display_pair
from uhrmat.video.flow import optical_flow

V = TypeVar("V", bound=Any)
"""An array or a tensor."""
WEIGHT = 0.7
"""Of the last alpha, at most."""
AGREE = 0.3
"""Difference of two alphas at which the weight has fallen to 1 / e."""
STANDS = 20.0
"""Motion, in pixels per frame, at which the weight has fallen to 1 / e, for a background that changes by 1: the more it
changes, the more there is to win against what is lost."""
STIRS = 0.004
"""Change of the small picture from frame to frame, in [0, 1], at which the background moves: a grey level of 255."""
SAME, LEAST = 3.0, 0.1 / 255
"""Change of the mean of 3 x 3 pixels at which the weight has fallen to 1 / e: in standard deviations, and at least."""
_NEAR, _FAR = 0.02, 0.08
"""Standard deviations, as shares of the short side, over which the foreground's motion is spread to its hair."""
_COARSE = 4
"""Pixels of the small picture per pixel in which is spread: much fewer than the smaller deviation."""
_FAINT = 1e-3


def movement(before: np.ndarray, now: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32: how the foreground near each pixel moves, in pixels: (x, y) from its place in `now` to that in
    `before`, and the mean length of such moves.

    before, now: (h, w, 3) float32 in [0, 1]; alpha: (h, w) of `now`. Flow counts where the foreground is opaque, for in
    its hair it is often that of the background.
    """
    move = optical_flow(now, before)
    return _spread(np.dstack([move, np.linalg.norm(move, axis=2)]), np.power(alpha, 4, dtype=np.float32))


def stir(before: np.ndarray, now: np.ndarray, alpha: np.ndarray, noise: float) -> np.ndarray:
    """(h, w) float32 in [0, 1]: how much the background near each pixel changes; see `movement`.

    alpha: (h, w), the larger one of both frames: what counts is where there is nothing of the foreground, and nothing
    beside it, for hair that moves would pass for a background that does. noise: standard deviation, in [0, 1], of
    before and now, whose change counts for nothing.
    """
    empty = cv2.erode((alpha < SPATIAL_SPARSITY.low).astype(np.float32), np.ones((5, 5)))
    change = _spread(np.abs(now - before).mean(2, keepdims=True), empty)[..., 0]
    return np.asarray((change - np.float32(2 / math.sqrt(math.pi) * noise)).clip(min=0))


def _spread(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(h, w, C): the weighted mean of `values` (h, w, C) nearby, or without any far away. weight: (h, w) float32."""
    height, width = weight.shape
    parts = np.dstack([values * weight[..., None], weight + np.float32(1e-6)])
    coarse = cv2.resize(parts, (-(-width // _COARSE), -(-height // _COARSE)), interpolation=cv2.INTER_AREA)
    near, far = (cv2.GaussianBlur(coarse, (0, 0), s * min(weight.shape) / _COARSE) for s in (_NEAR, _FAR))
    mean = (near[..., :-1] + _FAINT * far[..., :-1] / far[..., -1:]) / (near[..., -1:] + _FAINT)
    return cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR).reshape(values.shape)


def steady(now: Picture, before: Picture, noise: float, where: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 255 where a pixel and its neighbours show the colours of the frame before but for the noise, with
    this standard deviation in [0, 1]; at the pixels `where`, (H, W) bool, elsewhere 0."""
    found = np.zeros(where.shape, np.uint8)
    limit = max(LEAST, SAME * noise * float(np.sqrt(2)) / 3)
    for rows in nonempty_strips(where):
        left, _, width, _ = cv2.boundingRect(where[rows].view(np.uint8))
        box = rows, slice(left, left + width)
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        shown, earlier, scale = display_pair(now.pixels[around], before.pixels[around], now.info.linear)
        change = cv2.blur(cv2.subtract(shown, earlier, dtype=cv2.CV_32F), (3, 3), borderType=cv2.BORDER_REPLICATE)
        first, second, third = (np.abs(plane) for plane in cv2.split(change))
        most = cv2.max(cv2.max(first, second), third)
        inside = where[box]
        top, start = (side.start - wide.start for side, wide in zip(box, around, strict=True))
        most = most[top : top + len(inside), start : start + width][inside]
        found[box][inside] = np.rint(255 * np.exp(-np.square(most / np.float32(limit * scale))))
    return found


def weight(step: V, motion: V, stirred: V, same: V) -> V:
    """What the last alpha weighs, in [0, WEIGHT]. step: from the new to the last one; motion: of the foreground, in
    pixels; stirred: see `stir`; same: in [0, 1], see `steady`."""
    moving = ((stirred / STIRS) ** 3).clip(max=1)
    stands: V = moving * math.e ** -((motion / (STANDS * stirred + _FAINT)) ** 2) + (1 - moving) * same
    return WEIGHT * stands * math.e ** -((step / AGREE) ** 2)


def average(
    alpha: np.ndarray, last: np.ndarray, where: np.ndarray, motion: np.ndarray, stirred: np.ndarray, same: np.ndarray
) -> None:
    """`alpha` drawn towards `last`, both (H, W) float32, in place, at the pixels `where`, (H, W) bool.

    motion: (h, w), lengths of `movement` in pixels of the picture; stirred: (h, w), of `stir`; same: of `steady`.
    """
    for rows in nonempty_strips(where):
        inside = where[rows]
        length, change = (upsampled_rows(x, alpha.shape, rows.start, rows.stop)[inside] for x in (motion, stirred))
        new = alpha[rows][inside]
        step = last[rows][inside] - new
        alpha[rows][inside] = new + step * weight(step, length, change, same[rows][inside] / np.float32(255))
