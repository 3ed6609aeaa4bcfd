"""Crops for training the refiner: features exactly as inference builds them, augmented so that priors stay true."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from uhrmat.media.resample import area_average
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.features import BilinearMaps, assemble_features, context_maps, fallback_alpha, network_weight
from uhrmat.refine.guided_filter import guided_coefficients
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.samples import Sample, SampleCache, with_true_priors
from uhrmat.train.task import batch_numbers

Crop = dict[str, Tensor]
GAIN, OFFSET = (0.75, 1.15), (-0.05, 0.1)
"""Ranges of the random gain and offset of a crop's colour channels."""
SAMPLES_IN_MEMORY = 600
"""Samples that each loader process keeps."""


@dataclass(frozen=True, kw_only=True)
class BlurParams:
    """How crops are softened, as by a lens.

    Attributes:
        max_sigma: most that a crop is blurred, pixels of the low-resolution picture.
        share: of the crops that are blurred.
        min_sigma: below so many full-resolution pixels nothing is blurred: it would not show.
    """

    max_sigma: float = 0.7
    share: float = 0.75
    min_sigma: float = 0.2


@dataclass(frozen=True, kw_only=True)
class CropParams:
    """How crops are chosen.

    Attributes:
        tries: random places that are looked at for each crop.
        full: share of unknown pixels at which a place is taken without looking further.
        max_prior_error: mean absolute error of a prior over the unknown region above which it has failed: nothing
            near a pixel tells what the alpha should be.
        failed_share: how often a scene whose prior has failed is used when it is drawn.
    """

    tries: int = 12
    full: float = 0.6
    max_prior_error: float = 0.1
    failed_share: float = 0.05


class CropStream(IterableDataset[Crop]):
    """An endless stream of batches of crops from the samples that a cache holds at the time.

    Batch number i depends on the cache, `seed` and i only. Each batch holds, for B crops of s x s pixels: features
    (B, C, s, s), mask (B, 1, s, s) bool of active pixels, unknown (B, 1, s, s) bool, alpha (B, 1, s, s) true, small
    (B, 3, c, c) and prior (B, 1, c, c) for the context encoder, fallback (B, 1, s, s) and trust (B, 1, 1, 1), see
    `refine.features.fallback_alpha` and `refine.features.trust`.

    Args:
        cache: folder of a `SampleCache`.
        side: of a crop, pixels.
        seed: of the stream's random numbers.
        exclude: samples with a seed below it are held out for validation.
        batch: crops of a batch.
        start: number of the first batch.
        exact: share of the crops whose prior is the true alpha, area-averaged.
        params: how crops are chosen.
    """

    def __init__(
        self, cache: Path, side: int, seed: int, exclude: int, batch: int, start: int = 0, exact: float = 0.0,
        params: CropParams = CropParams(),
    ) -> None:  # fmt: skip
        self.cache, self.side, self.seed, self.exclude = cache, side, seed, exclude
        self.batch, self.start, self.exact, self.params = batch, start, exact, params

    def __iter__(self) -> Iterator[Crop]:
        cache = SampleCache(self.cache)

        @lru_cache(SAMPLES_IN_MEMORY)
        def load(seed: int, exact: bool) -> CropSource:
            sample = cache.load(seed)
            return CropSource(with_true_priors(sample) if exact else sample, self.params)

        for number in batch_numbers(self.start):
            yield default_collate(self._batch(cache.seeds(), load, np.random.default_rng([self.seed, number])))

    def _batch(self, seeds: list[int], load: Callable[[int, bool], CropSource], rng: np.random.Generator) -> list[Crop]:
        seeds = [s for s in seeds if s >= self.exclude]
        crops: list[Crop] = []
        while len(crops) < self.batch:
            source = load(int(rng.choice(seeds)), bool(rng.random() < self.exact))
            if not source.has_unknown or (source.prior_failed and rng.random() > self.params.failed_share):
                continue
            crops += [draw_crop(source, self.side, rng) for _ in range(min(2, self.batch - len(crops)))]
        return crops


class CropSource:
    """A sample with what all its crops share.

    Attributes:
        sample: the scene.
        places: (N, 2) int32, (y, x) of its unknown pixels.
        has_unknown: whether there are any.
        prior_failed: whether the first prior is off by more than `CropParams.max_prior_error`.
        small_images: for each prior the picture at its size, (h, w, 3) float32 in [0, 1].
        colours: for each prior its smooth foreground and background colours, (h, w, 3) each.
    """

    def __init__(self, sample: Sample, params: CropParams = CropParams()) -> None:
        self.sample, self.params = sample, params
        self.places = np.argwhere(sample.trimap == 128).astype(np.int32)
        self.has_unknown = len(self.places) > 0
        self.prior_failed = self.has_unknown and sample.error(0) > params.max_prior_error
        self.small_images = [area_average(sample.image, prior.shape, 255) for prior in sample.priors]
        self.colours = [self._colours(*pair) for pair in zip(self.small_images, sample.priors, strict=True)]

    @staticmethod
    def _colours(small: np.ndarray, prior: np.ndarray) -> list[np.ndarray]:
        planes = torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(prior)[None, None]
        return [c[0].permute(1, 2, 0).numpy() for c in estimate_smooth_colours(*planes)]


