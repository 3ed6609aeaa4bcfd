"""One training step of DDFE: all levels of a pyramid, from coarse to fine, with gradients and a loss at each."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.refine.ddfe.network import DDFE, assemble_features
from uhrmat.sparse import DenseEngine
from uhrmat.train.ddfe_crops import Crop, active_mask, downsample, level_count

COARSE_WEIGHT = 0.5
"""Weight of a level's loss relative to that of the next finer one."""


@dataclass(frozen=True, kw_only=True)
class LevelOutput:
    """What one level of the pyramid gives; t: side of the level in pixels.

    Attributes:
        alpha: (B, 1, t, t), not clamped.
        offset: (B, 1, t, t), the predicted matte detail resolution difference, see `DDFE`.
        baseline: (B, 1, t, t), the upsampled prior with known pixels exact.
        target: (B, 1, t, t), the true alpha.
        unknown: (B, 1, t, t), 0 or 1.
        front: (B, 3, t, t), smooth foreground colours.
        back: (B, 3, t, t), smooth background colours.
    """

    alpha: Tensor
    offset: Tensor
    baseline: Tensor
    target: Tensor
    unknown: Tensor
    front: Tensor
    back: Tensor


def run_pyramid(net: DDFE, batch: Crop, dtype: torch.dtype = torch.float32) -> list[LevelOutput]:
    """Run DDFE over all levels of a batch, coarse to fine, each from the alpha of the one before.

    Args:
        net: the network in training.
        batch: of a `PyramidStream`.
        dtype: of the network's arithmetic.

    Returns:
        One output per level, the finest last.
    """
    results: list[LevelOutput] = []
    low, alpha, factor = batch["low"], batch["prior"], float(batch["factor"].mean())
    for level in reversed(range(level_count(batch))):
        results.append(_level(net, batch, level, low, alpha, factor, dtype))
        if level:
            low, factor = _upsample2(downsample(batch["image"], level)), 2.0
            alpha = _upsample2(apply_known(results[-1]))
    return results


def _level(
    net: DDFE, batch: Crop, level: int, low: Tensor, alpha: Tensor, factor: float, dtype: torch.dtype
) -> LevelOutput:
    """One level. low, alpha: colour and alpha of the level below, at this one's size; factor: between both."""
    known = (downsample(batch["known"], level) > 0.999).float()
    unknown, maps = 1 - known.sum(1, keepdim=True), batch[f"maps{level}"]
    planes = (downsample(batch["image"], level), low, alpha, known, maps)
    colour, low_colour, prior, marks, model = (x.permute(0, 2, 3, 1) for x in planes)
    x = assemble_features(colour, low_colour, prior, marks, model if net.config.weighs else None, factor).permute(
        0, 3, 1, 2
    )
    with torch.autocast(x.device.type, dtype, enabled=dtype != torch.float32):
        engine = DenseEngine(active_mask(batch, level))
        change, offset = net(engine, engine.wrap(x.contiguous(memory_format=torch.channels_last)))
    baseline = alpha * unknown + known[:, :1]
    return LevelOutput(
        alpha=baseline + change.data.float(), offset=offset.data.float(), baseline=baseline,
        target=downsample(batch["alpha"], level), unknown=unknown, front=maps[:, :3], back=maps[:, 3:6],
    )  # fmt: skip


def apply_known(result: LevelOutput) -> Tensor:
    """(B, 1, t, t): the alpha as inference passes it to the next level: clamped, known pixels exact."""
    return torch.where(result.unknown > 0, result.alpha.clamp(0, 1), result.baseline)


def _upsample2(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
