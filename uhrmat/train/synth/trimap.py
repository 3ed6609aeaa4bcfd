"""Trimaps as people draw them: the open part of an alpha, widened by an uneven margin."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.stage import Bytes, Floats, Stage

_WORK = 1024
"""Longest side at which the margin is drawn; the exact alpha is respected at full size afterwards."""


def make_trimap(stage: Stage, alpha: Floats, share: float | None = None) -> Bytes:
    """Trimap uint8 {0, 128, 255} of exact alpha (H, W): known foreground has alpha 1, known background alpha 0.

    The margin is 1 to 5 % of the picture's side, uneven, sometimes tight, wide or blocky like a brush. With `share` the
    margin is chosen so that about this share of the pixels is unknown.
    """
    open_part, solid, factor = _work_size(alpha)
    far = cv2.distanceTransform((~open_part).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    if not open_part.any():
        far = np.full(far.shape, np.inf, np.float32)
    far = far / _uneven(stage, far.shape)
    if share is None:
        unknown = far < _margin(stage, alpha.shape, factor)
    else:
        unknown = far <= np.quantile(far, min(max(share, 0.0), 1.0))
    unknown = _without_islands(unknown | open_part, stage.chance(0.3))
    known = np.where(solid, 255, 0).astype(np.uint8)
    small = np.where(unknown, 128, known).astype(np.uint8)
    return _full_size(small, alpha)


def _work_size(alpha: Floats) -> tuple[np.ndarray, np.ndarray, float]:
    """Open pixels, solid pixels and full-size pixels per working pixel, on a grid of at most _WORK."""
    height, width = alpha.shape
    factor = max(1.0, max(height, width) / _WORK)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA) if factor > 1 else alpha
    solid, empty = small >= 1 - 1e-6, small <= 1e-7
    cross = np.ones((3, 3), np.uint8)
    near_solid = np.asarray(cv2.dilate(solid.astype(np.uint8), cross)) > 0
    near_empty = np.asarray(cv2.dilate(empty.astype(np.uint8), cross)) > 0
    return ~(solid | empty) | (near_solid & near_empty), solid, factor


def _uneven(stage: Stage, shape: tuple[int, ...]) -> Floats:
    """A positive field around 1 by which the margin varies; coarse cells make it look brushed."""
    side = float(np.sqrt(shape[0] * shape[1]))
    cell = side * stage.rng.uniform(0.04, 0.2)
    field = fractal(stage.rng, shape[0], shape[1], cell=max(cell, 4.0), octaves=2)
    return np.asarray(np.exp(field * stage.rng.uniform(0.1, 0.9)), np.float32)


def _margin(stage: Stage, shape: tuple[int, ...], factor: float) -> float:
    """The margin in working pixels: mostly 1 to 5 % of the side, sometimes 1 to 4 pixels, sometimes 5 to 10 %."""
    side = float(np.sqrt(shape[0] * shape[1])) / factor
    style = stage.rng.random()
    if style < 0.15:
        return float(stage.rng.uniform(1.5, 4.0))
    if style < 0.85:
        return side * float(np.exp(stage.rng.uniform(np.log(0.008), np.log(0.04))))
    return side * float(stage.rng.uniform(0.04, 0.08))


def _without_islands(unknown: np.ndarray, brush: bool) -> np.ndarray:
    """Close known specks that nobody would have drawn; with `brush` also round off what is left."""
    side = float(np.sqrt(unknown.size))
    width = max(3, int(side * (0.02 if brush else 0.006)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    closed = cv2.morphologyEx(unknown.astype(np.uint8), cv2.MORPH_CLOSE, kernel)
    result: np.ndarray = closed > 0
    return result


def _full_size(small: Bytes, alpha: Floats) -> Bytes:
    """Enlarge and correct: a pixel is known only where the exact alpha agrees."""
    height, width = alpha.shape
    big = small if small.shape == alpha.shape else cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST)
    agrees = ((big == 255) & (alpha >= 1)) | ((big == 0) & (alpha <= 0))
    return np.where(agrees, big, 128).astype(np.uint8)
