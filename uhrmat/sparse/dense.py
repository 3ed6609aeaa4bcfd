"""The dense engine: ordinary convolutions times the mask. It is what all engines mean, their oracle, and trains."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate, write_features


def _as_mask(mask: Tensor | np.ndarray) -> Tensor:
    """(B, 1, H, W) bool from (H, W) or (B, 1, H, W) of any type, non-zero meaning active."""
    found = torch.as_tensor(mask) != 0
    if found.ndim == 2:
        found = found[None, None]
    if found.ndim != 4 or found.shape[1] != 1:
        raise InputError(f"A mask of shape {tuple(found.shape)} is no active set.", "Give (H, W) or (B, 1, H, W).")
    return found


class DenseEngine(Engine):
    """Features are (B, C, H, W), zero off the mask. Differentiable, and at home under `torch.autocast`.

    mask: (H, W) or (B, 1, H, W), tensor or array, non-zero = active. Raises InputError on any other shape.
    """

    name = "dense"

    def __init__(self, mask: Tensor | np.ndarray, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self._masks = [_as_mask(mask)]

    def mask(self, level: int) -> Tensor:
        """(B, 1, h, w) bool: the active sites of a level."""
        while len(self._masks) <= level:
            pooled = F.max_pool2d(self._masks[-1].float(), 3, 2, 1)
            self._masks.append(pooled > 0)
        return self._masks[level]

    def wrap(self, data: Tensor, level: int = 0) -> Feat:
        """Features of a level from a (B, C, h, w) tensor, zeroed off the mask."""
        return self._masked(data, level)

    def sample(self, fn: SampleFn) -> Feat:
        batch, _, height, width = self.mask(0).shape
        device = self.mask(0).device
        ys = torch.arange(height, device=device)[:, None].expand(height, width)
        xs = torch.arange(width, device=device)[None, :].expand(height, width)
        data = fn(ys, xs).to(self.dtype).permute(2, 0, 1).expand(batch, -1, -1, -1)
        return self._masked(data, 0)

    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        out = F.conv2d(x.data, *_alike(x.data, weight, bias), padding=weight.shape[-1] // 2)
        return self._masked(activate(out, act), x.level)

    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        out = F.conv2d(x.data, *_alike(x.data, weight, bias), stride=2, padding=1)
        return self._masked(activate(out, act), x.level + 1)

    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        height, width = self.mask(x.level - 1).shape[-2:]
        extra = [height - 2 * x.data.shape[2] + 1, width - 2 * x.data.shape[3] + 1]
        kernel = _alike(x.data, weight, bias)
        out = F.conv_transpose2d(x.data, *kernel, stride=2, padding=1, output_padding=extra)
        return self._masked(activate(out, act), x.level - 1)

    def cat(self, *xs: Feat) -> Feat:
        return Feat(torch.cat([x.data for x in xs], 1), xs[0].level)

    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        return Feat(activate(x.data + y.data, act), x.level)

    def scale(self, x: Feat, gate: Tensor) -> Feat:
        return Feat(x.data * gate.reshape(-1, gate.shape[-1], 1, 1).to(x.data.dtype), x.level)

    def mean(self, x: Feat) -> Tensor:
        count = self.mask(x.level).sum((2, 3)).clamp(min=1)
        return x.data.sum((2, 3), dtype=torch.float32) / count

    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        target = torch.as_tensor(out)
        index = self.mask(0).select(0, 0).flatten().nonzero().squeeze(1)
        values = x.data.select(0, 0).flatten(1).index_select(1, index).T.to(target)
        places = index.to(target.device)
        width = x.data.shape[-1]
        write_features(target, (places // width, places % width), values, add)

    def values(self, x: Feat) -> Tensor:
        return x.data.permute(0, 2, 3, 1)[self.mask(x.level)[:, 0]]

    def _masked(self, data: Tensor, level: int) -> Feat:
        return Feat(data * self.mask(level).to(data.dtype), level)


def _alike(data: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Kernel and bias in the features' precision, unless autocast sees to that."""
    if torch.is_autocast_enabled(data.device.type):
        return weight, bias
    return weight.to(data.dtype), None if bias is None else bias.to(data.dtype)
