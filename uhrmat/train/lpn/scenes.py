"""Pictures with and without people, made of stored photographs: as they are, people on other places, empty places."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from uhrmat.train.lpn.camera import adjust_tone, simulate_camera
from uhrmat.train.lpn.photo_cache import PhotoCache
from uhrmat.train.lpn.teacher import Teacher
from uhrmat.train.lpn.views import Window, fit_window, person_window, place_window, resample_window
from uhrmat.train.synth.stage import Stage
from uhrmat.train.synth.texture import generate_surface
from uhrmat.train.task import batch_numbers

_SHAPES = ((1.0, 1.0), (1.0, 1.0), (1.22, 0.82), (1.22, 0.82), (1.22, 0.82), (0.87, 1.15), (0.75, 1.33))
"""Height and width of batches, in sides."""
_STEP = 32
_PHOTO, _PORTRAIT, _COMPOSITE = 0.56, 0.1, 0.22
"""Shares of street photographs, portraits and composites; what is left are empty places."""


class SceneStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches: image (B, 3, h, w) float32 in [0, 1], alpha (B, 1, h, w). Number i depends on the
    store, `seed` and i only. `sizes(i)` gives the side and the number of pictures of batch i. With a teacher, what its
    layers hold goes along by the names of their grids."""

    def __init__(
        self, folder: Path, seed: int, sizes: BatchSizes, start: int = 0, teacher: Teacher | None = None
    ) -> None:
        self.folder, self.seed, self.sizes, self.start, self.teacher = folder, seed, sizes, start, teacher

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        cv2.setNumThreads(1)
        generator, teacher = SceneGenerator(PhotoCache(self.folder)), self.teacher.load() if self.teacher else None
        for number in batch_numbers(self.start):
            rng = np.random.default_rng([self.seed, number])
            side, count = self.sizes(number)
            shape = batch_shape(side, rng)
            batch = collate([generator.draw(shape, rng) for _ in range(count)])
            yield batch | (teacher(batch["image"]) if teacher else {})


@dataclass(frozen=True)
class BatchSizes:
    """Side and number of pictures of a batch: `batch` pictures of side `small`; the `share` of batches, evenly spread,
    that has side `large` has fewer, with about as many pixels."""

    batch: int
    small: int
    large: int
    share: float

    def __call__(self, number: int) -> tuple[int, int]:
        if math.floor((number + 1) * self.share) == math.floor(number * self.share):
            return self.small, self.batch
        return self.large, max(2, round(self.batch * (self.small / self.large) ** 2))


def batch_shape(side: int, rng: np.random.Generator) -> tuple[int, int]:
    """Height and width of about side² pixels, multiples of 32."""
    tall, wide = _SHAPES[int(rng.integers(len(_SHAPES)))]
    return max(_STEP, round(side * tall / _STEP) * _STEP), max(_STEP, round(side * wide / _STEP) * _STEP)


def collate(pictures: list[tuple[np.ndarray, np.ndarray]]) -> dict[str, Tensor]:
    """A batch of (image, alpha) uint8 pictures."""
    images = torch.from_numpy(np.stack([image for image, _ in pictures])).permute(0, 3, 1, 2)
    alphas = torch.from_numpy(np.stack([alpha for _, alpha in pictures]))[:, None]
    return {"image": images.float() / 255, "alpha": alphas.float() / 255}


class SceneGenerator:
    """Draws pictures (H, W, 3) with their alphas (H, W), both uint8, from the photographs of a store."""

    def __init__(self, store: PhotoCache) -> None:
        self.store, self.load = store, lru_cache(None)(store.levels)

    def draw(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One picture of a random kind, as a camera would have taken it."""
        pick = rng.random()
        if pick < _PHOTO or not self.store.names["places"]:
            picture = self._photo("people", shape, rng)
        elif pick < _PHOTO + _PORTRAIT and self.store.names["portraits"]:
            picture = self._photo("portraits", shape, rng)
        elif pick < _PHOTO + _PORTRAIT + _COMPOSITE:
            picture = self._composite(shape, rng)
        else:
            picture = self._empty(shape, rng)
        return simulate_camera(picture[0], rng), picture[1]

    def _levels(self, kind: str, rng: np.random.Generator) -> list[np.ndarray]:
        names = self.store.names[kind]
        return self.load(kind, names[int(rng.integers(len(names)))])

    def _photo(self, kind: str, shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        levels = self._levels(kind, rng)
        window = fit_window(_person(levels, shape, rng), levels[0].shape[:2])
        layer = resample_window(levels, window, shape, cv2.BORDER_REFLECT_101)
        return layer[..., :3], layer[..., 3]

    def _place(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """A picture without people: a photographed or generated place, sometimes out of focus."""
        if rng.random() < 0.15:
            stage = Stage(rng, *shape)
            place = np.rint(generate_surface(stage) * 255).astype(np.uint8)
        else:
            levels = self._levels("places", rng)
            window = place_window(levels[0].shape[:2], shape, rng)
            place = resample_window(levels, window, shape, cv2.BORDER_REFLECT_101)
        if rng.random() < 0.35:
            place = cv2.GaussianBlur(place, (0, 0), float(np.exp(rng.uniform(0.0, np.log(8.0)))))
        return np.asarray(place, np.uint8)

    def _composite(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One to three people on a place, now and then behind or before something that is no person."""
        image, alpha = self._place(shape, rng), np.zeros(shape, np.float32)
        for _ in range(int(rng.choice([1, 1, 1, 2, 2, 3]))):
            if self.store.names["others"] and rng.random() < 0.12:
                image, cover = self._pasted(image, "others", rng)
                alpha *= 1 - cover
            kind = "portraits" if self.store.names["portraits"] and rng.random() < 0.2 else "people"
            image, cover = self._pasted(image, kind, rng)
            alpha += cover * (1 - alpha)
        return image, np.rint(alpha * 255).astype(np.uint8)

    def _empty(self, shape: tuple[int, int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A place, or a picture of something that is no person; alpha is 0."""
        image = self._place(shape, rng)
        if self.store.names["others"] and rng.random() < 0.5:
            if rng.random() < 0.5:
                image, _ = self._pasted(image, "others", rng)
            else:
                levels = self._levels("others", rng)
                window = fit_window(_person(levels, shape, rng), levels[0].shape[:2])
                image = resample_window(levels, window, shape, cv2.BORDER_REFLECT_101)[..., :3]
        return image, np.zeros(shape, np.uint8)

    def _pasted(self, image: np.ndarray, kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The picture with a cut-out over it, and the cover (H, W) float32 in [0, 1]."""
        levels, shape = self._levels(kind, rng), image.shape[:2]
        cutout = resample_window(levels, _person(levels, shape, rng), shape, cv2.BORDER_CONSTANT)
        mask = cutout[..., 3]
        if kind == "people":  # masks are off by a pixel or more, and hard
            mask = cv2.GaussianBlur(cv2.erode(mask, np.ones((3, 3), np.uint8)), (0, 0), rng.uniform(0.5, 1.1))
        cover = mask.astype(np.float32) / 255
        front = adjust_tone(np.ascontiguousarray(cutout[..., :3]), rng, 0.7).astype(np.float32)
        joined = image + cover[..., None] * (front - image)
        return np.rint(joined).astype(np.uint8), cover


def _person(levels: list[np.ndarray], shape: tuple[int, int], rng: np.random.Generator) -> Window:
    """A window on the subject of a stored picture."""
    small = levels[-1]
    return person_window(np.asarray(small[..., 3]), levels[0].shape[0] / small.shape[0], shape, rng)
