"""Composites with exact alpha for priors that know the background: before a plate, before a screen."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

from uhrmat.media import srgb_decode, srgb_encode
from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour
from uhrmat.media.resample import area_average
from uhrmat.train.synth import Scene, render_scene

SHAPE = (160, 208)
GREEN, BLUE = (0.15, 0.7, 0.2), (0.1, 0.25, 0.75)
Arrays = tuple[np.ndarray, ...]


@cache
def scene(kind: str) -> Scene:
    return render_scene(21 if kind == "hair" else 23, 2 * SHAPE[0], 2 * SHAPE[1], kind=kind, camera=False)


def taken(image: np.ndarray, noise: float, seed: int) -> np.ndarray:
    """The small copy of an 8-bit photograph with noise (standard deviation at full resolution)."""
    rough = image + np.random.default_rng(seed).normal(0, noise, image.shape)
    return area_average((np.rint(rough.clip(0, 1) * 255) / 255).astype(np.float32), SHAPE)


def before_plate(
    kind: str, noise: float = 0.0, shift: tuple[float, float] = (0, 0), gains: tuple[float, ...] = (1, 1, 1)
) -> Arrays:
    """Picture, plate and alpha at SHAPE. shift: of the plate, small pixels; gains: of the plate in linear light."""
    result = scene(kind)
    motion = np.float32([[1, 0, 2 * shift[0]], [0, 1, 2 * shift[1]]])
    size = result.background.shape[1::-1]
    plate = cv2.warpAffine(result.background, motion, size, borderMode=cv2.BORDER_REFLECT)
    plate = srgb_encode(srgb_decode(plate) * np.float32(gains))
    return taken(result.image, noise, 1), taken(plate, noise, 2), area_average(result.alpha, SHAPE)


def before_screen(
    kind: str, colour: tuple[float, ...] = GREEN, noise: float = 0.0, uneven: float = 0.0, spill: float = 0.0
) -> Arrays:
    """Picture, alpha and true foreground (full size) of a subject without the screen's hue.

    uneven: how far the screen's light falls off; spill: share of the screen's colour added to the subject.
    """
    result, axes = scene(kind), hue_axes(np.float32(colour))
    plain = result.foreground - np.maximum(key_excess(result.foreground, axes), 0)[..., None] * pure_key_colour(axes)
    height, width = result.alpha.shape
    ys, xs = np.mgrid[:height, :width]
    light = 1 - uneven * (2 * (xs / width - 0.6) ** 2 + 2 * (ys / height - 0.4) ** 2 + 0.15 * np.sin(xs / 40))
    screen = np.clip(np.float32(colour) * light[..., None], 0, 1)
    lit = plain + spill * np.float32(colour)
    image = result.alpha[..., None] * lit + (1 - result.alpha[..., None]) * screen
    return taken(image, noise, 3), area_average(result.alpha, SHAPE), plain
