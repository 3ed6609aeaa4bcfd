"""Layers of the sparse networks: parameters in PyTorch's dense layout, computed by any engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from uhrmat.sparse import DenseEngine, Engine, Feat
from uhrmat.sparse.engine import Act, activate


def channels(x: Feat, start: int, stop: int) -> Feat:
    """Channels `start` to `stop` of features, without a copy; every engine keeps them on axis 1."""
    return x.with_data(x.data[:, start:stop])


def signed(x: Tensor) -> Tensor:
    """2 · x - 1, from [0, 1] to [-1, 1], in one kernel."""
    return torch.rsub(x, -1, alpha=-2)


class SparseConv(nn.Module):
    """One sparse convolution with optional batch normalisation over the active sites and an activation.

    In evaluation the normalisation is folded into the kernel. Training needs the dense engine.

    Args:
        kind: "subm" (3x3 or 1x1, same level), "strided" (3x3, one level down) or "inverse" (3x3 transposed, one up).
        inputs: Channels in.
        outputs: Channels out.
        kernel: Side of the kernel, 1 or 3.
        norm: Whether batch normalisation follows.
        bias: Whether there is a bias beside the normalisation; without normalisation there always is one.
        act: Activation, see `sparse.Act`.
    """

    def __init__(
        self, kind: str, inputs: int, outputs: int, *, kernel: int = 3, norm: bool = False, bias: bool = True, act: Act
    ) -> None:
        super().__init__()
        shape = (inputs, outputs) if kind == "inverse" else (outputs, inputs)
        self.kind, self.act = kind, act
        self.weight = nn.Parameter(torch.empty(*shape, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias or not norm else None
        self.norm = nn.BatchNorm1d(outputs) if norm else None
        # An output of the transposed convolution sees a quarter of the taps.
        fan = inputs * kernel**2 / (4 if kind == "inverse" else 1)
        nn.init.normal_(self.weight, std=(2 / fan) ** 0.5)

    def forward(self, engine: Engine, x: Feat) -> Feat:
        run: Callable[..., Feat] = getattr(engine, f"{self.kind}_conv")
        if self.norm is None or not self.training:
            weight, bias = self.folded()
            return run(x, weight, bias, self.act)
        return _normalise(engine, run(x, self.weight, self.bias), self.norm, self.act)

    def folded(self) -> tuple[Tensor, Tensor | None]:
        """Kernel and bias with the normalisation's running statistics folded in."""
        if self.norm is None:
            return self.weight, self.bias
        mean, var = self.norm.running_mean, self.norm.running_var
        assert mean is not None and var is not None
        gain = self.norm.weight / torch.sqrt(var + self.norm.eps)
        shape = (1, -1, 1, 1) if self.kind == "inverse" else (-1, 1, 1, 1)
        start = mean if self.bias is None else mean - self.bias
        return self.weight * gain.view(shape), self.norm.bias - start * gain

    @torch.no_grad()
    def freeze(self, dtype: torch.dtype) -> None:
        """Fold the normalisation for good and keep kernel and bias in the type of the arithmetic: inference only."""
        weight, bias = self.folded()
        layout = torch.channels_last if weight.device.type == "cuda" else torch.preserve_format
        self.weight = nn.Parameter(weight.to(dtype, memory_format=layout), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias.to(dtype), requires_grad=False)
        self.norm = None


def freeze(net: nn.Module, dtype: torch.dtype) -> None:
    """`SparseConv.freeze` of all sparse convolutions of a network, and its own `merge_layers` before, if it has one."""
    merge: Any = getattr(net, "merge_layers", None)
    if merge is not None:
        merge()
    for layer in net.modules():
        if isinstance(layer, SparseConv):
            layer.freeze(dtype)


def _normalise(engine: Engine, x: Feat, norm: nn.BatchNorm1d, act: Act) -> Feat:
    assert isinstance(engine, DenseEngine), "networks with batch normalisation train on the dense engine"
    mask = engine.mask(x.level)[:, 0]
    rows = x.data.permute(0, 2, 3, 1)
    out = torch.zeros_like(rows)
    out[mask] = activate(norm(rows[mask]), act)
    return Feat(out.permute(0, 3, 1, 2), x.level)


class Residual(nn.Module):
    """Two 3x3 convolutions added to a shortcut: the identity, or a convolution where width or level changes.

    Without normalisation the second kernel starts at zero, so that the block starts as its shortcut.

    Args:
        inputs: Channels in.
        outputs: Channels out.
        stride: Whether the result is one level coarser.
        norm: Whether batch normalisation follows each convolution.
    """

    def __init__(self, inputs: int, outputs: int, *, stride: bool = False, norm: bool = False) -> None:
        super().__init__()
        first = "strided" if stride else "subm"
        self.conv1 = SparseConv(first, inputs, outputs, norm=norm, bias=False, act="relu")
        self.conv2 = SparseConv("subm", outputs, outputs, norm=norm, act=None)
        self.shortcut = None
        if stride or inputs != outputs:
            self.shortcut = SparseConv(first, inputs, outputs, norm=norm, bias=False, act=None)
        if not norm:
            nn.init.zeros_(self.conv2.weight)

    def forward(self, engine: Engine, x: Feat) -> Feat:
        y = self.conv1(engine, x)
        # Before the second convolution: engines may keep what both read of `x`.
        shortcut = x if self.shortcut is None else self.shortcut(engine, x)
        return engine.add(self.conv2(engine, y), shortcut, "relu")
