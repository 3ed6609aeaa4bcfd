"""Training of the blend over time: what the loop of `uhrmat.train.task` needs to know about it.

A step goes through a few frames in a row, each starting from what the network made of the one before, so that its own
errors come back to it as they do in a clip.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.refine.time import TimeNet, assemble
from uhrmat.sparse import DenseEngine
from uhrmat.train.clips import FootageCache
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import TimeRecipe
from uhrmat.train.task import Batch
from uhrmat.train.time_crops import TimeStream, held_out_crops
from uhrmat.video.blend import weight_of


@dataclass(frozen=True)
class TimeTask:
    """cache: a folder of clips (see `clips.fill_clips`), which may grow meanwhile."""

    recipe: TimeRecipe
    cache: Path

    def build(self) -> TimeNet:
        """A network of the recipe's size."""
        return TimeNet(self.recipe.size)

    def stream(self, start: int) -> TimeStream:
        """Crops of the clips that are not held out. Raises InputError where there are none."""
        if not any(seed >= self.recipe.held_out for seed in FootageCache(self.cache).seeds()):
            raise InputError(f"{self.cache} holds no training clips.", "Let `uhrmat train` make them first.")
        return TimeStream(self.cache, self.recipe, start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """The weighted losses of all frames of a batch."""
        found = replay(net, batch, dtype)
        parts = losses(found, batch)
        total = torch.stack([getattr(self.recipe, name) * part for name, part in parts.items()]).sum()
        return total, {name: float(part.detach()) for name, part in parts.items()}

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """MAD (x1000) and dtSSD (x100) on fixed crops of the held-out clips: of each frame for itself, of the rule, and
        of `net`."""
        device = next(net.parameters()).device
        ways: dict[str, nn.Module | None] = {"alone": None, "rule": self.build().to(device), "network": net}
        totals = {f"{name}{kind}": 0.0 for name in ways for kind in ("", "_dtssd")}
        crops = held_out_crops(FootageCache(self.cache), self.recipe)
        for crop in crops:
            batch = {name: x[None].to(device) for name, x in crop.items()}
            for name, each in ways.items():
                parts = losses(replay(each, batch, dtype), batch)
                totals[name] += 1000 * float(parts["l1"])
                totals[f"{name}_dtssd"] += 100 * float(parts["flicker"])
        return {name: total / max(1, len(crops)) for name, total in totals.items()}


def replay(net: nn.Module | None, batch: Batch, dtype: torch.dtype = torch.float32) -> Tensor:
    """(B, T + 1, s, s): the alphas of a batch frame by frame, the first as it was. None: nothing is averaged."""
    alphas = [batch["rule"][:, 0]]
    for t in range(1, batch["rule"].shape[1]):
        new, spatial = batch["new"][:, t], batch["spatial"][:, t]
        joined = new if net is None else _joined(net, batch, alphas[-1], t, dtype)
        # Eq. 2, with what the prior and the hints settle as the clip had it.
        kept = torch.where(spatial, alphas[-1], batch["rule"][:, t])
        found = torch.where(batch["active"][:, t], joined.clamp(0, 1), kept)
        alphas.append(torch.where(batch["unknown"][:, t], found, batch["rule"][:, t]))
    return torch.stack(alphas, 1)


def _joined(net: nn.Module, batch: Batch, last: Tensor, t: int, dtype: torch.dtype) -> Tensor:
    """(B, s, s): new alphas with what the rule and the network make of them, where there are last ones."""
    new, maps, where = batch["new"][:, t], batch["maps"][:, t], batch["where"][:, t]
    earlier = torch.cat([last[..., None], batch["image"][:, t - 1]], -1)
    scale, noise = batch["scale"][:, None, None, None], batch["noise"][:, t, None, None, None]
    there = _along(earlier, scale * maps[..., :2])
    alphas = torch.stack([new, last, there[..., 0]], -1)
    colours = torch.cat([batch["image"][:, t], earlier[..., 1:], there[..., 1:]], -1)
    weight = weight_of((last - new)[..., None], maps, batch["same"][:, t, ..., None], scale)
    x = assemble(alphas, weight, colours, maps, batch["known"][:, t], scale, noise).permute(0, 3, 1, 2)
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        engine = DenseEngine(where[:, None])
        change = net(engine, engine.wrap(x.contiguous(memory_format=torch.channels_last))).data[:, 0].float()
    return new + where * (weight[..., 0] * (last - new) + change)


def _along(earlier: Tensor, move: Tensor) -> Tensor:
    """(B, h, w, C): `earlier` (B, h, w, C) at each pixel's place plus `move` (B, h, w, 2), as (x, y): what
    `refine.time.between` reads, with gradients."""
    places = [2 * torch.arange(n, device=move.device) / max(1, n - 1) - 1 for n in reversed(move.shape[1:3])]
    last = torch.tensor([max(1, n - 1) for n in reversed(move.shape[1:3])], device=move.device)
    grid = torch.stack(torch.meshgrid(*places, indexing="xy"), -1) + 2 * move / last
    planes = F.grid_sample(earlier.permute(0, 3, 1, 2), grid, padding_mode="border", align_corners=True)
    return planes.permute(0, 2, 3, 1)


def losses(found: Tensor, batch: Batch) -> dict[str, Tensor]:
    """The losses of the frames after the first, by the names of a recipe's weights. found: of `replay`."""
    true, unknown = batch["alpha"], batch["unknown"].float()
    step, mask = found.diff(dim=1) - true.diff(dim=1), unknown[:, 1:]
    alphas, exact, open_ = (x[:, 1:].flatten(0, 1)[:, None] for x in (found, true, unknown))
    return {
        "l1": masked_l1(alphas, exact, open_),
        "l2": masked_l2(alphas, exact, open_),
        "gradient": gradient(alphas, exact, open_),
        "laplacian": laplacian_pyramid(alphas, exact, open_),
        "change": (step.abs() * mask).sum() / (mask.sum() + 1),
        "flicker": ((step.square() * mask).sum((2, 3)) / (mask.sum((2, 3)) + 1) + 1e-8).sqrt().mean(),
    }
