"""Building blocks of the sparse networks: parameters in dense layout, arithmetic by whichever engine is given."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from uhrmat.sparse import DenseEngine, Engine, Feat
from uhrmat.sparse.engine import Act, activate


def channels(x: Feat, start: int, stop: int) -> Feat:
    """Some channels of features; every engine keeps them on axis 1."""
    return Feat(x.data[:, start:stop], x.level)


class SparseConv(nn.Module):
    """One sparse convolution with optional batch normalisation over the active sites and an activation.

    kind: "subm" (3x3 or 1x1, same level), "strided" (3x3, one level down) or "inverse" (3x3 transposed, one level up).
    In evaluation the normalisation is folded into the kernel. Training needs the dense engine.
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
        run = getattr(engine, f"{self.kind}_conv")
        if self.norm is None or not self.training:
            weight, bias = self.folded()
            return run(x, weight, bias, self.act)
        return _normalised(engine, run(x, self.weight, self.bias), self.norm, self.act)

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


def _normalised(engine: Engine, x: Feat, norm: nn.BatchNorm1d, act: Act) -> Feat:
    assert isinstance(engine, DenseEngine), "networks with batch normalisation train on the dense engine"
    mask = engine.mask(x.level)[:, 0]
    rows = x.data.permute(0, 2, 3, 1)
    found = torch.zeros_like(rows)
    found[mask] = activate(norm(rows[mask]), act)
    return Feat(found.permute(0, 3, 1, 2), x.level)


class Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut (identity, or `shortcut` "strided" / "subm" where width or level changes).

    Without normalisation the second kernel starts at zero, so that the block starts as its shortcut.
    """

    def __init__(
        self, inputs: int, outputs: int, *, stride: bool = False, norm: bool = False, inner_bias: bool = True
    ) -> None:
        super().__init__()
        first = "strided" if stride else "subm"
        self.conv1 = SparseConv(first, inputs, outputs, norm=norm, bias=False, act="relu")
        self.conv2 = SparseConv("subm", outputs, outputs, norm=norm, bias=inner_bias, act=None)
        self.shortcut = None
        if stride or inputs != outputs:
            self.shortcut = SparseConv(first, inputs, outputs, norm=norm, bias=False, act=None)
        if not norm:
            nn.init.zeros_(self.conv2.weight)

    def forward(self, engine: Engine, x: Feat) -> Feat:
        found = self.conv2(engine, self.conv1(engine, x))
        return engine.add(found, x if self.shortcut is None else self.shortcut(engine, x), "relu")


class ContextEncoder(nn.Module):
    """A small dense encoder of the low-resolution picture with its prior: (B, 4, h, w) -> (B, width, h/16, w/16)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        steps = [(4, 16), (16, 24), (24, width), (width, width)]
        convs = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(inplace=True)) for a, b in steps]
        self.body = nn.Sequential(*convs)

    def forward(self, small: Tensor) -> Tensor:
        return self.body(small)


GATES = ("masked", "whole", "none")
"""What the gates are made from: the context inside and outside the prior, all of it alike, nothing."""


class MaskedSE(nn.Module):
    """Masked squeeze-and-excitation (SparseMat Fig. 5): channel gates from the context inside and outside the prior.

    Unlike the release, pooling divides by the mask's area, so that small subjects count, and the gate is 2·sigmoid
    with a zero-initialised last layer: it starts as one.
    """

    def __init__(self, channels: int, context: int = 32, kind: str = "masked") -> None:
        """kind: one of GATES; the others are there to be compared with."""
        super().__init__()
        self.kind = kind
        self.front, self.back = nn.Linear(context, context), nn.Linear(context, context)
        self.gate = nn.Linear(2 * context, channels)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, context: Tensor, alpha: Tensor) -> Tensor:
        """context: (B, C, h, w); alpha: (B, 1, H, W) prior. Returns gates (B, channels) in (0, 2)."""
        if self.kind == "none":
            return context.new_ones(len(context), self.gate.out_features)
        mask = nn.functional.adaptive_avg_pool2d(alpha, (context.shape[-2], context.shape[-1]))
        inside, outside = (mask, 1 - mask) if self.kind == "masked" else (torch.ones_like(mask),) * 2
        front = self.front(_pooled(context, inside)).relu()
        back = self.back(_pooled(context, outside)).relu()
        return 2 * torch.sigmoid(self.gate(torch.cat([front, back], 1)))


def _pooled(context: Tensor, mask: Tensor) -> Tensor:
    return (context * mask).sum((2, 3)) / (mask.sum((2, 3)) + 1e-3)
