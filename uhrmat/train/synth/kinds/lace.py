"""Lace, nets and veils: threads around openings on a bent cloth, from distances to a repeated pattern."""

from __future__ import annotations

import numpy as np

from uhrmat.train.synth.canvas import blank, mask_of, paint, soften
from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.shapes import blob
from uhrmat.train.synth.stage import Floats, Stage
from uhrmat.train.synth.texture import colour

CELLS = 6
"""Openings of the net from one flower to the next."""


def lace(stage: Stage) -> Floats:
    """A piece of net or flowered lace, its border scalloped, its threads 1 pixel and wider."""
    rng = stage.rng
    pitch = stage.side * float(np.exp(rng.uniform(np.log(0.012), np.log(0.06))))
    u, v = _cloth(stage, pitch)
    thread = min(stage.stroke(0.8, 2.6), pitch * 0.3)
    cover = _threads(_net(stage, u, v) * pitch, thread)
    if stage.chance(0.65):
        cover = np.maximum(cover, _flowers(stage, u, v, pitch, thread))
    if stage.chance(0.35):
        cover = np.maximum(cover, np.float32(rng.uniform(0.05, 0.4)))  # a veil behind the threads
    edge = blob(rng, stage.centre(), stage.side * rng.uniform(0.25, 0.45), rough=0.25, waves=5)
    inside = mask_of(*stage.shape, [edge]) if stage.chance(0.8) else np.ones(stage.shape, np.float32)
    folds = 0.75 + 0.4 * (0.5 + 0.5 * fractal(rng, *stage.shape, cell=stage.side * 0.12, octaves=3))
    weave = 1 + 0.06 * fractal(rng, *stage.shape, cell=5, octaves=2)
    tint = colour(stage, low=0.6, chroma=0.3) if stage.chance(0.6) else colour(stage)
    shade = (tint * (folds * weave)[..., None]).clip(0, 1).astype(np.float32)
    strength = np.float32(rng.uniform(0.75, 1.0))
    return soften(paint(blank(*stage.shape), cover * inside * strength, shade), rng.uniform(0.3, 0.8))


def _cloth(stage: Stage, pitch: float) -> tuple[Floats, Floats]:
    """Pattern coordinates (H, W) in cells, turned and bent."""
    rng = stage.rng
    turn, bend = rng.uniform(0, np.pi), rng.uniform(0, 0.05) * stage.side
    move = [fractal(rng, *stage.shape, cell=stage.side / 3, octaves=2) * np.float32(bend) for _ in range(2)]
    ys = np.arange(stage.height, dtype=np.float32)[:, None] + move[0]
    xs = np.arange(stage.width, dtype=np.float32)[None] + move[1]
    c, s = np.float32(np.cos(turn) / pitch), np.float32(np.sin(turn) / pitch)
    return np.asarray(c * xs - s * ys, np.float32), np.asarray(s * xs + c * ys, np.float32)


def _threads(distance: Floats, width: float) -> Floats:
    """Coverage of threads `width` pixels wide from the distance to their middle in pixels."""
    return np.asarray((0.5 + width / 2 - distance).clip(0, 1), np.float32)


def _net(stage: Stage, u: Floats, v: Floats) -> Floats:
    """Distance in cells to the nearest thread of a square, triangular, honeycomb or round net."""
    style = int(stage.rng.integers(4))
    if style == 0:
        return np.minimum(_line(u), _line(v))
    if style == 1:
        half, tall = np.float32(0.5), np.float32(np.sqrt(3) / 2)
        return np.minimum(np.minimum(_line(u), _line(half * u + tall * v)), _line(half * u - tall * v))
    if style == 2:
        return _honeycomb(u, v)
    centre = np.sqrt((u - np.rint(u)) ** 2 + (v - np.rint(v)) ** 2)
    return np.asarray(np.abs(centre - np.float32(0.46)), np.float32)


def _line(x: Floats) -> Floats:
    return np.asarray(np.abs(x - np.rint(x)), np.float32)


def _honeycomb(u: Floats, v: Floats) -> Floats:
    """Distance to the edges of hexagons of width 1: half the gap between the two nearest centres."""
    tall = np.float32(np.sqrt(3))
    first = _hexagonal(u - np.rint(u), v - tall * np.rint(v / tall))
    shifted_u, shifted_v = u - np.float32(0.5), v - tall / 2
    second = _hexagonal(shifted_u - np.rint(shifted_u), shifted_v - tall * np.rint(shifted_v / tall))
    return np.asarray(np.float32(0.5) - np.minimum(first, second), np.float32)


def _hexagonal(du: Floats, dv: Floats) -> Floats:
    """Hexagonal norm: 0.5 on the border of the hexagon of width 1."""
    du, dv = np.abs(du), np.abs(dv)
    return np.asarray(np.maximum(du, np.float32(0.5) * du + np.float32(np.sqrt(3) / 2) * dv), np.float32)


def _flowers(stage: Stage, u: Floats, v: Floats, pitch: float, thread: float) -> Floats:
    """Coverage of flowers, one per CELLS x CELLS openings: filled petals, an outline, a ring."""
    rng = stage.rng
    scale = np.float32(1 / CELLS)
    du, dv = u * scale - np.rint(u * scale), v * scale - np.rint(v * scale)
    pitch = pitch * CELLS
    radius, angle = np.sqrt(du * du + dv * dv), np.arctan2(dv, du)
    petals = int(rng.integers(4, 9))
    wave = np.cos(petals * angle + np.float32(rng.uniform(0, 6)))
    border = np.float32(rng.uniform(0.2, 0.34)) * (1 + np.float32(rng.uniform(0.15, 0.45)) * wave)
    filled = (0.5 + (border - radius) * pitch).clip(0, 1) * np.float32(rng.uniform(0.5, 1.0))
    core = np.float32(rng.uniform(0.05, 0.12))
    filled = filled * (0.5 + (radius - core) * pitch).clip(0, 1)
    outline = _threads(np.abs(radius - border) * np.float32(pitch), 2.5 * thread)
    ring = _threads(np.abs(radius - core) * np.float32(pitch), 2.0 * thread)
    result: Floats = np.maximum(np.maximum(filled, outline), ring).astype(np.float32)
    return result
