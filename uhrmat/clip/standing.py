"""What stands keeps its alpha: an active pixel's new alpha is averaged with its last one where the subject stands.

A refiner that sees one frame gives a hair that stands another alpha in each, with the noise and with what passes behind
it. Those errors differ from frame to frame, so that their mean is nearer to the truth. Where the foreground moves, the
new alpha counts alone: the last one, taken along by the flow, costs more detail than it brings.
"""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np

from uhrmat.clip.flow import flow
from uhrmat.sparsity import filled_strips, upsampled_rows

V = TypeVar("V", bound=Any)
"""An array or a tensor."""
WEIGHT = 0.7
"""Of the last alpha, at most."""
AGREE = 0.3
"""Difference of two alphas at which the weight has fallen to 1 / e."""
STANDS = 0.12
"""Motion, in pixels of the small picture per frame, at which the weight has fallen to 1 / e."""
STIRS = 0.004
"""What must change from frame to frame, in [0, 1], for the errors to differ: a grey level of 255."""
_NEAR, _FAR = 0.02, 0.08
"""Standard deviations, as shares of the short side, over which the foreground's motion is spread to its hair."""
_FAINT = np.float32(1e-3)


def movement(before: np.ndarray, now: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, 3) float32: how the foreground near each pixel moves, in pixels: (x, y) from its place in `now` to that in
    `before`, and the mean length of such moves.

    before, now: (h, w, 3) float32 in [0, 1]; alpha: (h, w) of `now`. Flow counts where the foreground is opaque, for in
    its hair it is often that of the background.
    """
    move = flow(now, before)
    return _spread(np.dstack([move, np.linalg.norm(move, axis=2)]), alpha)


def stir(before: np.ndarray, now: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w) float32 in [0, 1]: how much the background near each pixel changes; see `movement`."""
    return _spread(np.abs(now - before).mean(2, keepdims=True), 1 - alpha)[..., 0]


def _spread(values: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """(h, w, C): the mean of `values` (h, w, C) nearby, or without any far away, where `alpha` (h, w) is opaque."""
    weight = np.power(alpha, 4, dtype=np.float32)[..., None] + np.float32(1e-6)
    sigmas = [s * min(alpha.shape) for s in (_NEAR, _FAR)]
    spread = [[cv2.GaussianBlur(x, (0, 0), s).reshape(x.shape) for x in (values * weight, weight)] for s in sigmas]
    (near, sure), (far, there) = spread
    return np.asarray((near + _FAINT * far / there) / (sure + _FAINT), np.float32)


def worth(stirred: V, noise: V | float) -> V:
    """How much of WEIGHT counts, in [0, 1], where `stir` is `stirred` and the noise's standard deviation `noise`:
    before a background that stands as still as the subject, without noise, a mean brings nothing."""
    share = (stirred + noise) / STIRS
    found: V = (share * share * share).clip(max=1)
    return found


def average(alpha: np.ndarray, last: np.ndarray, where: np.ndarray, moved: np.ndarray, share: np.ndarray) -> None:
    """`alpha` drawn towards `last`, both (H, W) float32, in place, at the pixels `where`, (H, W) bool.

    moved: (h, w), lengths of `movement`; share: (h, w), see `worth`.
    """
    for rows in filled_strips(where):
        inside = where[rows]
        motion, counts = (upsampled_rows(x, alpha.shape, rows.start, rows.stop)[inside] for x in (moved, share))
        new = alpha[rows][inside]
        step = last[rows][inside] - new
        weight = WEIGHT * counts * np.exp(-np.square(step / AGREE) - np.square(motion / STANDS))
        alpha[rows][inside] = new + weight * step