def draw_crop(source: CropSource, side: int, rng: np.random.Generator) -> Crop:
    """A random crop full of unknown pixels, or the fullest of a few; augmented.

    Args:
        source: a sample with unknown pixels.
        side: of the crop, pixels.
        rng: decides place, prior, blur, colours and orientation.

    Returns:
        See `build_crop`.
    """
    sample = source.sample
    height, width = sample.trimap.shape
    best, place = -1.0, (0, 0)
    for _ in range(source.params.tries):
        pick = source.places[int(rng.integers(len(source.places)))]
        shift = rng.integers(-side // 4, side // 4 + 1, 2)
        y, x = (int(np.clip(c - side // 2 + s, 0, n - side)) for c, s, n in
                ((pick[0], shift[0], height), (pick[1], shift[1], width)))  # fmt: skip
        share = float((sample.trimap[y : y + side, x : x + side] == 128).mean())
        if share > best:
            best, place = share, (y, x)
        if share >= source.params.full:
            break
    which = int(rng.integers(len(sample.priors)))
    return build_crop(source, place, side, which, rng, draw_blur(rng))


def draw_blur(rng: np.random.Generator, params: BlurParams = BlurParams()) -> float:
    """A random Gaussian sigma for a crop, in pixels of the low-resolution picture; 0 for sharp crops."""
    return float(rng.uniform(0, params.max_sigma)) if rng.random() < params.share else 0.0


def build_crop(
    source: CropSource, place: tuple[int, int], side: int, which: int, rng: np.random.Generator | None = None,
    blur: float = 0.0,
) -> Crop:  # fmt: skip
    """Features and targets of one crop.

    Args:
        source: a sample.
        place: (y, x) of the crop's top left pixel.
        side: of the crop, pixels.
        which: number of the prior.
        rng: augments colours and orientation; None for validation.
        blur: Gaussian sigma of picture and alpha, in pixels of the low-resolution picture, as a lens softens them; the
            prior hardly changes by it.

    Returns:
        The tensors of `CropStream`, without the batch dimension.
    """
    sample = source.sample
    (y, x), size = place, sample.trimap.shape
    part = np.s_[y : y + side, x : x + side]
    prior = sample.priors[which]
    scale = size[0] / prior.shape[0]
    image, alpha = (blur_window(plane, part, blur * scale) for plane in (sample.image, sample.alpha))
    shown = [image / np.float32(255), source.small_images[which], *source.colours[which]]
    image, small, front, back = shown if rng is None else _recolour(shown, rng)
    maps = torch.from_numpy(np.concatenate([prior[..., None], front, back], -1))
    ys, xs = torch.meshgrid(torch.arange(y, y + side), torch.arange(x, x + side), indexing="ij")
    trimap = torch.from_numpy(sample.trimap[part])
    features = assemble_features(torch.from_numpy(image), BilinearMaps(maps, size)(ys, xs), trimap, scale)
    weight, guided = network_weight(scale)
    model = BilinearMaps(torch.from_numpy(guided_coefficients(small, prior)), size)(ys, xs) if guided else None
    crop = {
        "features": features.permute(2, 0, 1),
        "fallback": fallback_alpha(features, model, guided)[None],
        "trust": torch.full((1, 1, 1), weight),
        "mask": torch.from_numpy(trimap_mask(sample.trimap[part])[None]),
        "unknown": (trimap == 128)[None],
        "alpha": torch.from_numpy(alpha)[None],
        "small": context_maps(small),
        "prior": context_maps(prior[..., None]),
    }
    return crop if rng is None else reorient(crop, int(rng.integers(8)))


def blur_window(
    plane: np.ndarray, part: tuple[slice, slice], sigma: float, params: BlurParams = BlurParams()
) -> np.ndarray:
    """A part of a plane (H, W[, C]) as float32, blurred by `sigma` pixels together with its surroundings."""
    if sigma < params.min_sigma:
        return plane[part].astype(np.float32)
    reach = math.ceil(3 * sigma)
    wide = [slice(max(0, p.start - reach), p.stop + reach) for p in part]
    blurred = cv2.GaussianBlur(plane[tuple(wide)].astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REFLECT)
    inner = [slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, wide, strict=True)]
    return np.asarray(blurred[tuple(inner)])


def _recolour(pictures: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Permuted channels with a random gain and offset: the matting Laplacian, and so the prior, hardly changes by it.

    The smooth colours follow exactly, since they are weighted means.
    """
    gain = rng.uniform(*GAIN, 3).astype(np.float32)
    offset = rng.uniform(*OFFSET, 3).astype(np.float32)
    order = rng.permutation(3)
    return [np.clip(picture[..., order] * gain + offset, 0, 1) for picture in pictures]


def reorient(crop: Crop, turn: int) -> Crop:
    """One of the eight orientations of a crop, applied to every map (..., H, W); scalars stay.

    Args:
        crop: tensors by name.
        turn: bit 0 transposes, bit 1 mirrors left and right, bit 2 top and bottom.
    """
    flips = [axis for bit, axis in ((2, -1), (4, -2)) if turn & bit]
    maps = {name: x.transpose(-1, -2) if turn & 1 and x.ndim else x for name, x in crop.items()}
    return {name: (x.flip(flips) if flips and x.ndim else x).contiguous() for name, x in maps.items()}
