"""How a stored picture is looked at: a window of any scale and position, turned a little, at training size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np


@dataclass(frozen=True)
class Window:
    """A window on a picture of whole size: centre (x, y) and size (width, height) in its pixels; degrees; mirrored."""

    centre: tuple[float, float]
    size: tuple[float, float]
    angle: float = 0.0
    mirrored: bool = False


def resample_window(levels: Sequence[np.ndarray], window: Window, shape: tuple[int, int], border: int) -> np.ndarray:
    """(h, w, C) uint8: the window resampled to `shape` from the stored size that is just fine enough.

    levels: the picture at scales 1, 1/2, 1/4, …; border: an OpenCV border mode for what lies outside of it.
    """
    scale = min(window.size[0] / shape[1], window.size[1] / shape[0])
    level = int(np.clip(np.floor(np.log2(max(scale, 1.0)) + 0.4), 0, len(levels) - 1))
    pixels = levels[level]
    shrink = np.array([pixels.shape[1] / levels[0].shape[1], pixels.shape[0] / levels[0].shape[0]])
    centre, size = np.array(window.centre) * shrink, np.array(window.size) * shrink
    turn = np.deg2rad(window.angle)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) * (size / np.array(shape[::-1]))
    if window.mirrored:
        axes[:, 0] *= -1
    middle = np.array(shape[::-1]) / 2
    offset = centre - axes @ middle + axes @ (0.5, 0.5) - 0.5
    inverse = np.column_stack([axes, offset])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    resampled = cv2.warpAffine(np.asarray(pixels), inverse, shape[::-1], flags=flags, borderMode=border)
    return np.asarray(resampled, np.uint8)


def person_window(mask: np.ndarray, scale: float, shape: tuple[int, int], rng: np.random.Generator) -> Window:
    """Whole bodies, half-length, head and shoulders, or a small figure far away.

    mask: (h, w) uint8 alpha of the stored picture at 1 / `scale` of whole size; shape: of the picture to make.
    """
    rows, cols = np.flatnonzero(mask.max(1) > 127), np.flatnonzero(mask.max(0) > 127)
    if len(rows) == 0:
        return place_window((mask.shape[0] * scale, mask.shape[1] * scale), shape, rng)
    top, bottom, left, right = (float(n) * scale for n in (rows[0], rows[-1] + 1, cols[0], cols[-1] + 1))
    tall, aspect = bottom - top, shape[1] / shape[0]
    pick = rng.random()
    if pick < 0.55:  # the whole body, not always whole
        height = tall * rng.uniform(1.0, 1.5)
        middle = (top + bottom) / 2 + rng.uniform(-0.15, 0.15) * tall
    elif pick < 0.92:  # a part, more often its upper end
        height = tall * float(np.exp(rng.uniform(np.log(0.2), np.log(0.95))))
        low, high = top + 0.2 * height, bottom - 0.4 * height
        middle = low + max(0.0, high - low) * rng.random() ** 2.5
    else:  # far away
        height = tall * rng.uniform(1.5, 3.0)
        middle = (top + bottom) / 2 + rng.uniform(-0.5, 0.5) * (height - tall)
    if pick < 0.55 and aspect > 1.2:
        height = max(height * 0.8, (right - left) / aspect)
    width = height * aspect
    across = (left + right) / 2 + rng.uniform(-0.35, 0.35) * max(width, right - left)
    stretch = float(np.exp(rng.uniform(-0.1, 0.1)))
    angle = float(rng.normal(0, 5)) if rng.random() < 0.6 else 0.0
    return Window((across, middle), (width * stretch, height), angle, rng.random() < 0.5)


def fit_window(window: Window, size: tuple[float, float]) -> Window:
    """The window shrunk and moved as little as needed to lie within a picture of `size` (height, width)."""
    scale = min(1.0, size[1] / window.size[0], size[0] / window.size[1])
    wide, tall = window.size[0] * scale, window.size[1] * scale
    x = float(np.clip(window.centre[0], wide / 2, size[1] - wide / 2))
    y = float(np.clip(window.centre[1], tall / 2, size[0] - tall / 2))
    return replace(window, centre=(x, y), size=(wide, tall))


def place_window(size: tuple[float, float], shape: tuple[int, int], rng: np.random.Generator) -> Window:
    """A window of random scale within a picture of `size` (height, width), down to 0.7 of its pixels for each made."""
    most = min(size[0] / shape[0], size[1] / shape[1])
    scale = float(np.exp(rng.uniform(np.log(min(0.7, most)), np.log(most))))
    height, width = shape[0] * scale, shape[1] * scale
    centre = (rng.uniform(width / 2, size[1] - width / 2), rng.uniform(height / 2, size[0] - height / 2))
    return Window(centre, (width, height), 0.0, rng.random() < 0.5)
