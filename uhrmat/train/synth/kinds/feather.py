"""Feathers: a shaft with two vanes of fine barbs that part in places and turn to down at the root."""

from __future__ import annotations

import numpy as np

from uhrmat.train.synth.canvas import blank, draw, soften
from uhrmat.train.synth.noise import curves, fractal
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons
from uhrmat.train.synth.texture import colour


def feathers(stage: Stage) -> Floats:
    """One to five feathers, fanned."""
    rng = stage.rng
    layer = blank(*stage.shape)
    count = int(rng.integers(1, 6))
    at, facing = stage.centre(0.15), rng.uniform(0, 2 * np.pi)
    tones = np.stack([colour(stage, chroma=0.6), colour(stage, chroma=0.6)])
    light = (1 + 0.25 * fractal(rng, *stage.shape, cell=stage.side * 0.1, octaves=2)).clip(0.5, 1.6)
    for i in range(count):
        angle = facing + (i - (count - 1) / 2) * rng.uniform(0.2, 0.6)
        _feather(stage, layer, at, float(angle), tones, light)
    return soften(layer, rng.uniform(0.3, 0.8) if stage.chance(0.8) else rng.uniform(0.8, 2.0))


def _feather(stage: Stage, layer: Floats, at: Points, angle: float, tones: Floats, light: Floats) -> None:
    rng = stage.rng
    length = stage.side * rng.uniform(0.35, 0.7)
    root = at - 0.4 * length * np.array([np.cos(angle), np.sin(angle)]) + rng.normal(0, 0.02, 2) * stage.side
    bend = Growth(angle + rng.choice([-1, 1]) * np.pi / 2, rng.uniform(0, 0.5), 0.1, 0.0, 1.0, 60)
    shaft = grow(rng, root[None], np.array([angle]), np.array([length]), bend)[0]
    span = length * rng.uniform(0.08, 0.22)
    number = stage.count(420)
    for side in (-1, 1):
        paths, t = _barbs(stage, shaft, side, span * rng.uniform(0.6, 1.2), number)
        mix = (0.5 + 1.5 * curves(rng, 1, 64, 9)[0][(t * 63).astype(int)]).clip(0, 1)[:, None]
        ink = (tones[0] * (1 - mix) + tones[1] * mix) * np.exp(rng.normal(0, 0.08, (len(t), 1)))
        widths = stage.stroke(0.9, 2.0) * rng.uniform(0.6, 1.0, len(t))
        draw(layer, ribbons(paths, widths, taper=0.8), ink.clip(0.01, 0.99), light=light)
    quill = ribbons(shaft[None], np.array([max(stage.stroke(1.5, 3.0), length * 0.012)]), taper=0.9)
    draw(layer, quill, (tones[:1] * 0.5 + 0.35).clip(0, 1), light=light)


def _barbs(stage: Stage, shaft: Points, side: int, span: float, number: int) -> tuple[Points, np.ndarray]:
    """Barbs of one vane, root to tip, and their places along the shaft in [0, 1]; neighbours share their direction."""
    rng = stage.rng
    t = np.sort(rng.uniform(0.08, 0.985, number))
    groups = np.cumsum(rng.random(number) < 0.03)
    lean = rng.normal(0, 0.14, int(groups.max()) + 1)[groups]
    at = t * (len(shaft) - 1)
    left = np.minimum(at.astype(int), len(shaft) - 2)
    step = shaft[left + 1] - shaft[left]
    roots = shaft[left] + step * (at - left)[:, None]
    along = np.arctan2(step[:, 1], step[:, 0])
    down = np.clip((0.25 - t) / 0.15, 0, 1)
    profile = np.clip(np.sin(np.pi * t**0.7), 0.06, 1) ** 0.6
    lengths = 1.4 * span * profile * np.exp(rng.normal(0, 0.03 + 0.3 * down))
    open_by = rng.uniform(0.5, 0.9)
    angles = along + side * (open_by + lean * (0.5 + t) + down * rng.normal(0.4, 0.5, number))
    tidy = grow(rng, roots, angles, lengths, Growth(0.0, 0.0, 0.06, 0.0, 1.0, 12))
    loose = grow(rng, roots, angles, lengths, Growth(0.0, 0.0, 1.2, 0.3, 2.0, 12))
    bow = np.linspace(0, 1, 12) ** 2
    curl = 0.2 * span * bow[None, :, None] * np.stack([np.cos(along), np.sin(along)], 1)[:, None]
    return tidy + (loose - tidy) * down[:, None, None] + curl, t
