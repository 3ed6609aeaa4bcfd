"""Smooth random fields: sums of small random grids enlarged by cubic interpolation."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.stage import Floats


def fractal(
    rng: np.random.Generator, height: int, width: int, *, cell: float, octaves: int = 4, gain: float = 0.5
) -> Floats:
    """Multi-octave noise (height, width), about [-1, 1]; `cell` is the coarsest feature size in pixels."""
    out = np.zeros((height, width), np.float32)
    weight, total = 1.0, 0.0
    for _ in range(octaves):
        rows, cols = int(np.ceil(height / cell)) + 3, int(np.ceil(width / cell)) + 3
        grid = rng.uniform(-1, 1, (rows, cols)).astype(np.float32)
        out += weight * _enlarge(rng, grid, cell, height, width)
        total += weight**2
        weight *= gain
        cell /= 2
        if cell < 2:
            break
    return out * np.float32(1.3 / np.sqrt(total))


def _enlarge(rng: np.random.Generator, grid: Floats, cell: float, height: int, width: int) -> Floats:
    """Sample the grid every 1 / cell with a random sub-cell shift."""
    shift = rng.uniform(0, 1, 2)
    matrix = np.array([[1 / cell, 0, 1 + shift[0]], [0, 1 / cell, 1 + shift[1]]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    step = 1 if cell <= 24 else int(cell // 12)  # a coarse field needs no cubic at every pixel
    small = matrix * np.array([[step, step, 1]], np.float32)
    size = (-(-width // step) + 1, -(-height // step) + 1) if step > 1 else (width, height)
    field = cv2.warpAffine(grid, small, size, flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    if step > 1:
        field = cv2.resize(field, (size[0] * step, size[1] * step), interpolation=cv2.INTER_LINEAR)
    return np.asarray(field[:height, :width], np.float32)


def ramp(rng: np.random.Generator, height: int, width: int) -> Floats:
    """A linear gradient in a random direction, (height, width) in [0, 1]."""
    angle = rng.uniform(0, 2 * np.pi)
    ys = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(np.sin(angle))
    xs = np.linspace(-1, 1, width, dtype=np.float32)[None, :] * np.float32(np.cos(angle))
    field = ys + xs
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / max(high - low, 1e-6), np.float32)


def smoothstep(value: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, a cubic between; `low` may exceed `high` to fall instead of rise."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


def curves(rng: np.random.Generator, count: int, steps: int, knots: int = 5) -> Floats:
    """`count` smooth random functions of `steps` samples, about [-1, 1]."""
    grid = rng.normal(0, 0.6, (count, knots)).astype(np.float32)
    at = np.linspace(0, knots - 1, steps)
    left = np.minimum(at.astype(int), knots - 2)
    t = (at - left).astype(np.float32)
    t = t * t * (3 - 2 * t)
    return np.asarray(grid[:, left] * (1 - t) + grid[:, left + 1] * t, np.float32)
