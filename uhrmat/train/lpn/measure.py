"""Figures of a network that finds people: overlap on photographs never trained on, and what it sees in empty places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from uhrmat.media.resample import area_average
from uhrmat.prior.base import working_shape
from uhrmat.prior.networks.lpn import PERSON, PersonNet, person_alpha
from uhrmat.train.lpn.photo_cache import PhotoSource, find_sources, held_out, read_source

Segmenter = Callable[[np.ndarray], np.ndarray]
"""Of a picture (H, W, 3) uint8 RGB, how much of each pixel belongs to people: (H, W) float32 in [0, 1]."""


def held_out_people(data: Path) -> list[PhotoSource]:
    """The fixed tenth of the photographs of people that is kept for measuring, by number."""
    sources = (source for source in find_sources(data) if source.kind == "people" and held_out(source.name))
    return sorted(sources, key=lambda source: int(source.name))


def mask_iou(mask: np.ndarray, target: np.ndarray) -> float:
    """Intersection over union of two boolean masks; two empty ones agree wholly."""
    union = float(np.logical_or(mask, target).sum())
    return float(np.logical_and(mask, target).sum()) / union if union else 1.0


def measure_people(finder: Segmenter, sources: Sequence[PhotoSource]) -> dict[str, float]:
    """iou: mean of the pictures' overlaps at a threshold of 0.5; worst: the tenth percentile of them; mae: mean
    absolute error x1000; all at the photographs' own size."""
    ious, errors = [], []
    for source in sources:
        pixels = read_source(source)
        alpha, target = finder(np.ascontiguousarray(pixels[..., :3])), pixels[..., 3].astype(np.float32) / 255
        ious.append(mask_iou(alpha > 0.5, target > 0.5))
        errors.append(1000 * float(np.abs(alpha - target).mean()))
    return {"iou": float(np.mean(ious)), "worst": float(np.quantile(ious, 0.1)), "mae": float(np.mean(errors))}


def largest_false_alpha(finder: Segmenter, sources: Sequence[PhotoSource], side: int = 960) -> float:
    """The largest mean alpha in pictures without people; they are shrunk to `side` pixels on the long side first."""
    shares = [0.0]
    for source in sources:
        pixels = read_source(source)[..., :3]
        scale = min(1.0, side / max(pixels.shape[:2]))
        small = area_average(pixels, (round(pixels.shape[0] * scale), round(pixels.shape[1] * scale)))
        shares.append(float(finder(np.rint(small).astype(np.uint8)).mean()))
    return max(shares)


def make_segmenter(net: PersonNet, short: int = PERSON.working_size, dtype: torch.dtype = torch.float32) -> Segmenter:
    """The network at a working size of `short` pixels on the short side, enlarged bilinearly."""

    def find(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        small = torch.from_numpy(area_average(picture, working_shape(height, width, short), 255))
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            alpha = person_alpha(net, small.permute(2, 0, 1)[None])[0][0, 0].numpy()
        return np.asarray(cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    return find
