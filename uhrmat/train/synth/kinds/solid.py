"""Solid objects with sub-pixel edges, with holes, with edges out of focus."""

from __future__ import annotations

import numpy as np

from uhrmat.train.synth.canvas import blank, convolve, disc, draw, mask_of, paint, soften
from uhrmat.train.synth.noise import fractal, ramp, smoothstep
from uhrmat.train.synth.shapes import blob, ellipse, polygon
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons
from uhrmat.train.synth.texture import colour, surface


def solid(stage: Stage) -> Floats:
    """One to three opaque objects whose edges are as sharp as the lens allows."""
    layer = blank(*stage.shape)
    for outline in _outlines(stage, int(stage.rng.integers(1, 4))):
        paint(layer, mask_of(*stage.shape, [outline]), shaded_surface(stage))
    if stage.chance(0.5):
        _wires(stage, layer)
    return soften(layer, stage.rng.uniform(0.0, 0.9))


def shaded_surface(stage: Stage) -> Floats:
    """A surface (H, W, 3) under a gradient of light."""
    light = stage.rng.uniform(0.5, 1.0) + ramp(stage.rng, *stage.shape)[..., None] * stage.rng.uniform(0, 0.7)
    return np.asarray((surface(stage) * light).clip(0, 1), np.float32)


def _outlines(stage: Stage, count: int) -> list[Points]:
    rng = stage.rng
    outlines = []
    for i in range(count):
        radius = stage.side * rng.uniform(0.12, 0.28) / (1 + 0.5 * i)
        at = stage.centre(0.1 + 0.15 * i)
        style = rng.random()
        if style < 0.6:
            shape = blob(rng, at, radius, rough=rng.uniform(0.05, 0.6), waves=int(rng.integers(3, 16)),
                         stretch=rng.uniform(1, 3))  # fmt: skip
        else:
            star = rng.uniform(0.1, 0.6) if stage.chance(0.4) else 0.0
            shape = polygon(rng, at, radius * 1.2, int(rng.integers(3, 15)), star=star)
        outlines.append(shape)
    return outlines


def _wires(stage: Stage, layer: Floats) -> None:
    """Cables and rods: long strands of even width."""
    rng = stage.rng
    count = int(rng.integers(1, 7))
    roots = np.stack([stage.centre(0.25) for _ in range(count)])
    bend = Growth(float(rng.uniform(0, 2 * np.pi)), rng.uniform(0, 2), rng.uniform(0, 0.6), 0.0, 1.0, 40)
    paths = grow(rng, roots, rng.uniform(0, 2 * np.pi, count), stage.side * rng.uniform(0.2, 0.6, count), bend)
    widths = stage.stroke(1.0, 10.0) * rng.uniform(0.4, 1, count)
    tone = colour(stage) * rng.uniform(0.6, 1.2, (count, 1))
    draw(layer, ribbons(paths, widths, taper=rng.uniform(0, 0.5)), tone.clip(0, 1))


def defocused(stage: Stage) -> Floats:
    """An object whose edge goes from sharp to far out of focus across the picture (depth of field)."""
    sharp = solid(stage)
    return vary_focus(stage, sharp, stage.side * stage.rng.uniform(0.004, 0.02))


def vary_focus(stage: Stage, layer: Floats, most: float) -> Floats:
    """Blend a layer with its defocused versions along a smooth depth map; `most` is the largest radius in pixels."""
    relief = fractal(stage.rng, *stage.shape, cell=stage.side * 0.5, octaves=1)
    depth = np.asarray(0.6 * ramp(stage.rng, *stage.shape) + 0.2 + 0.2 * relief, np.float32)
    out, steps = layer, 3
    for i in range(1, steps + 1):
        radius = most * (i / steps) ** 1.5
        blurred = convolve(layer, disc(radius)) if radius > 0.3 else layer
        mix = smoothstep(depth, 0.15 + 0.2 * (i - 1), 0.15 + 0.2 * i)[..., None]
        out = out * (1 - mix) + blurred * mix
    return np.asarray(out, np.float32)


