"""SparseMat's sparse module as its published weights mean it, for weights that `uhrmat models convert` wrote.

Sun, Tang, Tai, CVPR 2023, with what spconv 1.2.1 made of it. It differs from `shm.SHM("paper")` in this: layer4.0 reads
off centre, Masked-SE pools over the whole picture and takes the 32-channel context of the low-resolution network at
1/16 instead of one of its own, and the skip at full resolution is RGB in [0, 1]. It runs on the dense engine alone.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.hub.tensors import load_into, load_tensors
from uhrmat.refine.layers import Residual, SparseConv
from uhrmat.refine.shm.network import SHM
from uhrmat.sparse import DenseEngine, Engine, Feat


class OffCentre(SparseConv):
    """A 3x3 submanifold convolution whose taps read at offsets -1, +1, +3, the centre tap at 0.

    spconv 1.2.1 pads a dilated submanifold convolution by 1 instead of 2 and takes the centre for the identity.
    """

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """The same as a centred 7x7 kernel: index 3 is offset 0."""
        weight, bias = super().folded()
        spread = weight.new_zeros(*weight.shape[:2], 7, 7)
        spread[..., 2::2, 2::2] = weight
        spread[..., 4, 4] = 0
        spread[..., 3, 3] = weight[..., 1, 1]
        return spread, bias


class ReleasedSE(nn.Module):
    """Masked-SE as released: pooled over the whole picture, not over the mask; a plain sigmoid."""

    def __init__(self, channels: int, context: int = 32) -> None:
        super().__init__()
        self.front, self.back = nn.Linear(context, context), nn.Linear(context, context)
        self.gate = nn.Linear(2 * context, channels)

    def forward(self, context: Tensor, alpha: Tensor) -> Tensor:
        """context: (B, 32, h, w); alpha: (B, 1, H, W) prior. Returns gates (B, channels) in (0, 1)."""
        mask = F.interpolate(alpha, context.shape[-2:], mode="bilinear", align_corners=False)
        front = self.front((context * mask).mean((2, 3))).relu()
        back = self.back((context * (1 - mask)).mean((2, 3))).relu()
        return torch.sigmoid(self.gate(torch.cat([front, back], 1)))


class ReleasedSHM(SHM):
    """forward(engine, x, context, alpha): x: level-0 features, RGB and prior in [-1, 1], 4 channels; context: (B, 32,
    h, w) of the low-resolution network; alpha: (B, 1, H, W) in [0, 1]. Returns alpha at the active pixels."""

    def __init__(self) -> None:
        super().__init__("paper")
        stage = self.stages[3]
        assert isinstance(stage, nn.ModuleList) and isinstance(stage[0], Residual)
        stage[0].conv1 = OffCentre("subm", 256, 512, norm=True, bias=False, act="relu")
        stage[0].shortcut = OffCentre("subm", 256, 512, norm=True, bias=False, act=None)
        self.context, self.gate = nn.Identity(), ReleasedSE(512)  # type: ignore[assignment]

    def gates(self, small: Tensor, alpha: Tensor) -> Tensor:
        return self.gate(small, alpha)

    def _encode(self, engine: Engine, x: Feat) -> tuple[Feat, tuple[Feat, Feat, Feat]]:
        assert isinstance(engine, DenseEngine), "kernels of 7x7 run on the dense engine alone"
        bottom, (quarter, half, rgb) = super()._encode(engine, x)
        return bottom, (quarter, half, engine.wrap((rgb.data + 1) / 2))


def load_released(path: Path) -> ReleasedSHM:
    """The module with weights that `uhrmat models convert` made. Raises WeightsError for other weights."""
    return load_into(ReleasedSHM(), load_tensors(path)[0], path, "SparseMat's sparse module", "uhrmat models convert")
