"""Crops for training the refiner: features exactly as inference builds them, augmented so that priors stay true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from uhrmat.media.resample import area_average
from uhrmat.refine.colorline import estimate_smooth_colours
from uhrmat.refine.features import BilinearMaps, assemble_features, context_maps, fallback_alpha, trust
from uhrmat.refine.linear import guided_coefficients
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.samples import Sample, SampleCache, with_true_priors
from uhrmat.train.task import batch_numbers

_TRIES = 12
Crop = dict[str, Tensor]
_KEPT = 600
"""Samples held in memory by a worker."""
HOPELESS_ERROR, HOPELESS_SHARE = 0.1, 0.05
"""Scenes whose prior is off by more than this are drawn this often: nothing near a pixel tells what went wrong."""
MAX_BLUR, _SOFTENED, _SHARP = 0.7, 0.75, 0.2
"""Most that a crop is blurred, pixels of the small picture; share of the crops; sigma in pixels not worth it."""
_FULL = 0.6
"""Share of unknown pixels at which a crop is full enough to stop looking."""


class CropStream(IterableDataset[dict[str, Tensor]]):
    """An endless stream of batches of crops from the samples that a cache holds at the time.

    Each batch: features (B, C, s, s), mask (B, 1, s, s) bool active, unknown (B, 1, s, s) bool, alpha (B, 1, s, s)
    true, small (B, 3, c, c), prior (B, 1, c, c) for the context encoder, anchor (B, 1, s, s) and trust (B, 1, 1, 1) of
    `refine.features.start_of`. Batch number i depends on the cache, `seed` and i only.
    """

    def __init__(
        self, cache: Path, side: int, seed: int, exclude: int, batch: int, start: int = 0, exact: float = 0.0
    ) -> None:
        """exclude: samples with a seed below it are held out for validation; start: number of the first batch; exact:
        share of the crops whose prior is the true alpha, averaged."""
        self.cache, self.side, self.seed, self.exclude = cache, side, seed, exclude
        self.batch, self.start, self.exact = batch, start, exact

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        cache = SampleCache(self.cache)
        load = lru_cache(_KEPT)(
            lambda seed, exact: SampleCrops(with_true_priors(cache.load(seed)) if exact else cache.load(seed))
        )
        for number in batch_numbers(self.start):
            yield default_collate(self._batch(cache.seeds(), load, np.random.default_rng([self.seed, number])))

    def _batch(
        self, seeds: list[int], load: Callable[[int, bool], SampleCrops], rng: np.random.Generator
    ) -> list[Crop]:
        seeds = [s for s in seeds if s >= self.exclude]
        crops: list[Crop] = []
        while len(crops) < self.batch:
            views = load(int(rng.choice(seeds)), bool(rng.random() < self.exact))
            if not views.usable or (views.prior_failed and rng.random() > HOPELESS_SHARE):
                continue
            crops += [draw_crop(views, self.side, rng) for _ in range(min(2, self.batch - len(crops)))]
        return crops


class SampleCrops:
    """A sample with what all its crops share: small pictures and their smooth colours."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.places = np.argwhere(sample.trimap == 128).astype(np.int32)
        self.usable = len(self.places) > 0
        self.prior_failed = self.usable and sample.error(0) > HOPELESS_ERROR
        self.small_images = [area_average(sample.image, prior.shape, 255) for prior in sample.priors]
        self.colours = [self._colours(*pair) for pair in zip(self.small_images, sample.priors, strict=True)]

    @staticmethod
    def _colours(small: np.ndarray, prior: np.ndarray) -> list[np.ndarray]:
        planes = torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(prior)[None, None]
        return [c[0].permute(1, 2, 0).numpy() for c in estimate_smooth_colours(*planes)]


def draw_crop(views: SampleCrops, side: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """A random crop full of unknown pixels, or the fullest of a few."""
    sample = views.sample
    height, width = sample.trimap.shape
    best, place = -1.0, (0, 0)
    for _ in range(_TRIES):
        pick = views.places[int(rng.integers(len(views.places)))]
        shift = rng.integers(-side // 4, side // 4 + 1, 2)
        y, x = (int(np.clip(c - side // 2 + s, 0, n - side)) for c, s, n in
                ((pick[0], shift[0], height), (pick[1], shift[1], width)))  # fmt: skip
        share = float((sample.trimap[y : y + side, x : x + side] == 128).mean())
        if share > best:
            best, place = share, (y, x)
        if share >= _FULL:
            break
    which = int(rng.integers(len(sample.priors)))
    return build_crop(views, place, side, which, rng, draw_blur(rng))


def draw_blur(rng: np.random.Generator) -> float:
    """How much to blur a crop, in pixels of the small picture."""
    return float(rng.uniform(0, MAX_BLUR)) if rng.random() < _SOFTENED else 0.0


def build_crop(
    views: SampleCrops, place: tuple[int, int], side: int, which: int, rng: np.random.Generator | None = None,
    soft: float = 0.0,
) -> dict[str, Tensor]:  # fmt: skip
    """Features and targets of one crop for prior number `which`; with `rng`, colours and orientation are augmented.

    soft: picture and alpha are blurred by a Gaussian of so many pixels of the small picture, as a lens does; what the
    prior has seen hardly changes by it.
    """
    sample = views.sample
    (y, x), size = place, sample.trimap.shape
    part = np.s_[y : y + side, x : x + side]
    prior = sample.priors[which]
    scale = size[0] / prior.shape[0]
    image, alpha = (blur_window(plane, part, soft * scale) for plane in (sample.image, sample.alpha))
    shown = [image / np.float32(255), views.small_images[which], *views.colours[which]]
    image, small, front, back = shown if rng is None else _recolour(shown, rng)
    maps = torch.from_numpy(np.concatenate([prior[..., None], front, back], -1))
    ys, xs = torch.meshgrid(torch.arange(y, y + side), torch.arange(x, x + side), indexing="ij")
    trimap = torch.from_numpy(sample.trimap[part])
    features = assemble_features(torch.from_numpy(image), BilinearMaps(maps, size)(ys, xs), trimap, scale)
    word, guided = trust(scale)
    model = BilinearMaps(torch.from_numpy(guided_coefficients(small, prior)), size)(ys, xs) if guided else None
    crop = {
        "features": features.permute(2, 0, 1),
        "anchor": fallback_alpha(features, model, guided)[None],
        "trust": torch.full((1, 1, 1), word),
        "mask": torch.from_numpy(trimap_mask(sample.trimap[part])[None]),
        "unknown": (trimap == 128)[None],
        "alpha": torch.from_numpy(alpha)[None],
        "small": context_maps(small),
        "prior": context_maps(prior[..., None]),
    }
    return crop if rng is None else _turned(crop, int(rng.integers(8)))


def blur_window(plane: np.ndarray, part: tuple[slice, slice], sigma: float) -> np.ndarray:
    """A part of a plane (H, W[, C]) as float32, blurred together with what lies around it."""
    if sigma < _SHARP:
        return plane[part].astype(np.float32)
    reach = math.ceil(3 * sigma)
    wide = [slice(max(0, p.start - reach), p.stop + reach) for p in part]
    blurred = cv2.GaussianBlur(plane[tuple(wide)].astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    inner = [slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, wide, strict=True)]
    return np.asarray(blurred[tuple(inner)])


def _recolour(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Permuted channels with a random gain and offset: the matting Laplacian, and so the prior, hardly notices.

    The smooth colours follow exactly, since they are weighted means.
    """
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
