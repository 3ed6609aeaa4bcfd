"""Colour for surfaces and backgrounds: photographs where given, else gradients and multi-octave noise."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.canvas import convolve, disc
from uhrmat.train.synth.noise import fractal, ramp
from uhrmat.train.synth.photos import crop
from uhrmat.train.synth.stage import Floats, Stage


def colour(stage: Stage, *, low: float = 0.05, high: float = 0.95, chroma: float = 0.5) -> Floats:
    """A random colour (3,): a grey between `low` and `high` with a hue added."""
    grey = stage.rng.uniform(low, high)
    hue = stage.rng.normal(0, 1, 3)
    hue -= hue.mean()
    hue *= chroma * stage.rng.uniform(0, 0.5) / max(float(np.abs(hue).max()), 1e-6)
    return np.clip(grey + hue, 0.01, 0.99).astype(np.float32)


def generate_surface(stage: Stage) -> Floats:
    """A made-up surface (H, W, 3): colours blended by noise and a gradient, sometimes with stripes, with fine grain."""
    height, width = stage.shape
    side = float(np.sqrt(height * width))
    rng = stage.rng
    wide = rng.uniform(0.1, 0.8) * side
    first, second, third = (colour(stage) for _ in range(3))
    mix = (0.5 + 0.5 * fractal(rng, height, width, cell=wide, octaves=int(rng.integers(1, 6)), gain=0.55)).clip(0, 1)
    out = first + (second - first) * mix[..., None]
    if stage.chance(0.5):
        out += (third - out) * (ramp(rng, height, width)[..., None] * np.float32(rng.uniform(0.2, 0.9)))
    if stage.chance(0.3):
        out += _stripes(stage)[..., None]
    if stage.chance(0.7):
        out += fractal(rng, height, width, cell=rng.uniform(3, 24), octaves=3)[..., None] * rng.uniform(0.01, 0.08)
    result: Floats = out.clip(0, 1).astype(np.float32)
    return result


def _stripes(stage: Stage) -> Floats:
    """Bent parallel stripes (H, W), small in amplitude."""
    height, width = stage.shape
    side = float(np.sqrt(height * width))
    bend = fractal(stage.rng, height, width, cell=side / 2, octaves=2) * np.float32(stage.rng.uniform(0, 0.2))
    wave = np.sin((ramp(stage.rng, height, width) + bend) * np.float32(stage.rng.uniform(20, 160)))
    return np.asarray(wave * stage.rng.uniform(0.02, 0.12), np.float32)


def surface(stage: Stage) -> Floats:
    """A texture for a foreground object (H, W, 3), recoloured so that a photograph is not always landscape-coloured."""
    if not stage.photos or stage.chance(0.35):
        return generate_surface(stage)
    picture = crop(stage, stage.photos, *stage.shape, zoom=0.7)
    tint = colour(stage, low=0.2, high=0.8)
    strength = stage.rng.uniform(0, 0.8)
    mean = picture.mean((0, 1))
    return np.asarray((picture + (tint - mean) * strength).clip(0, 1), np.float32)


def backdrop(stage: Stage) -> Floats:
    """A background (H, W, 3), sharp or out of focus."""
    picture = (
        crop(stage, stage.photos, *stage.shape) if stage.photos and stage.chance(0.85) else generate_surface(stage)
    )
    if stage.chance(0.45):
        picture = defocus(picture, stage.side * float(np.exp(stage.rng.uniform(np.log(0.001), np.log(0.03)))))
    return picture


def defocus(picture: Floats, radius: float) -> Floats:
    """Blur by a disc of `radius` pixels, large ones at reduced size."""
    factor = max(1, int(radius // 6))
    if factor == 1:
        return convolve(picture, disc(radius))
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (max(1, width // factor), max(1, height // factor)), interpolation=cv2.INTER_AREA)
    small = convolve(np.asarray(small, np.float32), disc(radius / factor))
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 1), np.float32)


def match_colours(stage: Stage, background: Floats, foreground: Floats, alpha: Floats) -> Floats:
    """Shift the background's mean and spread towards the foreground's: similar colours, the hard case."""
    step = max(1, int(np.sqrt(alpha.size) // 256))
    weight = alpha[::step, ::step, None]
    near = foreground[::step, ::step]
    total = max(float(weight.sum()), 1e-3)
    mean = (near * weight).sum((0, 1)) / total
    spread = np.sqrt((((near - mean) ** 2) * weight).sum((0, 1)) / total)
    own_mean, own_spread = background.mean((0, 1)), background.std((0, 1)) + 1e-3
    strength = stage.rng.uniform(0.3, 0.9)
    gain = 1 + strength * (np.clip(spread / own_spread, 0.4, 2.0) - 1)
    centre = own_mean + strength * (mean - own_mean)
    result: Floats = ((background - own_mean) * gain + centre).clip(0, 1).astype(np.float32)
    return result


def grade(stage: Stage, picture: Floats, strength: float) -> Floats:
    """A random exposure, contrast, white balance and gamma, applied before composition."""
    rng = stage.rng
    gain = np.exp(rng.normal(0, 0.12 * strength, 3) + rng.normal(0, 0.2 * strength))
    gamma = float(np.exp(rng.normal(0, 0.15 * strength)))
    return np.asarray(np.power((picture * gain).clip(0, 1), gamma), np.float32)
