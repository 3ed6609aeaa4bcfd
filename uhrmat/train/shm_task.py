"""Training of the sparse refiner (SHM): what the loop of `uhrmat.train.task` needs to know about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uhrmat.core.errors import InputError
from uhrmat.refine.features import mask_colour_line, residual_baseline
from uhrmat.refine.shm.network import SHM
from uhrmat.sparse import DenseEngine
from uhrmat.train.crops import MAX_BLUR, CropStream, SampleCrops, build_crop
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import RefinerRecipe, SceneRecipe
from uhrmat.train.samples import SampleCache
from uhrmat.train.task import Batch, TrainingState, fit, learning_rate

__all__ = ["ShmTask", "learning_rate", "predict", "refiner_loss", "train", "validate"]


SIDE_WEIGHT = 0.1
"""Of the outputs at coarser strides against the final one, as SparseMat was trained."""


@dataclass(frozen=True)
class ShmTask:
    """cache: a folder of samples (see `samples.fill_samples`), which may grow meanwhile."""

    recipe: RefinerRecipe
    cache: Path

    def build(self) -> SHM:
        """A network of the recipe's size."""
        return SHM(self.recipe.size)

    def stream(self, start: int) -> CropStream:
        """Crops of the samples that are not held out. Raises InputError where there are none."""
        recipe = self.recipe
        require_samples(self.cache, recipe)
        return CropStream(self.cache, recipe.side, recipe.seed, recipe.held_out, recipe.batch, start, recipe.exact)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """See `refiner_loss`; outputs at coarser strides, which `paper` has in training, count SIDE_WEIGHT each."""
        *sides, found = outputs(net, batch, dtype)
        total, parts = refiner_loss(self.recipe, found, batch)
        return total + sum(SIDE_WEIGHT * refiner_loss(self.recipe, side, batch)[0] for side in sides), parts

    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """See `validate`."""
        return validate(net.eval(), SampleCache(self.cache), self.recipe, dtype)


def require_samples(cache: Path, recipe: SceneRecipe) -> None:
    """Raises InputError where a cache holds nothing to train on."""
    if not any(s >= recipe.held_out for s in SampleCache(cache).seeds()):
        raise InputError(f"{cache} holds no training samples.", "Let `uhrmat train` make them, or wait for the first.")


def predict(net: nn.Module, batch: Batch, dtype: torch.dtype) -> Tensor:
    """(B, 1, s, s) float32: the network's alpha on the active pixels of a batch, not clamped."""
    return outputs(net, batch, dtype)[-1]


def outputs(net: nn.Module, batch: Batch, dtype: torch.dtype) -> list[Tensor]:
    """All alphas (B, 1, s, s) float32 that the network gives, the final one last: for `lite` what inference makes of
    its residual, for `paper` in training those at strides 4, 2 and 1 first, enlarged."""
    assert isinstance(net, SHM)
    features, side = batch["features"], batch["features"].shape[-2:]
    features = features if net.config.line else mask_colour_line(features, 1)
    with torch.autocast(features.device.type, dtype, enabled=dtype != torch.float32):
        engine = DenseEngine(batch["mask"])
        seen = features[:, : net.config.inputs].contiguous(memory_format=torch.channels_last)
        out = net(engine, engine.wrap(seen), batch["small"], batch["prior"])
    found = [feat.data.float() for feat in (out if isinstance(out, list) else [out])]
    if net.config.residual:
        return [
            residual_baseline(features.movedim(1, -1), batch["anchor"][:, 0], batch["trust"][:, 0])[:, None]
            + batch["trust"] * found[-1]
        ]
    return [nn.functional.interpolate(x, side, mode="bilinear", align_corners=False) for x in found]


def refiner_loss(recipe: RefinerRecipe, found: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The recipe's weighted loss, and its parts for the log."""
    true, unknown = batch["alpha"], batch["unknown"]
    fused = torch.where(unknown, found.clamp(0, 1), true)
    parts = {
        "l1": masked_l1(found, true, unknown),
        "l2": masked_l2(found, true, unknown),
        "gradient": gradient(fused, true, unknown),
        "laplacian": laplacian_pyramid(fused, true, unknown),
    }
    total = torch.stack([getattr(recipe, name) * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}


@torch.no_grad()
def validate(net: nn.Module, cache: SampleCache, recipe: RefinerRecipe, dtype: torch.dtype) -> dict[str, float]:
    """Mean absolute error (x1000) of prior, projection, anchor and network on fixed crops of the held-out scenes
    that are not hopeless, sharp and softened."""
    device = next(net.parameters()).device
    totals = np.zeros(4)
    count = 0
    for seed in [s for s in cache.seeds() if s < recipe.held_out]:
        views = SampleCrops(cache.load(seed))
        if not views.usable or views.prior_failed:
            continue
        size = views.sample.trimap.shape
        side = min(recipe.side, *size)
        middle = views.places[len(views.places) // 2]
        y, x = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(middle, size, strict=True))
        for which in range(len(views.small_images)):
            crop = build_crop(views, (y, x), side, which, soft=seed % 3 / 2 * MAX_BLUR)
            batch = {k: v[None].to(device) for k, v in crop.items()}
            unknown, true = batch["unknown"], batch["alpha"]
            guesses = [(batch["features"][:, c : c + 1] + 1) / 2 for c in (3, 4)]
            guesses += [batch["anchor"], predict(net, batch, dtype).clamp(0, 1)]
            totals += [float(masked_l1(guess, true, unknown)) * 1000 for guess in guesses]
            count += 1
    return dict(zip(("prior", "projection", "anchor", "network"), (totals / max(count, 1)).tolist(), strict=True))


def train(recipe: RefinerRecipe, cache: Path, out: Path, **options: Any) -> TrainingState:
    """`fit` of the refiner on the samples of `cache`, with fit's options."""
    return fit(ShmTask(recipe, cache), out, **options)
