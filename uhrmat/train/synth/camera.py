"""What a camera does to a finished composite: colour filter array, noise, sharpening, JPEG, a few bits per sample."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.train.synth.canvas import to_bytes
from uhrmat.train.synth.stage import Floats, Stage

_SAMPLING = (
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
)


def simulate_camera(stage: Stage, picture: Floats) -> Floats:
    """Take `picture` (H, W, 3) with a random camera; the geometry stays where it is."""
    if stage.chance(0.85):
        picture = add_noise(stage, picture)
    if stage.chance(0.25):
        picture = demosaic(picture)
    if stage.chance(0.35):
        picture = sharpen(stage, picture)
    if stage.chance(0.55):
        return compress_jpeg(stage, picture)
    levels = float(stage.rng.choice([255, 255, 255, 1023, 65535]))
    return np.asarray(np.rint(picture.clip(0, 1) * levels) / levels, np.float32)


def add_noise(stage: Stage, picture: Floats) -> Floats:
    """Shot and read noise: variance grows with the signal; sometimes smeared, as after denoising."""
    rng = stage.rng
    level = (0.002 + 0.022 * stage.difficulty) * float(rng.beta(1.2, 3)) * 2
    grain = rng.standard_normal(picture.shape, dtype=np.float32)
    if stage.chance(0.4):
        sigma = rng.uniform(0.4, 1.0)
        grain = cv2.GaussianBlur(grain, (0, 0), sigma) * np.float32(1 + 2 * sigma)
    grain += grain.mean(2, keepdims=True)  # luminance noise is stronger than colour noise
    return np.asarray((picture + grain * (level * np.sqrt(0.1 + picture))).clip(0, 1), np.float32)


def demosaic(picture: Floats) -> Floats:
    """Keep one colour per pixel (Bayer) and interpolate the others."""
    raw = np.empty(picture.shape[:2], np.uint16)
    full = np.rint(picture.clip(0, 1) * 65535).astype(np.uint16)
    raw[0::2, 0::2] = full[0::2, 0::2, 0]
    raw[0::2, 1::2] = full[0::2, 1::2, 1]
    raw[1::2, 0::2] = full[1::2, 0::2, 1]
    raw[1::2, 1::2] = full[1::2, 1::2, 2]
    out = cv2.cvtColor(raw, cv2.COLOR_BayerRGGB2RGB_EA)
    result: Floats = out.astype(np.float32) * np.float32(1 / 65535)
    return result


def sharpen(stage: Stage, picture: Floats) -> Floats:
    """Unsharp masking of small radius."""
    amount = np.float32(stage.rng.uniform(0.15, 0.3 + 0.5 * stage.difficulty))
    soft = cv2.GaussianBlur(picture, (0, 0), stage.rng.uniform(0.6, 1.4))
    return np.asarray((picture + (picture - soft) * amount).clip(0, 1), np.float32)


def compress_jpeg(stage: Stage, picture: Floats) -> Floats:
    """Compress and decompress, with or without chroma subsampling."""
    quality = int(stage.rng.uniform(98 - 38 * stage.difficulty, 99))
    sampling = int(_SAMPLING[int(stage.rng.choice(3, p=[0.5, 0.15, 0.35]))])
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    _, data = cv2.imencode(".jpg", to_bytes(picture)[..., ::-1], options)
    back = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.float32)
    return np.asarray(back[..., ::-1] * np.float32(1 / 255))
