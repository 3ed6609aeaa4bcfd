"""Leaves on twigs, and grass."""

from __future__ import annotations

import numpy as np

from uhrmat.train.synth.canvas import blank, draw, soften
from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons, split_ribbons
from uhrmat.train.synth.texture import colour

_GREENS = np.array(
    [[0.20, 0.38, 0.10], [0.33, 0.50, 0.16], [0.12, 0.28, 0.12], [0.55, 0.60, 0.22],
     [0.70, 0.42, 0.12], [0.65, 0.18, 0.10], [0.75, 0.62, 0.20], [0.42, 0.32, 0.20]], np.float32,
)  # fmt: skip


def leaves(stage: Stage) -> Floats:
    """A bush or branch: twigs carrying leaves of one species, some layers out of focus."""
    rng = stage.rng
    layer = blank(*stage.shape)
    tint = _GREENS[int(rng.integers(len(_GREENS)))] if stage.chance(0.85) else colour(stage)
    at = stage.centre(0.15)
    size = stage.side * rng.uniform(0.03, 0.12)
    slim, lobes = rng.uniform(0.2, 0.6), rng.uniform(0, 0.15) * (rng.random() < 0.4)
    depths = int(rng.integers(1, 4))
    for depth in range(depths):
        behind = depths - 1 - depth
        twigs = _twigs(stage, at)
        blur = behind * rng.uniform(0, 2.5) * stage.side / 1024
        _draw_twigs(stage, layer, twigs, blur)
        light = _light(stage, size)
        _draw_leaves(stage, layer, twigs, (size, slim, lobes), tint * (1 - 0.2 * behind), blur, light)
    return soften(layer, rng.uniform(0.3, 0.9))


def grass(stage: Stage) -> Floats:
    """Blades from the bottom edge or a tuft, back to front."""
    rng = stage.rng
    count = stage.count(rng.uniform(250, 1300))
    tuft = stage.chance(0.4)
    spread = 0.12 if tuft else 0.5
    base = stage.height * rng.uniform(0.75, 1.03)
    roots = np.stack([
        stage.width * 0.5 + rng.uniform(-1, 1, count) * spread * stage.width * stage.size,
        base + rng.uniform(0, 0.1, count) * stage.side,
    ], 1)  # fmt: skip
    roots = roots[np.argsort(roots[:, 1])]
    fan = (roots[:, 0] - stage.width / 2) / (spread * stage.width) * rng.uniform(0, 0.8)
    angles = -np.pi / 2 + fan + rng.normal(0, 0.2, count)
    bend = Growth(float(rng.choice([0.3, 0.7]) * np.pi), rng.uniform(0, 1.6), rng.uniform(0.1, 0.6), 0.0, 1.0, 20)
    paths = grow(rng, roots, angles, stage.side * rng.uniform(0.15, 0.6) * rng.uniform(0.4, 1, count), bend)
    outlines = ribbons(paths, stage.stroke(1.5, 9.0) * rng.uniform(0.3, 1, count), taper=0.97, power=1.6, base=0.3)
    tint = _GREENS[int(rng.integers(5))] if stage.chance(0.85) else colour(stage)
    tone = tint * np.exp(rng.normal(0, 0.25, (count, 1))) + rng.normal(0, 0.02, (count, 3))
    parts = split_ribbons(outlines, 3)
    polygons = [part[i] for i in range(count) for part in parts]
    shades = np.stack([tone * 0.7, tone, tone * 1.2], 1).reshape(-1, 3).clip(0.01, 0.98)
    half = len(polygons) // 2
    layer = draw(blank(*stage.shape), polygons[:half], shades[:half], blur=rng.uniform(0, 3) * (rng.random() < 0.5))
    draw(layer, polygons[half:], shades[half:], light=_light(stage, stage.side * 0.1))
    return soften(layer, rng.uniform(0.3, 0.9))


def _light(stage: Stage, size: float) -> Floats:
    patches = fractal(stage.rng, *stage.shape, cell=max(size * 2, 8.0), octaves=3)
    return np.asarray((1 + 0.35 * patches).clip(0.35, 1.8), np.float32)


def _twigs(stage: Stage, at: Points) -> Points:
    rng = stage.rng
    count = int(rng.integers(6, 26))
    roots = at + rng.normal(0, 0.06, (count, 2)) * stage.side
    bend = Growth(float(rng.uniform(0, 2 * np.pi)), rng.uniform(0, 1), rng.uniform(0.2, 0.7), 0.0, 1.0, 24)
    return grow(rng, roots, rng.uniform(0, 2 * np.pi, count), stage.side * rng.uniform(0.12, 0.36, count), bend)


def _draw_twigs(stage: Stage, layer: Floats, twigs: Points, blur: float) -> None:
    bark = np.array([0.30, 0.22, 0.15]) * stage.rng.uniform(0.4, 1.2, (len(twigs), 1))
    draw(layer, ribbons(twigs, np.full(len(twigs), stage.stroke(2.0, 6.0)), taper=0.8), bark, blur=blur)


def _draw_leaves(
    stage: Stage, layer: Floats, twigs: Points, form: tuple[float, float, float], tint: Floats, blur: float,
    light: Floats,
) -> None:  # fmt: skip
    """Leaves sit along the twigs on alternating sides; each has a lighter rib."""
    rng = stage.rng
    size, slim, lobes = form
    per = int(np.clip(rng.uniform(0.6, 1.6) * stage.side * 0.25 / size, 4, 24))
    steps = rng.integers(4, twigs.shape[1], (len(twigs), per))
    place = twigs[np.arange(len(twigs))[:, None], steps].reshape(-1, 2)
    before = twigs[np.arange(len(twigs))[:, None], steps - 2].reshape(-1, 2)
    way = np.arctan2(*(place - before).T[::-1]) + rng.choice([-1, 1], len(place)) * rng.uniform(0.3, 1.3, len(place))
    bend = Growth(float(np.pi / 2), rng.uniform(0, 0.8), rng.uniform(0.1, 0.5), 0.0, 1.0, 16)
    lengths = size * rng.uniform(0.5, 1.15, len(place))
    ribs = grow(rng, place, way, lengths, bend)
    blades = _blades(stage, ribs, lengths * slim * rng.uniform(0.35, 1.0, len(place)), lobes)
    tone = tint * np.exp(rng.normal(0, 0.22, (len(place), 1))) + rng.normal(0, 0.02, (len(place), 3))
    veins = ribbons(ribs, np.full(len(ribs), max(0.6, size * 0.02)), taper=0.8)
    shapes = [shape for pair in zip(blades, veins, strict=True) for shape in pair]
    tones = np.stack([tone, tone * 1.25], 1).reshape(-1, 3).clip(0.01, 0.98)
    draw(layer, shapes, tones, blur=blur, light=light)


def _blades(stage: Stage, ribs: Points, widths: np.ndarray, lobes: float) -> Points:
    """Leaf outlines around their ribs: pointed at both ends, sometimes toothed."""
    t = np.linspace(0, 1, ribs.shape[1])
    belly = stage.rng.uniform(0.6, 1.2)
    profile = np.sin(np.pi * t**belly) ** 0.9 * (1 + lobes * np.where(np.arange(len(t)) % 2, 1, -1))
    step = np.gradient(ribs, axis=1)
    normal = np.stack([-step[..., 1], step[..., 0]], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    half = (widths[:, None] * profile)[..., None] / 2
    return np.concatenate([ribs + normal * half, (ribs - normal * half)[:, ::-1]], 1)
