"""The network that corrects the closed form: crops of scenes at working size, losses, validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset, default_collate

from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.prior.networks.lpn_trimap import TrimapNet
from uhrmat.train.crops import GAIN, OFFSET, SAMPLES_IN_MEMORY, CropParams
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import SceneRecipe
from uhrmat.train.samples import SampleCache
from uhrmat.train.task import Batch, batch_numbers

PARAMS = CropParams()


@dataclass(frozen=True, kw_only=True)
class WorkingScene:
    """A scene at one working size (h, w).

    Attributes:
        image: (h, w, 3) float32 in [0, 1].
        trimap: (h, w) uint8.
        closed: the prior's alpha, (h, w) float32.
        alpha: the true alpha, (h, w) float32.
        places: (N, 2), (y, x) of unknown pixels.
        prior_failed: whether the prior is off by more than `CropParams.max_prior_error`.
    """

    image: np.ndarray
    trimap: np.ndarray
    closed: np.ndarray
    alpha: np.ndarray
    places: np.ndarray
    prior_failed: bool


def working_scenes(cache: SampleCache, seed: int) -> list[WorkingScene]:
    """Scene `seed` at each size that its prior was solved at and that has something unknown."""
    sample = cache.load(seed)
    scenes = []
    for which, prior in enumerate(sample.priors):
        trimap = downsample_trimap(sample.trimap, prior.shape)
        image, alpha = area_average(sample.image, prior.shape, 255), area_average(sample.alpha, prior.shape)
        places = np.argwhere(trimap == 128)
        if len(places):
            failed = sample.error(which) > PARAMS.max_prior_error
            scenes.append(
                WorkingScene(image=image, trimap=trimap, closed=prior, alpha=alpha, places=places, prior_failed=failed)
            )
    return scenes


class WorkingStream(IterableDataset[Batch]):
    """An endless stream of batches of crops at working size. Number i depends on the cache, the recipe and i only."""

    def __init__(self, cache: Path, recipe: SceneRecipe, start: int = 0) -> None:
        self.cache, self.recipe, self.start = cache, recipe, start

    def __iter__(self) -> Iterator[Batch]:
        cache, recipe = SampleCache(self.cache), self.recipe
        load = lru_cache(SAMPLES_IN_MEMORY)(lambda seed: working_scenes(cache, seed))
        for number in batch_numbers(self.start):
            rng = np.random.default_rng([recipe.seed, number])
            seeds = [seed for seed in cache.seeds() if seed >= recipe.held_out]
            crops: list[dict[str, Tensor]] = []
            while len(crops) < recipe.batch:
                scenes = load(int(rng.choice(seeds)))
                if not scenes:
                    continue
                scene = scenes[int(rng.integers(len(scenes)))]
                if not scene.prior_failed or rng.random() < PARAMS.failed_share:
                    crops.append(crop(scene, recipe.side, rng))
            yield default_collate(crops)


def crop(scene: WorkingScene, side: int, rng: np.random.Generator | None = None) -> dict[str, Tensor]:
    """(C, side, side) maps around an unknown pixel, mirrored where a scene is smaller; with `rng` any pixel, recoloured
    and turned, else the middle one."""
    pick = len(scene.places) // 2 if rng is None else int(rng.integers(len(scene.places)))
    top, left = (
        int(np.clip(c - side // 2, 0, max(0, n - side)))
        for c, n in zip(scene.places[pick], scene.alpha.shape, strict=True)
    )
    area = np.s_[top : top + side, left : left + side]
    maps = (scene.image, scene.trimap == 255, scene.trimap == 0, scene.closed, scene.alpha)
    part = np.dstack([each[area] for each in maps]).astype(np.float32)
    part = np.pad(part, [(0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)], "symmetric")
    if rng is not None:
        part[..., :3] = np.clip(part[..., rng.permutation(3)] * rng.uniform(*GAIN, 3) + rng.uniform(*OFFSET, 3), 0, 1)
        part = np.rot90(part, int(rng.integers(4)))[:, :: 1 - 2 * int(rng.integers(2))]
    planes = torch.from_numpy(np.ascontiguousarray(part)).permute(2, 0, 1).contiguous()
    return {"image": planes[:3], "known": planes[3:5], "closed": planes[5:6], "alpha": planes[6:7]}


@dataclass(frozen=True)
class TrimapTask:
    """cache: a folder of samples (see `samples.fill_samples`), which may grow meanwhile."""

    recipe: SceneRecipe
    cache: Path

    def build(self) -> TrimapNet:
        """A network that is the closed form."""
        result: TrimapNet = TrimapNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return result

    def stream(self, start: int) -> WorkingStream:
        """Crops of the samples that are not held out."""
        return WorkingStream(self.cache, self.recipe, start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """The recipe's weighted losses on the unknown pixels."""
        alpha, target, unknown = _predict(net, batch, dtype), batch["alpha"], 1 - batch["known"].sum(1, keepdim=True)
        whole = torch.where(unknown > 0, alpha.clamp(0, 1), target)
        parts = {
            "l1": masked_l1(alpha, target, unknown),
            "l2": masked_l2(alpha, target, unknown),
            "gradient": gradient(whole, target, unknown),
            "laplacian": laplacian_pyramid(whole, target, unknown),
        }
        total = torch.stack([getattr(self.recipe, name) * part for name, part in parts.items()]).sum()
        return total, {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean absolute error (x1000) of the closed form and of the network on fixed crops of the held-out scenes."""
        cache, rows = SampleCache(self.cache), []
        device = next(net.parameters()).device
        for seed in [seed for seed in cache.seeds() if seed < self.recipe.held_out]:
            for scene in working_scenes(cache, seed):
                crops = crop(scene, self.recipe.side)
                batch = {name: plane[None].to(device) for name, plane in crops.items()}
                unknown = 1 - batch["known"].sum(1, keepdim=True)
                alphas = (batch["closed"], _predict(net, batch, dtype).clamp(0, 1))
                rows.append([1000 * float(masked_l1(alpha, batch["alpha"], unknown)) for alpha in alphas])
        return dict(zip(("prior", "network"), np.mean(rows or [[0.0, 0.0]], 0).tolist(), strict=True))


def _predict(net: nn.Module, batch: Batch, dtype: torch.dtype) -> Tensor:
    image = batch["image"].contiguous(memory_format=torch.channels_last)
    with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
        logits: Tensor = net(image, batch["known"], batch["closed"]).logits
    return logits
