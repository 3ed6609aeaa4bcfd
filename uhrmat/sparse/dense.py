"""The dense engine: ordinary convolutions times the mask.

It defines the results of all engines, is their reference in tests, and is the one that networks are trained on.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate, write_features


def _as_mask(mask: Tensor | np.ndarray) -> Tensor:
    """(B, 1, H, W) bool from (H, W) or (B, 1, H, W) of any type, non-zero where active."""
    active = torch.as_tensor(mask) != 0
    if active.ndim == 2:
        active = active[None, None]
    if active.ndim != 4 or active.shape[1] != 1:
        shape = tuple(active.shape)
        raise InputError(f"A mask of shape {shape} cannot be an active set.", "Give (H, W) or (B, 1, H, W).")
    return active


class DenseEngine(Engine):
    """Masked dense convolutions on a batch of pictures. Differentiable; works under `torch.autocast`.

    Features are (B, C, h, w), zero off the mask.

    Args:
        mask: (H, W) or (B, 1, H, W), tensor or array of any type, non-zero where active.
        dtype: Of features that `sample` makes.

    Raises:
        InputError: The mask has another shape.
    """

    name = "dense"

    def __init__(self, mask: Tensor | np.ndarray, dtype: torch.dtype = torch.float32) -> None:
        self.dtype = dtype
        self._masks = [_as_mask(mask)]

    def mask(self, level: int) -> Tensor:
        """Active sites of a level, (B, 1, h, w) bool."""
        while len(self._masks) <= level:
            pooled = F.max_pool2d(self._masks[-1].float(), 3, 2, 1)
            self._masks.append(pooled > 0)
        return self._masks[level]

    def wrap(self, data: Tensor, level: int = 0) -> Feat:
        """Features of a level from a tensor (B, C, h, w), which is set to zero off the mask."""
        return self._masked(data, level)

    def sample(self, fn: SampleFn) -> Feat:
        batch, _, height, width = self.mask(0).shape
        device = self.mask(0).device
        ys = torch.arange(height, device=device)[:, None].expand(height, width)
        xs = torch.arange(width, device=device)[None, :].expand(height, width)
        data = fn(ys, xs).to(self.dtype).permute(2, 0, 1).expand(batch, -1, -1, -1)
        return self._masked(data, 0)

    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        out = F.conv2d(x.data, *_cast_kernel(x.data, weight, bias), padding=weight.shape[-1] // 2)
        return self._masked(activate(out, act), x.level)

    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        out = F.conv2d(x.data, *_cast_kernel(x.data, weight, bias), stride=2, padding=1)
        return self._masked(activate(out, act), x.level + 1)

    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        height, width = self.mask(x.level - 1).shape[-2:]
        extra = [height - 2 * x.data.shape[2] + 1, width - 2 * x.data.shape[3] + 1]
        kernel = _cast_kernel(x.data, weight, bias)
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


def _cast_kernel(data: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Kernel and bias in the features' precision, unless autocast casts them."""
    if torch.is_autocast_enabled(data.device.type):
        return weight, bias
    return weight.to(data.dtype), None if bias is None else bias.to(data.dtype)
