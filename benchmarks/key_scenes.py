"""Hair before a screen, generated, with exact alpha: what `benchmarks.chroma_key` measures.

A head of `train.synth` (strands drawn at true coverage) stands before a green or blue screen that is lit unevenly and
has folds. The screen's light spills on the subject, more near its edge; then a camera takes the picture: noise, now and
then a colour filter array, JPEG with subsampled chroma. Every other scene moved while the shutter was open.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour
from uhrmat.train.synth.camera import demosaic
from uhrmat.train.synth.canvas import convolve, soften, straight, to_bytes
from uhrmat.train.synth.kinds.hair import hair
from uhrmat.train.synth.kinds.mixed import path_kernel
from uhrmat.train.synth.noise import fractal, ramp
from uhrmat.train.synth.stage import Bytes, Floats, Stage

GREENS = np.array([[0.15, 0.70, 0.20], [0.10, 0.55, 0.18], [0.30, 0.78, 0.35]], np.float32)
BLUES = np.array([[0.10, 0.25, 0.75], [0.08, 0.18, 0.55], [0.20, 0.40, 0.85]], np.float32)
LENS = 0.6
"""Blur by lens and sensor, sigma in pixels: sharper strands than that are aliased by any sensor."""
_THIN = 0.04
"""A pixel is thin where opening by `_WIDTH` lowers its alpha by more than this."""
_WIDTH = 5
"""Diameter of the opening, pixels: strands up to 3 pixels wide vanish, with the lens's blur on either side."""


@dataclass(frozen=True)
class KeyScene:
    """picture: (H, W, 3) uint8; alpha: (H, W) float32, exact; own, lit: (H, W, 3) float32 in [0, 1], the subject's
    colour without and with spill; screen: (H, W, 3) float32; thin: (H, W) bool, strands up to 3 pixels wide and the
    pixels beside them; soft: (H, W) bool, all fractional alpha; moved: whether the subject moved while the shutter was
    open."""

    name: str
    picture: Bytes
    alpha: Floats
    own: Floats
    lit: Floats
    screen: Floats
    thin: np.ndarray
    soft: np.ndarray
    moved: bool


def key_scene(seed: int, height: int, width: int, lens: float = LENS) -> KeyScene:
    """Render one scene; odd seeds moved. lens: its blur, sigma in pixels. The same arguments give the same scene."""
    rng = np.random.default_rng([seed, 27])
    stage = Stage(rng, height, width, difficulty=float(rng.uniform(0.2, 0.8)))
    layer, moved = hair(stage), seed % 2 == 1
    if moved:
        layer = convolve(layer, path_kernel(stage, max(2.0, stage.side * float(rng.uniform(0.004, 0.02)))))
    layer = soften(layer, lens)
    alpha, colour = layer[..., 3].clip(0, 1), straight(layer)
    alpha[alpha < 0.5 / 255] = 0
    alpha[alpha > 1 - 0.5 / 255] = 1
    screen = _screen(stage)
    axes = hue_axes(screen.mean((0, 1)))
    own = colour - np.maximum(key_excess(colour, axes), 0)[..., None] * pure_key_colour(axes)
    spill = rng.uniform(0.02, 0.15) * (0.4 + 0.6 * cv2.GaussianBlur(1 - alpha, (0, 0), 0.02 * stage.side))
    lit = np.minimum(own + spill[..., None] * screen, 1)
    picture = _taken(stage, alpha[..., None] * lit + (1 - alpha[..., None]) * screen)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_WIDTH, _WIDTH))
    thin = (alpha - cv2.morphologyEx(alpha, cv2.MORPH_OPEN, disc) > _THIN).astype(np.uint8)
    thin = cv2.dilate(thin, np.ones((3, 3), np.uint8)).astype(bool)
    name = f"{seed} {'moved' if moved else 'still'} {width}x{height}"
    return KeyScene(
        name, picture, alpha, own, np.asarray(lit, np.float32), screen, thin, (alpha > 0.02) & (alpha < 0.98), moved
    )


def _screen(stage: Stage) -> Floats:
    """(H, W, 3): one colour under light that falls off, with broad unevenness and a few folds."""
    rng = stage.rng
    kinds = GREENS if stage.chance(0.6) else BLUES
    colour = kinds[int(rng.integers(len(kinds)))] * rng.uniform(0.9, 1.1)
    light = 1 - rng.uniform(0.05, 0.4) * ramp(rng, *stage.shape)
    light *= 1 + rng.uniform(0.02, 0.08) * fractal(rng, *stage.shape, cell=stage.side / 3, octaves=2)
    light *= 1 + rng.uniform(0.0, 0.04) * fractal(rng, *stage.shape, cell=stage.side / 14, octaves=2)
    return np.asarray(np.clip(colour * light[..., None], 0, 1), np.float32)


def _taken(stage: Stage, picture: Floats) -> Bytes:
    """An 8-bit photograph or frame of it."""
    rng = stage.rng
    grain = rng.standard_normal(picture.shape, dtype=np.float32)
    picture = picture + grain * (rng.uniform(0.006, 0.03) * np.sqrt(0.1 + picture))
    if stage.chance(0.5):
        picture = demosaic(np.asarray(picture, np.float32))
    pixels = to_bytes(picture)
    quality, sampling = int(rng.uniform(82, 97)), cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420
    if stage.chance(0.25):
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], options)
    return np.ascontiguousarray(np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)[..., ::-1])