def holes(stage: Stage) -> Floats:
    """A wheel, a grille or a pierced plate: background seen through openings of all sizes."""
    draw_one = (_wheel, _grille, _pierced)[int(stage.rng.integers(3))]
    return soften(draw_one(stage), stage.rng.uniform(0.2, 0.9))


def _pierced(stage: Stage) -> Floats:
    rng = stage.rng
    at, radius = stage.centre(), stage.side * rng.uniform(0.2, 0.38)
    outline = blob(rng, at, radius, rough=0.3)
    gaps = []
    grid = int(rng.integers(3, 14))
    pitch = 1.7 * radius / grid
    for i in range(grid):
        for j in range(grid):
            spot = at + (np.array([i, j]) - (grid - 1) / 2) * pitch + rng.normal(0, 0.1, 2) * pitch
            if rng.random() < 0.8 and np.linalg.norm(spot - at) < 0.8 * radius:
                gaps.append(blob(rng, spot, pitch * rng.uniform(0.15, 0.42), rough=0.2, points=48))
    body = mask_of(*stage.shape, [outline])
    pierced = np.minimum(body, 1 - mask_of(*stage.shape, gaps)) if gaps else body
    return paint(blank(*stage.shape), pierced, shaded_surface(stage))


def _wheel(stage: Stage) -> Floats:
    rng = stage.rng
    at, radius = stage.centre(), stage.side * rng.uniform(0.2, 0.38)
    squash = rng.uniform(0.5, 1.0)
    thick = rng.uniform(0.03, 0.12)
    rings = [ellipse(at, radius * k, radius * k * squash, 360) for k in (1, 1 - thick, 0.12, 0.06)]
    layer = paint(blank(*stage.shape), mask_of(*stage.shape, rings), shaded_surface(stage))
    count = int(rng.integers(8, 40))
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.02, count)
    twist = rng.uniform(-0.6, 0.6) * np.where(np.arange(count) % 2, 1, -1)
    hub = at + radius * 0.1 * np.stack([np.cos(angle + twist), squash * np.sin(angle + twist)], 1)
    rim = at + radius * (1 - thick / 2) * np.stack([np.cos(angle), squash * np.sin(angle)], 1)
    spokes = np.stack([hub + (rim - hub) * t for t in np.linspace(0, 1, 4)], 1)
    tone = colour(stage) * rng.uniform(0.5, 1.3, (count, 1))
    return draw(layer, ribbons(spokes, np.full(count, stage.stroke(1.0, 4.0)), taper=0.0), tone.clip(0, 1))


def _grille(stage: Stage) -> Floats:
    rng = stage.rng
    at, half = stage.centre(0.08), stage.side * rng.uniform(0.2, 0.36)
    count = int(rng.integers(6, 28))
    turn = rng.uniform(-0.3, 0.3)
    place = np.linspace(-half, half, count)
    both = []
    for direction in (turn, turn + np.pi / 2 * rng.uniform(0.8, 1.2)):
        along = np.array([np.cos(direction), np.sin(direction)])
        across = np.array([-along[1], along[0]])
        start = at + place[:, None] * across - half * along
        both.append(np.stack([start + along * 2 * half * t for t in np.linspace(0, 1, 12)], 1))
    bars = np.concatenate(both) + rng.normal(0, 0.002 * stage.side, (2 * count, 12, 2)) * (rng.random() < 0.3)
    widths = np.full(2 * count, min(stage.stroke(1.5, 12.0), half / count))
    tone = colour(stage) * rng.uniform(0.8, 1.2, (2 * count, 1))
    light = (0.6 + 0.8 * ramp(rng, *stage.shape)).astype(np.float32)
    return draw(blank(*stage.shape), ribbons(bars, widths, taper=0.0), tone.clip(0, 1), light=light)
