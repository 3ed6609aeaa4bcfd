"""Photographs as material: found on disk, decoded once, cropped at random."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media.raster import cv2_read
from uhrmat.train.synth.stage import Bytes, Floats, Stage

_REDUCED = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}


def find_training_data(root: str | Path) -> tuple[list[Path], list[tuple[Path, Path]]]:
    """Backgrounds `textures/*.jpg` and (photo, alpha) pairs under `mattes/` of a folder laid out like data/train.

    A pair is two files of one stem: photo .jpg and alpha .png in one folder, or in sibling folders original/ and alpha/
    or result_alpha/. Raises InputError if the folder holds neither.
    """
    root = Path(root)
    named = sorted(p for p in (root / "textures").glob("*") if p.suffix.lower() in {".jpg", ".jpeg", ".png"})
    pictures = [p for p in named if p.is_file()]
    pairs = []
    for photo in sorted(p for p in (root / "mattes").rglob("*.jpg") if p.is_file()):
        folders = [photo.parent, photo.parent.parent / "alpha", photo.parent.parent / "result_alpha"]
        pairs += [(photo, f / f"{photo.stem}.png") for f in folders if (f / f"{photo.stem}.png").is_file()][:1]
    if not pictures and not pairs:
        raise InputError(f"{root} holds no textures/ and no mattes/.", "Give the folder that contains these two.")
    return pictures, pairs


@lru_cache(maxsize=4)
def _decoded(path: str, reduced: int) -> Bytes:
    picture = cv2_read(path, _REDUCED[reduced])
    if picture is None:
        raise InputError(f"{path} cannot be read as a picture.", "Remove it from the training photographs.")
    return np.asarray(picture, np.uint8)


@lru_cache(maxsize=256)
def _size(path: str) -> tuple[int, int]:
    """Height and width from the header alone."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return picture.height, picture.width
    except OSError as error:
        raise InputError(f"{path} cannot be read as a picture.", "Remove it from the training photographs.") from error


def crop(stage: Stage, paths: Sequence[Path], height: int, width: int, *, zoom: float = 1.0) -> Floats:
    """A random, mirrored crop (height, width, 3) RGB of a random photograph.

    The crop covers a random share of the photograph, down to `zoom` photograph pixels per picture pixel.
    """
    rng = stage.rng
    path = str(paths[int(rng.integers(len(paths)))])
    rows, cols = _size(path)
    most = min(rows / height, cols / width)
    scale = float(np.exp(rng.uniform(np.log(min(zoom, most)), np.log(most))))
    reduced = 4 if scale >= 4 else 2 if scale >= 2 else 1
    picture = _decoded(path, reduced)
    scale = min(scale / reduced, picture.shape[0] / height, picture.shape[1] / width)
    take = (max(1, int(height * scale)), max(1, int(width * scale)))
    y = int(rng.integers(picture.shape[0] - take[0] + 1))
    x = int(rng.integers(picture.shape[1] - take[1] + 1))
    part = picture[y : y + take[0], x : x + take[1], ::-1]
    if stage.chance(0.5):
        part = part[:, ::-1]
    method = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    scaled = cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=method)
    return np.asarray(scaled.astype(np.float32) * np.float32(1 / 255), np.float32)
