"""Real subjects: a photograph with its alpha, freed of the old background and composited anew."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media import atomic_write
from uhrmat.media.raster import cv2_read
from uhrmat.train.synth.canvas import blank, over, to_bytes
from uhrmat.train.synth.stage import Bytes, Floats, Stage

_NEAR = 3.0 / 255
"""Predicted alphas never quite reach 0 and 1: this much at either end is taken for exact."""


def cache_folder() -> Path:
    """Where estimated foregrounds are kept: UHRMAT_CACHE, else the user's cache folder."""
    root = os.environ.get("UHRMAT_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "uhrmat" / "subjects"


def prepare_subjects(subjects: Iterable[tuple[Path, Path]]) -> None:
    """Estimate and cache the foreground of every (photo, alpha) pair, so that workers only read."""
    for photo, alpha in subjects:
        _subject(photo, alpha)


def pair(stage: Stage) -> Floats:
    """One real subject (rarely two), flipped, turned and scaled."""
    layer = blank(*stage.shape)
    for _ in range(2 if stage.chance(0.1) else 1):
        photo, alpha = stage.subjects[int(stage.rng.integers(len(stage.subjects)))]
        over(layer, _placed(stage, _subject(photo, alpha)))
    return layer


def _placed(stage: Stage, subject: Bytes) -> Floats:
    """Warp straight RGBA (h, w, 4) into the scene as a premultiplied layer."""
    rng = stage.rng
    rows, cols = subject.shape[:2]
    fit = min(stage.height / rows, stage.width / cols) * stage.size
    scale = min(fit * float(np.exp(rng.uniform(np.log(0.8), np.log(2.2)))), 2.0)
    standing = int(subject[-1, :, 3].max()) > 128 and stage.chance(0.75)
    angle = rng.normal(0, 8) if stage.chance(0.6) and not standing else 0.0
    half = 1 << max(0, int(np.floor(np.log2(1 / scale)))) if scale < 1 else 1
    if half > 1:  # average before the warp, which samples points
        subject = _premultiplied_area(subject, half)
        rows, cols = subject.shape[:2]
    matrix = cv2.getRotationMatrix2D((cols / 2, rows / 2), angle, scale * half)
    if stage.chance(0.5):
        matrix = matrix @ np.array([[-1, 0, cols], [0, 1, 0], [0, 0, 1.0]])
    space = np.array([stage.width, stage.height])
    room = np.maximum(space * 0.12, (np.array([cols, rows]) * scale * half - space) / 2)
    matrix[:, 2] += space / 2 - (cols / 2, rows / 2) + rng.uniform(-0.8, 0.8, 2) * room
    if standing:  # a subject cut off by its photograph's lower edge is cut off by ours
        matrix[1, 2] = stage.height - rows * scale * half + rng.uniform(0, 0.1) * stage.height
    warped = cv2.warpAffine(subject, matrix, stage.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    layer = warped.astype(np.float32) * np.float32(1 / 255)
    layer[..., 3] = ((layer[..., 3] - _NEAR) / (1 - 2 * _NEAR)).clip(0, 1)
    layer[..., :3] *= layer[..., 3:]
    result: Floats = layer
    return result


def _premultiplied_area(subject: Bytes, half: int) -> Bytes:
    """Area-average straight RGBA by `half`; the extended foreground colour makes weighting needless."""
    size = (max(1, subject.shape[1] // half), max(1, subject.shape[0] // half))
    return np.asarray(cv2.resize(subject, size, interpolation=cv2.INTER_AREA), np.uint8)


def _subject(photo: Path, alpha: Path) -> Bytes:
    """Straight foreground and alpha, uint8 (h, w, 4) RGBA, from the cache or estimated and then cached."""
    store = cache_folder() / f"{_key(photo, alpha)}.npy"
    if store.is_file():
        return np.asarray(np.load(store, mmap_mode="r"), np.uint8)
    subject = _estimated(photo, alpha)
    store.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(store) as part:
        np.save(part, subject)
    return subject


def _key(photo: Path, alpha: Path) -> str:
    stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in (Path(photo), Path(alpha))]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:24]


def _estimated(photo: Path, alpha: Path) -> Bytes:
    from pymatting import estimate_foreground_ml  # compiles itself at first import

    picture = cv2_read(photo, cv2.IMREAD_COLOR)
    matte = cv2_read(alpha, cv2.IMREAD_GRAYSCALE)
    if picture is None or matte is None:
        raise InputError(f"{photo if picture is None else alpha} cannot be read.", "Remove the pair.")
    if picture.shape[:2] != matte.shape:
        matte = cv2.resize(matte, picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    colour = estimate_foreground_ml(picture[..., ::-1] / 255.0, matte / 255.0)
    return np.dstack([to_bytes(colour), matte])
