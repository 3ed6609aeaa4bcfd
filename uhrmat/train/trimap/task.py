"""The network that corrects the affinity prior in training: crops of scenes, losses, validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset, default_collate

from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_tensors
from uhrmat.prior.networks.lpn_trimap import GRID, TrimapNet, estimate_alpha, start_encoder
from uhrmat.train.losses import masked_l1, masked_l2
from uhrmat.train.recipe import TrimapRecipe
from uhrmat.train.task import Batch, ParameterGroups, batch_numbers, encoder_groups
from uhrmat.train.trimap.scenes import TrimapScene, TrimapSceneCache


@dataclass(frozen=True, kw_only=True)
class CropParams:
    """How crops are drawn and recoloured. None is tuned.

    Attributes:
        scenes_in_memory: that are kept decoded.
        failed_error: mean error of the prior, in [0, 1], above which a scene is taken to be beyond repair.
        failed_share: of the crops of such scenes that are used.
        recoloured: share of crops with another exposure and white balance.
        gamma: standard deviation of the logarithm of its exponent.
        gains: range of the gain of a colour, and of all.
        permuted, grey: shares of crops with colours exchanged, and without colour.
        turned: share of crops that are turned by a right angle.
    """

    scenes_in_memory: int = 1700
    failed_error: float = 0.25
    failed_share: float = 0.2
    recoloured: float = 0.5
    gamma: float = 0.2
    gains: tuple[float, float] = (0.85, 1.1)
    permuted: float = 0.15
    grey: float = 0.08
    turned: float = 0.15


CROPS = CropParams()


class CropStream(IterableDataset[Batch]):
    """An endless stream of batches of crops. Number i depends on the cache, the recipe and i only."""

    def __init__(self, cache: Path, recipe: TrimapRecipe, start: int = 0) -> None:
        self.cache, self.recipe, self.start = cache, recipe, start

    def __iter__(self) -> Iterator[Batch]:
        cache, recipe = TrimapSceneCache(self.cache), self.recipe
        load = lru_cache(CROPS.scenes_in_memory)(cache.load)
        for number in batch_numbers(self.start):
            rng = np.random.default_rng([recipe.seed, number])
            seeds = [seed for seed in cache.seeds() if seed >= recipe.held_out]
            crops: list[dict[str, Tensor]] = []
            while len(crops) < recipe.batch:
                scene = load(int(rng.choice(seeds)))
                if scene.error <= CROPS.failed_error or rng.random() < CROPS.failed_share:
                    crops.append(draw_crop(scene, recipe.side, rng))
            yield default_collate(crops)


def draw_crop(scene: TrimapScene, side: int, rng: np.random.Generator) -> dict[str, Tensor]:
    """A square around an unknown pixel, recoloured, mirrored and turned: image (3, side, side), known (2, side, side),
    closed and alpha (1, side, side), float32 in [0, 1]. Smaller where the scene is."""
    places = np.argwhere(scene.trimap == 128)
    shift = rng.integers(side // 4, side - side // 4, 2)
    corner = places[int(rng.integers(len(places)))] - shift
    top, left = (int(np.clip(c, 0, max(0, n - side))) for c, n in zip(corner, scene.trimap.shape, strict=True))
    area = np.s_[top : top + side, left : left + side]
    image = _recoloured(scene.image[area].astype(np.float32) / 255, rng)
    trimap = scene.trimap[area]
    planes = [image, trimap == 255, trimap == 0, scene.closed[area], scene.alpha[area]]
    part = np.dstack(planes).astype(np.float32)
    if rng.random() < 0.5:
        part = part[:, ::-1]
    if rng.random() < CROPS.turned:
        part = np.rot90(part, int(rng.integers(4)))
    stacked = torch.from_numpy(np.ascontiguousarray(part.transpose(2, 0, 1)))
    return {"image": stacked[:3], "known": stacked[3:5], "closed": stacked[5:6], "alpha": stacked[6:7]}


def _recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < CROPS.recoloured:
        image = image ** np.float32(np.exp(rng.normal(0, CROPS.gamma)))
        image = image * rng.uniform(*CROPS.gains, 3) * rng.uniform(*CROPS.gains)
    if rng.random() < CROPS.permuted:
        image = image[..., rng.permutation(3)]
    if rng.random() < CROPS.grey:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    return np.asarray(image.clip(0, 1), np.float32)


@dataclass(frozen=True)
class TrimapTask:
    """cache: a folder of scenes (see `scenes.fill_scenes`), which may grow meanwhile."""

    recipe: TrimapRecipe
    cache: Path

    def build(self) -> TrimapNet:
        """A network whose encoder is that of the bundled `lpn-subject`."""
        net = TrimapNet(norm=True)
        start_encoder(net, load_tensors(bundled_weights("lpn-subject"))[0])
        result: TrimapNet = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return result

    def parameter_groups(self, net: nn.Module) -> ParameterGroups:
        """The encoder, trained at the recipe's `encoder_rate`, and the rest."""
        return encoder_groups(net, ("stem.", "stages."), self.recipe.encoder_rate)

    def stream(self, start: int) -> CropStream:
        """Crops of the scenes that are not held out."""
        return CropStream(self.cache, self.recipe, start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy and squared error at the estimate's size, weighted by the share of unknown pixels."""
        image, recipe = batch["image"], self.recipe
        with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
            logits = net(image, batch["known"], batch["closed"])
        unknown, target, closed = (
            _pooled(x) for x in (1 - batch["known"].sum(1, keepdim=True), batch["alpha"], batch["closed"])
        )
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        alpha = torch.sigmoid(logits)
        parts = {
            "bce": (entropy * unknown).sum() / (unknown.sum() + 1),
            "l2": masked_l2(alpha, target, unknown),
            "l2_prior": masked_l2(closed, target, unknown),
        }
        total = recipe.bce * parts["bce"] + recipe.l2 * parts["l2"]
        return total, {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean absolute error (x1000) over the unknown pixels of the held-out scenes: of the prior, and of what the
        network draws it to."""
        cache, rows = TrimapSceneCache(self.cache), []
        assert isinstance(net, TrimapNet)
        net.eval()
        device = next(net.parameters()).device
        for seed in [seed for seed in cache.seeds() if seed < self.recipe.held_out]:
            scene = cache.load(seed)
            planes = np.dstack([scene.trimap == 255, scene.trimap == 0, scene.closed, scene.alpha, scene.trimap == 128])
            maps = torch.from_numpy(planes.astype(np.float32).transpose(2, 0, 1).copy())[None].to(device)
            image = torch.from_numpy(scene.image).to(device).permute(2, 0, 1)[None].float() / 255
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                estimate = estimate_alpha(net, image, maps[:, :2], maps[:, 2:3])
            errors = [masked_l1(alpha.float(), maps[:, 3:4], maps[:, 4:5]) for alpha in (maps[:, 2:3], estimate)]
            rows.append([1000 * float(error) for error in errors])
        return dict(zip(("prior", "network"), np.mean(rows or [[0.0, 0.0]], 0).tolist(), strict=True))


def _pooled(x: Tensor) -> Tensor:
    """Averages over the pixels of one pixel of the estimate."""
    return F.avg_pool2d(x, GRID, ceil_mode=True, count_include_pad=False)
