"""Crops for training the refiner: features exactly as inference builds them, with augmentations that keep priors true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from uhrmat.prior.base import area_average
from uhrmat.refine.colorline import smooth_colours
from uhrmat.refine.features import BilinearMaps, assemble
from uhrmat.sparsity import trimap_band
from uhrmat.train.samples import Sample, SampleCache

CONTEXT = 128
"""Side of the small picture that Masked-SE's encoder sees in training."""
_TRIES = 12
_FULL = 0.6
"""Share of unknown pixels at which a crop is full enough to stop looking."""


class CropStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches of crops from the samples that a cache holds at the time.

    Each batch: features (B, C, s, s), mask (B, 1, s, s) bool active, unknown (B, 1, s, s) bool, alpha (B, 1, s, s) true,
    small (B, 3, c, c), prior (B, 1, c, c) for the context encoder. Batch number i depends on the cache, `seed` and i only.
    """

    def __init__(self, cache: Path, side: int, seed: int, exclude: int, batch: int, start: int = 0) -> None:
        """exclude: samples with a seed below it are held out for validation; start: number of the first batch."""
        self.cache, self.side, self.seed, self.exclude = cache, side, seed, exclude
        self.batch, self.start = batch, start

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        worker = torch.utils.data.get_worker_info()
        first, step = (worker.id, worker.num_workers) if worker else (0, 1)
        cache = SampleCache(self.cache)
        for number in itertools.count(self.start + first, step):
            yield default_collate(self._batch(cache, np.random.default_rng([self.seed, number])))

    def _batch(self, cache: SampleCache, rng: np.random.Generator) -> list[dict[str, Tensor]]:
        seeds = [s for s in cache.seeds() if s >= self.exclude]
        crops: list[dict[str, Tensor]] = []
        while len(crops) < self.batch:
            sample = cache.load(int(rng.choice(seeds)))
            for _ in range(min(2, self.batch - len(crops))):
                crop = draw_crop(sample, self.side, rng)
                if crop is not None:
                    crops.append(crop)
        return crops


def draw_crop(sample: Sample, side: int, rng: np.random.Generator) -> dict[str, Tensor] | None:
    """A random crop full of unknown pixels, or the fullest of a few. None where the sample has no unknown pixel."""
    ys, xs = np.nonzero(sample.trimap == 128)
    if len(ys) == 0:
        return None
    height, width = sample.trimap.shape
    best, place = -1.0, (0, 0)
    for _ in range(_TRIES):
        pick = int(rng.integers(len(ys)))
        shift = rng.integers(-side // 4, side // 4 + 1, 2)
        y, x = (int(np.clip(c - side // 2 + s, 0, n - side)) for c, s, n in
                ((ys[pick], shift[0], height), (xs[pick], shift[1], width)))  # fmt: skip
        share = float((sample.trimap[y : y + side, x : x + side] == 128).mean())
        if share > best:
            best, place = share, (y, x)
        if share >= _FULL:
            break
    return build_crop(sample, place, side, int(rng.integers(len(sample.priors))), rng)


def build_crop(
    sample: Sample, place: tuple[int, int], side: int, which: int, rng: np.random.Generator | None = None
) -> dict[str, Tensor]:
    """Features and targets of one crop for prior number `which`; with `rng`, colours and orientation are augmented."""
    (y, x), size = place, sample.trimap.shape
    part = np.s_[y : y + side, x : x + side]
    prior = torch.from_numpy(sample.priors[which])
    shown = area_average(sample.image, prior.shape, 255), sample.image[part].astype(np.float32) / 255
    small, image = shown if rng is None else _recolour(shown, rng)
    colours = smooth_colours(torch.from_numpy(small).permute(2, 0, 1)[None], prior[None, None])
    maps = torch.cat([prior[..., None], *(c[0].permute(1, 2, 0) for c in colours)], -1)
    ys, xs = torch.meshgrid(torch.arange(y, y + side), torch.arange(x, x + side), indexing="ij")
    trimap = torch.from_numpy(sample.trimap[part])
    features = assemble(torch.from_numpy(image), BilinearMaps(maps, size)(ys, xs), trimap, size[0] / prior.shape[0])
    crop = {
        "features": features.permute(2, 0, 1),
        "mask": torch.from_numpy(trimap_band(sample.trimap[part])[None]),
        "unknown": (trimap == 128)[None],
        "alpha": torch.from_numpy(sample.alpha[part])[None],
        "small": torch.from_numpy(context_picture(small)).permute(2, 0, 1),
        "prior": torch.nn.functional.interpolate(prior[None, None], (CONTEXT, CONTEXT), mode="area")[0],
    }
    return crop if rng is None else _turned(crop, int(rng.integers(8)))


def context_picture(small: np.ndarray) -> np.ndarray:
    """(CONTEXT, CONTEXT, 3): the small picture as Masked-SE's encoder sees it."""
    return cv2.resize(small, (CONTEXT, CONTEXT), interpolation=cv2.INTER_AREA)


def _recolour(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Permuted channels with a random gain and offset: the matting Laplacian, and so the prior, hardly notices."""
    gain = rng.uniform(0.75, 1.15, 3).astype(np.float32)
    offset = rng.uniform(-0.05, 0.1, 3).astype(np.float32)
    order = rng.permutation(3)
    return [np.clip(picture[..., order] * gain + offset, 0, 1) for picture in pictures]


def _turned(crop: dict[str, Tensor], turn: int) -> dict[str, Tensor]:
    """One of the eight orientations, applied to every map."""
    found = {}
    for name, x in crop.items():
        x = x.transpose(-1, -2) if turn & 1 else x
        flips = [axis for bit, axis in ((2, -1), (4, -2)) if turn & bit]
        found[name] = (x.flip(flips) if flips else x).contiguous()
    return found
