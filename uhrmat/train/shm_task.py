"""Training of the sparse high-resolution module (SHM): its batches, losses and validation for `train.task.fit`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from uhrmat.refine.features import mask_colour_line, residual_baseline
from uhrmat.refine.shm.network import SHM
from uhrmat.sparse import DenseEngine
from uhrmat.train.crops import BlurParams, CropSource, CropStream, build_crop
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import RefinerRecipe
from uhrmat.train.samples import SampleCache, require_samples
from uhrmat.train.task import Batch, TrainingState, fit, learning_rate

__all__ = ["ShmTask", "learning_rate", "predict", "refiner_loss", "train", "validate"]


SIDE_WEIGHT = 0.1
"""Loss weight of the outputs at coarser strides relative to the final one, as in SparseMat (CVPR 2023)."""


@dataclass(frozen=True)
class ShmTask:
    """Trains an `SHM`.

    Attributes:
        recipe: the hyper-parameters.
        cache: a folder of samples (see `samples.fill_samples`), which may grow meanwhile.
    """

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
        *sides, alpha = outputs(net, batch, dtype)
        total, parts = refiner_loss(self.recipe, alpha, batch)
        return total + sum(SIDE_WEIGHT * refiner_loss(self.recipe, side, batch)[0] for side in sides), parts

    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """See `validate`."""
        return validate(net.eval(), SampleCache(self.cache), self.recipe, dtype)


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
        inputs = features[:, : net.config.inputs].contiguous(memory_format=torch.channels_last)
        out = net(engine, engine.wrap(inputs), batch["small"], batch["prior"])
    alphas = [feat.data.float() for feat in (out if isinstance(out, list) else [out])]
    if net.config.residual:
        return [
            residual_baseline(features.movedim(1, -1), batch["fallback"][:, 0], batch["trust"][:, 0])[:, None]
            + batch["trust"] * alphas[-1]
        ]
    return [nn.functional.interpolate(x, side, mode="bilinear", align_corners=False) for x in alphas]


def refiner_loss(recipe: RefinerRecipe, alpha: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The recipe's weighted loss, and its parts for the log."""
    target, unknown = batch["alpha"], batch["unknown"]
    whole = torch.where(unknown, alpha.clamp(0, 1), target)
    parts = {
        "l1": masked_l1(alpha, target, unknown),
        "l2": masked_l2(alpha, target, unknown),
        "gradient": gradient(whole, target, unknown),
        "laplacian": laplacian_pyramid(whole, target, unknown),
    }
    total = torch.stack([getattr(recipe, name) * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}


@torch.no_grad()
def validate(net: nn.Module, cache: SampleCache, recipe: RefinerRecipe, dtype: torch.dtype) -> dict[str, float]:
    """Mean absolute error (x1000) of prior, projection, fallback and network on fixed crops of the held-out scenes
    whose prior has not failed, sharp and blurred."""
    device = next(net.parameters()).device
    totals = np.zeros(4)
    count = 0
    for seed in [s for s in cache.seeds() if s < recipe.held_out]:
        source = CropSource(cache.load(seed))
        if not source.has_unknown or source.prior_failed:
            continue
        size = source.sample.trimap.shape
        side = min(recipe.side, *size)
        middle = source.places[len(source.places) // 2]
        y, x = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(middle, size, strict=True))
        for which in range(len(source.small_images)):
            crop = build_crop(source, (y, x), side, which, blur=seed % 3 / 2 * BlurParams().max_sigma)
            batch = {k: v[None].to(device) for k, v in crop.items()}
            unknown, target = batch["unknown"], batch["alpha"]
            guesses = [(batch["features"][:, c : c + 1] + 1) / 2 for c in (3, 4)]
            guesses += [batch["fallback"], predict(net, batch, dtype).clamp(0, 1)]
            totals += [float(masked_l1(guess, target, unknown)) * 1000 for guess in guesses]
            count += 1
    return dict(zip(("prior", "projection", "fallback", "network"), (totals / max(count, 1)).tolist(), strict=True))


def train(recipe: RefinerRecipe, cache: Path, out: Path, **options: Any) -> TrainingState:
    """`fit` of the refiner on the samples of `cache`, with fit's options."""
    return fit(ShmTask(recipe, cache), out, **options)
