"""Masked-SE, SparseMat's masked squeeze-and-excitation: global context for the sparse network.

Sun, Tang, Tai: "Ultrahigh Resolution Image/Video Matting with Spatio-Temporal Sparsity", CVPR 2023, Fig. 5. The
channels at the bottom of SHM are scaled by gates computed from the context inside and outside the prior.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ContextEncoder(nn.Module):
    """A small dense encoder of the low-resolution picture with its prior, whose output is Masked-SE's context.

    forward(small): takes (B, 4, h, w), picture and prior in [-1, 1]; returns (B, width, h/16, w/16).

    Args:
        width: Channels of the context.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        steps = [(4, 16), (16, 24), (24, width), (width, width)]
        convs = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(inplace=True)) for a, b in steps]
        self.body = nn.Sequential(*convs)

    def forward(self, small: Tensor) -> Tensor:
        context: Tensor = self.body(small)
        return context


GATES = ("masked", "whole", "none")
"""Where the context is pooled: inside and outside the prior, over the whole picture (plain squeeze-and-excitation),
or nowhere (gates are 1)."""


class MaskedSE(nn.Module):
    """Masked-SE (SparseMat Fig. 5): channel gates from the context inside and outside the prior.

    Unlike the authors' release, pooling divides by the mask's area, so that small subjects count, and the gate is
    2·sigmoid with a zero-initialised last layer: it starts as one.

    Args:
        channels: Number of channels that are gated.
        context: Channels of the context.
        kind: One of `GATES`; all but "masked" serve ablations.
    """

    def __init__(self, channels: int, context: int = 32, kind: str = "masked") -> None:
        super().__init__()
        self.kind = kind
        self.front, self.back = nn.Linear(context, context), nn.Linear(context, context)
        self.gate = nn.Linear(2 * context, channels)
        nn.init.zeros_(self.gate.weight)
        nn.init.zeros_(self.gate.bias)

    def forward(self, context: Tensor, alpha: Tensor) -> Tensor:
        """Gates of one picture's channels.

        Args:
            context: (B, context, h, w), of `ContextEncoder`.
            alpha: Prior, (B, 1, H, W) in [0, 1].

        Returns:
            (B, channels) in (0, 2).
        """
        if self.kind == "none":
            return context.new_ones(len(context), self.gate.out_features)
        mask = nn.functional.adaptive_avg_pool2d(alpha, (context.shape[-2], context.shape[-1]))
        inside, outside = (mask, 1 - mask) if self.kind == "masked" else (torch.ones_like(mask),) * 2
        front, back = _pool(context, torch.cat([inside, outside], 1)).unbind(1)
        return 2 * torch.sigmoid(self.gate(torch.cat([self.front(front), self.back(back)], 1).relu()))


def _pool(context: Tensor, masks: Tensor) -> Tensor:
    """Means of the context over masks, (B, masks, C)."""
    areas = masks.flatten(2)
    return areas @ context.flatten(2).mT / (areas.sum(2, keepdim=True) + 1e-3)
