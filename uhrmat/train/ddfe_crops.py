"""Crops for training DDFE: one window of a scene at every level of the pyramid, seen exactly as inference sees it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import IterableDataset, default_collate

from uhrmat.media.resample import area_average
from uhrmat.refine.ddfe.refiner import line_maps
from uhrmat.refine.features import BilinearMaps
from uhrmat.refine.pyramid import pyramid_shapes
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.crops import GAIN, OFFSET, CropParams, blur_window, draw_blur, reorient
from uhrmat.train.samples import Sample, SampleCache, with_true_priors
from uhrmat.train.task import batch_numbers

Crop = dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class PyramidParams(CropParams):
    """How windows of a pyramid are chosen; see `CropParams`.

    Attributes:
        depths: shares of batches with one, two and three levels between the prior and the picture.
        group: batches whose crops come from the same scenes, so that a scene is read once for many crops.
        misses: scenes drawn in vain before another depth is tried.
    """

    max_prior_error: float = 0.15
    failed_share: float = 0.25
    depths: tuple[float, ...] = (0.35, 0.4, 0.25)
    group: int = 8
    misses: int = 12


GROUP = PyramidParams().group


class PyramidSource:
    """A sample with what its crops share.

    Attributes:
        sample: the scene.
        size: (height, width) of the scene.
        places: (N, 2) int32, (y, x) of its unknown pixels.
        shapes: for each prior the (height, width) of the levels above it, finest last.
    """

    def __init__(self, sample: Sample, params: PyramidParams = PyramidParams()) -> None:
        self.sample, self.params = sample, params
        self.size = sample.trimap.shape[0], sample.trimap.shape[1]
        self.places = np.argwhere(sample.trimap == 128).astype(np.int32)
        self.shapes = [pyramid_shapes(self.size, prior.shape[:2]) for prior in sample.priors]
        self._shared: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @property
    def prior_failed(self) -> bool:
        """Whether the first prior is off by more than `max_prior_error`."""
        return self.sample.error(0) > self.params.max_prior_error

    def priors_above(self, depth: int) -> list[int]:
        """Priors with `depth` levels above them; none where nothing is unknown."""
        return [i for i, shapes in enumerate(self.shapes) if len(shapes) == depth] if len(self.places) else []

    def shared(self, which: int) -> tuple[np.ndarray, np.ndarray]:
        """The small picture (h, w, 3) and its maps (h, w, 10), see `refine.ddfe.refiner.line_maps`."""
        if which not in self._shared:
            prior = self.sample.priors[which]
            small = area_average(self.sample.image, prior.shape[:2], 255)
            self._shared[which] = small, line_maps(small, prior)
        return self._shared[which]


class PyramidStream(IterableDataset[Crop]):
    """An endless stream of batches (see `build_crop` for their keys); number i depends on the cache, `seed` and i only.

    Args:
        cache: folder of a `SampleCache`.
        side: of a crop at the finest level, pixels.
        seed: of the stream's random numbers.
        exclude: samples with a seed below it are held out for validation.
        batch: crops of a batch.
        start: number of the first batch.
        exact: share of scenes whose prior is the true alpha, area-averaged.
        params: how windows are chosen.
    """

    def __init__(
        self, cache: Path, side: int, seed: int, exclude: int, batch: int, start: int = 0, exact: float = 0.0,
        params: PyramidParams = PyramidParams(),
    ) -> None:  # fmt: skip
        self.cache, self.side, self.seed, self.exclude = cache, side, seed, exclude
        self.batch, self.exact, self.start, self.params = batch, exact, start, params

    def __iter__(self) -> Iterator[Crop]:
        held: tuple[int, list[Crop]] = -1, []
        for number in batch_numbers(self.start):
            group = number // self.params.group
            if held[0] != group:
                held = group, self._group(group)
            place = number % self.params.group * self.batch
            yield default_collate(held[1][place : place + self.batch])

    def _group(self, number: int) -> list[Crop]:
        """Crops of one depth from `group` scenes; where the first scenes have none of it, of another depth."""
        params = self.params
        rng, cache = np.random.default_rng([self.seed, number]), SampleCache(self.cache)
        seeds = [s for s in cache.seeds() if s >= self.exclude]
        crops: list[Crop] = []
        depth, misses = _draw_depth(rng, params), 0
        while len(crops) < params.group * self.batch:
            sample = cache.load(int(rng.choice(seeds)))
            source = PyramidSource(with_true_priors(sample) if rng.random() < self.exact else sample, params)
            which = source.priors_above(depth)
            if not which or (source.prior_failed and rng.random() > params.failed_share):
                misses += 1
                if misses > params.misses and not crops:
                    depth, misses = _draw_depth(rng, params), 0
                continue
            crops += [draw_crop(source, self.side, int(rng.choice(which)), rng) for _ in range(self.batch)]
        return [crops[int(i)] for i in rng.permutation(len(crops))]


def _draw_depth(rng: np.random.Generator, params: PyramidParams) -> int:
    return int(rng.choice(len(params.depths), p=params.depths)) + 1


def draw_crop(source: PyramidSource, side: int, which: int, rng: np.random.Generator) -> Crop:
    """A random crop full of unknown pixels, or the fullest of a few, above prior number `which`; augmented."""
    best, place = -1.0, (0, 0)
    for _ in range(source.params.tries):
        pick = source.places[int(rng.integers(len(source.places)))] + rng.integers(-side // 4, side // 4 + 1, 2)
        corner = window_corner(source, pick, side, which)
        share = float((source.sample.trimap[_window(corner, side)] == 128).mean())
        if share > best:
            best, place = share, corner
        if share >= source.params.full:
            break
    return build_crop(source, place, side, which, rng, draw_blur(rng))


def window_corner(source: PyramidSource, middle: np.ndarray, side: int, which: int) -> tuple[int, int]:
    """Top left of a window around `middle`, inside the scene and on a pixel of the coarsest level."""
    step = 2 ** (len(source.shapes[which]) - 1)
    y, x = (int(np.clip(c - side // 2, 0, n - side)) // step * step for c, n in zip(middle, source.size, strict=True))
    return y, x


def _window(place: tuple[int, int], side: int) -> tuple[slice, slice]:
    return slice(place[0], place[0] + side), slice(place[1], place[1] + side)


def build_crop(
    source: PyramidSource, place: tuple[int, int], side: int, which: int, rng: np.random.Generator | None = None,
    blur: float = 0.0,
) -> Crop:  # fmt: skip
    """One window with its targets; the arguments are those of `crops.build_crop`.

    Returns:
        image (3, s, s), known (2, s, s) foreground and background, active (1, s, s) bool, alpha (1, s, s) true,
        factor of the first step, low (3, t, t) and prior (1, t, t) at the coarsest level, maps0, maps1 …
        (10, s / 2**i, s / 2**i).
    """
    sample, shapes = source.sample, source.shapes[which]
    small, maps = source.shared(which)
    window = _window(place, side)
    prior = sample.priors[which]
    sigma = blur * source.size[0] / prior.shape[0]
    image, alpha = (blur_window(plane, window, sigma) for plane in (sample.image, sample.alpha))
    image = image / np.float32(255)
    if rng is not None:
        image, small, maps = _recolour(image, small, maps, rng)
    trimap = sample.trimap[window]
    crop = {
        "image": torch.from_numpy(image).permute(2, 0, 1),
        "known": torch.from_numpy(np.stack([trimap == 255, trimap == 0]).astype(np.float32)),
        "active": torch.from_numpy(trimap_mask(trimap)[None]),
        "alpha": torch.from_numpy(alpha[None]),
        "factor": torch.tensor(shapes[0][0] / prior.shape[0]),
    }
    both = np.concatenate([small, prior[..., None]], -1)
    below = _read(both, shapes[0], place, side, len(shapes) - 1)
    crop["low"], crop["prior"] = below[:3], below[3:]
    for level in range(len(shapes)):
        crop[f"maps{level}"] = _read(maps, shapes[len(shapes) - 1 - level], place, side, level)
    return crop if rng is None else reorient(crop, int(rng.integers(8)))


def _read(maps: np.ndarray, size: tuple[int, int], place: tuple[int, int], side: int, level: int) -> Tensor:
    """(C, t, t): maps of the working size at the pixels of a window of one level."""
    (y, x), t = (c >> level for c in place), side >> level
    ys, xs = torch.meshgrid(torch.arange(y, y + t), torch.arange(x, x + t), indexing="ij")
    return BilinearMaps(torch.from_numpy(maps), size)(ys, xs).permute(2, 0, 1)


def _recolour(
    image: np.ndarray, small: np.ndarray, maps: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Permuted channels with a random gain and offset: the matting Laplacian, and so the prior, hardly changes by it.

    The smooth colours and the guided filter's model follow exactly.
    """
    gain = rng.uniform(*GAIN, 3).astype(np.float32)
    offset = rng.uniform(*OFFSET, 3).astype(np.float32)
    order = rng.permutation(3)
    image, small, front, back = (x[..., order] * gain + offset for x in (image, small, maps[..., :3], maps[..., 3:6]))
    slope = maps[..., 6:9][..., order] / gain
    level = maps[..., 9:] - (slope * offset).sum(-1, keepdims=True)
    return image, small, np.concatenate([front, back, slope, level], -1)


def level_count(batch: Crop) -> int:
    """Number of pyramid levels of a batch."""
    return sum(name.startswith("maps") for name in batch)


def downsample(x: Tensor, times: int) -> Tensor:
    """(B, C, h, w) averaged over blocks of 2**times pixels a side."""
    return F.avg_pool2d(x, 2**times) if times else x


def active_mask(batch: Crop, level: int) -> Tensor:
    """(B, 1, t, t) bool: a coarse pixel is active where any that it covers is."""
    return F.max_pool2d(batch["active"].float(), 2**level) > 0 if level else batch["active"]
