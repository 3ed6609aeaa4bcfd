"""What cameras, processing and files do to a picture, done cheaply to a uint8 picture of training size."""

from __future__ import annotations

import cv2
import numpy as np


def simulate_camera(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8 RGB with random exposure, contrast, colour, blur, noise and compression."""
    pixels = adjust_tone(pixels, rng, 1.0)
    if rng.random() < 0.08:
        pixels = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, 2)
    if rng.random() < 0.2:
        pixels = _coarse(pixels, rng)
    if rng.random() < 0.35:
        pixels = _noisy(pixels, float(np.exp(rng.uniform(np.log(1.0), np.log(14.0)))), rng)
    if rng.random() < 0.35:
        pixels = _compressed(pixels, int(rng.integers(25, 92)))
    return pixels


def adjust_tone(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A random tone curve, channel gains and saturation; (H, W, 3) uint8."""
    gamma = float(np.exp(rng.normal(0, 0.25 * strength)))
    gain = np.exp(rng.normal(0, 0.13 * strength) + rng.normal(0, 0.07 * strength, 3))
    offset = rng.normal(0, 0.03 * strength)
    ramp = (np.arange(256, dtype=np.float32) / 255) ** gamma
    table = np.clip(ramp[:, None] * gain + offset, 0, 1)
    graded = cv2.LUT(pixels, np.rint(table * 255).astype(np.uint8)[None])
    if rng.random() < 0.5:
        grey = cv2.cvtColor(cv2.cvtColor(graded, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        colour = float(np.clip(rng.normal(1, 0.35 * strength), 0, 1.8))
        graded = cv2.addWeighted(graded, colour, grey, 1 - colour, 0)
    return np.asarray(graded, np.uint8)


def _coarse(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.5:
        return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.4, 1.8)), np.uint8)
    height, width = pixels.shape[:2]
    factor = rng.uniform(1.2, 3.0)
    small = cv2.resize(pixels, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _noisy(pixels: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    noise = np.zeros(pixels.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    cv2.randn(noise, 0, sigma)
    return np.clip(pixels + noise, 0, 255).astype(np.uint8)


def _compressed(pixels: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
