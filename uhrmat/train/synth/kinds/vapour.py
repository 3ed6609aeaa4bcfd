"""What lets light through: glass, water, smoke."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.canvas import blank, draw, mask_of, paint, soften
from uhrmat.train.synth.noise import fractal, ramp, smoothstep
from uhrmat.train.synth.shapes import blob, ellipse
from uhrmat.train.synth.stage import Floats, Points, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons
from uhrmat.train.synth.texture import colour

DROPS = 120
"""Drops of one splash."""


def glass(stage: Stage) -> Floats:
    """A vessel: nearly clear in the middle, denser towards the rim, with streaks of light; sometimes partly full."""
    rng = stage.rng
    at, height = stage.centre(0.1), stage.side * rng.uniform(0.4, 0.75)
    outline = _vessel(stage, at, height)
    mask = mask_of(*stage.shape, [outline])
    tint = colour(stage, low=0.4, chroma=0.4)
    shade = (tint * (0.6 + 0.6 * ramp(rng, *stage.shape))[..., None]).clip(0, 1).astype(np.float32)
    layer = paint(blank(*stage.shape), mask * _wall(stage, mask, height), shade)
    if stage.chance(0.5):
        _fill(stage, layer, mask, at, height)
    _shine(stage, layer, mask, outline, at, height)
    return soften(layer, rng.uniform(0.4, 1.0))


def _vessel(stage: Stage, at: Points, height: float) -> Points:
    """A turned profile (glass, bottle, bowl) mirrored about its axis."""
    rng = stage.rng
    t = np.linspace(0, 1, 160)
    knots = np.linspace(0, 1, 6)
    radii = np.interp(t, knots, rng.uniform(0.06, 0.3, 6) * height)
    radii = np.convolve(np.pad(radii, 20, mode="edge"), np.hanning(41) / np.hanning(41).sum(), mode="valid")
    y = at[1] + (t - 0.5) * height
    right, left = np.stack([at[0] + radii, y], 1), np.stack([at[0] - radii, y], 1)[::-1]
    return np.concatenate([right, left])


def _wall(stage: Stage, mask: Floats, height: float) -> Floats:
    """Density (H, W) of a transparent body: low inside, high where one looks along the wall."""
    rng = stage.rng
    depth = cv2.distanceTransform((mask > 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    rim = np.exp(-depth / np.float32(height * rng.uniform(0.008, 0.04)))
    clear = rng.uniform(0.03, 0.4) + 0.08 * fractal(rng, *stage.shape, cell=height * 0.2, octaves=3)
    return np.asarray((clear + rng.uniform(0.4, 0.95) * rim).clip(0.02, 1), np.float32)


def _fill(stage: Stage, layer: Floats, mask: Floats, at: Points, height: float) -> None:
    """A coloured liquid up to some level."""
    level = at[1] + stage.rng.uniform(-0.2, 0.3) * height
    ys = np.arange(stage.height, dtype=np.float32)[:, None]
    below = smoothstep(ys, level - 1, level + 1) * mask
    paint(layer, np.asarray(below * stage.rng.uniform(0.2, 0.9), np.float32), colour(stage, chroma=0.9))


def _shine(stage: Stage, layer: Floats, mask: Floats, outline: Points, at: Points, height: float) -> None:
    """Reflections: white streaks along the outline, drawn inwards, and some spots."""
    rng = stage.rng
    lights = np.zeros(stage.shape, np.float32)
    for _ in range(int(rng.integers(2, 6))):
        start, size = int(rng.integers(0, 120)), int(rng.integers(15, 60))
        side = outline[:160] if stage.chance(0.5) else outline[160:]
        streak = at + (side[start : start + size] - at) * (rng.uniform(0.5, 0.92), 1.0)
        if len(streak) > 4:
            band = ribbons(streak[None], np.array([height * rng.uniform(0.006, 0.04)]), taper=0.8)[0]
            soft = cv2.GaussianBlur(mask_of(*stage.shape, [band]), (0, 0), max(0.6, height * rng.uniform(0.001, 0.01)))
            lights = np.maximum(lights, soft * np.float32(rng.uniform(0.4, 1.0)))
    paint(layer, np.asarray(lights * mask, np.float32), np.array([0.98, 0.98, 0.96], np.float32))


def water(stage: Stage) -> Floats:
    """A splash: sheets, jets and drops, each clear inside with a dense rim and a highlight."""
    rng = stage.rng
    at = stage.centre(0.1)
    layer = blank(*stage.shape)
    tint = colour(stage, low=0.5, high=0.9, chroma=0.25)
    sheet = blob(rng, at, stage.side * rng.uniform(0.1, 0.22), rough=0.9, waves=14)
    count = stage.count(rng.uniform(20, 60))
    angle = rng.uniform(0, 2 * np.pi, count)
    bend = Growth(float(np.pi / 2), rng.uniform(0, 1.5), 0.4, 0.2, 2.0, 24)
    jets = grow(rng, np.repeat(at[None], count, 0), angle, stage.side * rng.uniform(0.1, 0.42, count), bend)
    arms = ribbons(jets, stage.side * rng.uniform(0.004, 0.025, count), taper=0.9, power=0.7)
    film = blank(*stage.shape)
    draw(film, [sheet, *arms, *_drops(stage, at)], np.zeros((1 + count + DROPS, 3)))
    mask = film[..., 3]
    waves = (0.5 + 0.5 * fractal(rng, *stage.shape, cell=stage.side * 0.03, octaves=3)).clip(0, 1)
    body = mask * (_wall(stage, mask, stage.side * 0.25) * (0.4 + 0.6 * waves)).clip(0, 1)
    paint(layer, np.asarray(body, np.float32), tint)
    paint(layer, mask * smoothstep(waves, 0.72, 0.85), np.full(3, rng.uniform(0.85, 1), np.float32))
    return soften(layer, rng.uniform(0.4, 1.2))


def _drops(stage: Stage, at: Points) -> list[Points]:
    """Round drops of very different sizes thrown out from `at`."""
    rng = stage.rng
    angle, far = rng.uniform(0, 2 * np.pi, DROPS), stage.side * rng.uniform(0.08, 0.45, DROPS)
    spots = at + far[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    sizes = stage.side * np.exp(rng.uniform(np.log(0.0008), np.log(0.016), DROPS))
    return [ellipse(p, r * rng.uniform(0.7, 1.0), r, 40) for p, r in zip(spots, sizes, strict=True)]


def smoke(stage: Stage) -> Floats:
    """Smoke, steam or cloud: folded multi-octave density under an envelope, alpha = 1 - exp(-density)."""
    rng = stage.rng
    cell = stage.side * rng.uniform(0.15, 0.45)
    density = fractal(rng, *stage.shape, cell=cell, octaves=7, gain=rng.uniform(0.45, 0.6))
    density = _folded(stage, density, cell * rng.uniform(0.3, 1.2))
    at = stage.centre(0.15)
    ys, xs = np.ogrid[: stage.height, : stage.width]
    reach = stage.side * rng.uniform(0.25, 0.5)
    stretch = np.exp(rng.normal(0, 0.4))
    away = np.sqrt((xs - at[0]) ** 2 * stretch + (ys - at[1]) ** 2 / stretch) / reach
    envelope = smoothstep(np.asarray(away + 0.25 * density, np.float32), 1.1, 0.2)
    thick = rng.uniform(0.6, 4.0)
    alpha = 1 - np.exp(-thick * envelope * (0.5 + density).clip(0, None))
    tint = colour(stage, low=0.35, chroma=0.15) if stage.chance(0.8) else colour(stage)
    shade = (tint * (0.9 + 0.3 * density)[..., None]).clip(0, 1)
    return paint(blank(*stage.shape), np.asarray(alpha, np.float32), np.asarray(shade, np.float32))


def _folded(stage: Stage, field: Floats, reach: float) -> Floats:
    """Displace a field by noise, which draws it out into wisps."""
    height, width = stage.shape
    move = [fractal(stage.rng, height, width, cell=reach * 1.5 + 8, octaves=3) * np.float32(reach) for _ in range(2)]
    xs = np.arange(width, dtype=np.float32)[None] + move[0]
    ys = np.arange(height, dtype=np.float32)[:, None] + move[1]
    return np.asarray(cv2.remap(field, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101), np.float32)
