"""Training of DDFE (Ye et al., HRIMF-AMR, IEEE TIP 2025): its batches, losses and validation for `train.task.fit`.

HRIMF-AMR Eq. 7 is a weighted sum of four losses without values for the weights; our recipes give them. The gradient
loss is ours, because the paper's refiner makes its own gradient error worse.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import default_collate

from uhrmat.refine.ddfe.network import DDFE
from uhrmat.train.ddfe_crops import Crop, PyramidSource, PyramidStream, build_crop, window_corner
from uhrmat.train.ddfe_step import COARSE_WEIGHT, LevelOutput, apply_known, run_pyramid
from uhrmat.train.losses import composition, gradient, laplacian_pyramid, masked_l1, masked_l2, mdrd
from uhrmat.train.recipe import DetailRecipe
from uhrmat.train.samples import SampleCache, require_samples


@dataclass(frozen=True)
class DDFETask:
    """Trains a `DDFE`.

    Attributes:
        recipe: the hyper-parameters.
        cache: a folder of samples (see `samples.fill_samples`), which may grow meanwhile.
    """

    recipe: DetailRecipe
    cache: Path

    def build(self) -> DDFE:
        """A network of the recipe's size."""
        return DDFE(self.recipe.size)

    def stream(self, start: int) -> PyramidStream:
        """Crops of the samples that are not held out. Raises InputError where there are none."""
        recipe = self.recipe
        require_samples(self.cache, recipe)
        return PyramidStream(self.cache, recipe.side, recipe.seed, recipe.held_out, recipe.batch, start, recipe.exact)

    def loss(self, net: nn.Module, batch: Crop, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """The weighted losses of all levels, the finest counting most; the log shows the finest level's."""
        assert isinstance(net, DDFE)
        total = torch.zeros((), device=batch["image"].device)
        parts: dict[str, float] = {}
        for share, result in enumerate(reversed(run_pyramid(net, batch, dtype))):
            terms = losses(result)
            total = total + COARSE_WEIGHT**share * sum(
                getattr(self.recipe, name) * part for name, part in terms.items()
            )
            parts = parts or {name: float(part.detach()) for name, part in terms.items()}
        return total, parts

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean absolute error (x1000) on fixed crops of the held-out scenes: of the pyramid untrained, and of `net`."""
        device = next(net.parameters()).device
        assert isinstance(net, DDFE)
        nets = {"bilinear": self.build().to(device), "network": net}
        totals = dict.fromkeys(nets, 0.0)
        crops = held_out_crops(SampleCache(self.cache), self.recipe)
        for crop in crops:
            batch = {name: x.to(device) for name, x in default_collate([crop]).items()}
            for name, each in nets.items():
                result = run_pyramid(each, batch, dtype)[-1]
                totals[name] += 1000 * float(masked_l1(apply_known(result), result.target, result.unknown))
        return {name: total / max(1, len(crops)) for name, total in totals.items()}


def held_out_crops(cache: SampleCache, recipe: DetailRecipe) -> list[Crop]:
    """One crop around the middle unknown pixel of each held-out scene for each of its priors."""
    crops: list[Crop] = []
    for seed in (s for s in cache.seeds() if s < recipe.held_out):
        source = PyramidSource(cache.load(seed))
        for which, shapes in enumerate(source.shapes):
            if shapes and len(source.places):
                middle: np.ndarray = source.places[len(source.places) // 2]
                crops.append(build_crop(source, window_corner(source, middle, recipe.side, which), recipe.side, which))
    return crops


def losses(result: LevelOutput) -> dict[str, Tensor]:
    """The losses of one level, by the names of a recipe's loss weights."""
    alpha, target, unknown = result.alpha, result.target, result.unknown
    whole = torch.where(unknown > 0, alpha.clamp(0, 1), target)
    return {
        "l1": masked_l1(alpha, target, unknown),
        "l2": masked_l2(alpha, target, unknown),
        "gradient": gradient(whole, target, unknown),
        "laplacian": laplacian_pyramid(whole, target, unknown),
        "composition": composition(alpha, target, result.front, result.back, unknown),
        "mdrd": mdrd(result.offset, target, result.baseline, unknown),
    }
