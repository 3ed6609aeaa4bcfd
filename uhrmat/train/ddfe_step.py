"""One training step of DDFE: a batch climbs the pyramid with gradients, and every level is supervised."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.refine.ddfe.network import DDFE, assemble_features
from uhrmat.sparse import DenseEngine
from uhrmat.train.ddfe_crops import Crop, active_mask, downsample, level_count

COARSE_WEIGHT = 0.5
"""Weight of a level's loss against the next finer one's."""


@dataclass(frozen=True)
class LevelOutput:
    """One level, (B, 1, t, t) each. found: alpha, not clamped; offset: see `DDFE`; start: the enlarged prior; true;
    unknown: 0 or 1; front, back: (B, 3, t, t) smooth colours."""

    found: Tensor
    offset: Tensor
    start: Tensor
    true: Tensor
    unknown: Tensor
    front: Tensor
    back: Tensor


def run_pyramid(net: DDFE, batch: Crop, dtype: torch.dtype = torch.float32) -> list[LevelOutput]:
    """All levels of a batch, coarse to fine, each started from the one before."""
    results: list[LevelOutput] = []
    low, alpha, factor = batch["low"], batch["prior"], float(batch["factor"].mean())
    for level in reversed(range(level_count(batch))):
        results.append(_level(net, batch, level, low, alpha, factor, dtype))
        if level:
            low, factor = _doubled(downsample(batch["image"], level)), 2.0
            alpha = _doubled(apply_known(results[-1]))
    return results


def _level(
    net: DDFE, batch: Crop, level: int, low: Tensor, alpha: Tensor, factor: float, dtype: torch.dtype
) -> LevelOutput:
    known = (downsample(batch["known"], level) > 0.999).float()
    unknown, maps = 1 - known.sum(1, keepdim=True), batch[f"maps{level}"]
    planes = (downsample(batch["image"], level), low, alpha, known, maps)
    shown, below, prior, sure, model = (x.permute(0, 2, 3, 1) for x in planes)
    x = assemble_features(shown, below, prior, sure, model if net.config.weighs else None, factor).permute(0, 3, 1, 2)
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        engine = DenseEngine(active_mask(batch, level))
        change, offset = net(engine, engine.wrap(x.contiguous(memory_format=torch.channels_last)))
    start = alpha * unknown + known[:, :1]
    found = start + change.data.float()
    return LevelOutput(
        found, offset.data.float(), start, downsample(batch["alpha"], level), unknown, maps[:, :3], maps[:, 3:6]
    )


def apply_known(result: LevelOutput) -> Tensor:
    """(B, 1, t, t): what inference would hand on: clipped, and known pixels as they are."""
    return torch.where(result.unknown > 0, result.found.clamp(0, 1), result.start)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
