"""MobileNetV2 (Sandler et al., CVPR 2018, https://arxiv.org/abs/1801.04381), width 1, as the encoder of the LPN.

Differences from the paper: no classifier, no batch normalisation (it is part of the convolutions of the weights that
training starts from), and the last 1x1 convolution to 1280 channels is left out. The stages end where pictures are
halved next, so that each stage's output is the skip of its grid.
"""

from __future__ import annotations

from torch import Tensor, nn

_BLOCKS = ((6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
"""Expansion, channels and number of the bottlenecks after the first (Table 2 of the paper)."""
_STAGES = ((0,), (1,), (2, 3), (4, 5))
"""Which rows of `_BLOCKS` make up the stages at 1/4, 1/8, 1/16 and 1/32 of the picture's size."""
_STEM = 32


class Bottleneck(nn.Module):
    """Expansion (1x1), depthwise convolution (3x3), projection (1x1), plus the input where the shapes agree.

    Args:
        inputs, outputs: channels.
        expansion: channels inside, as a multiple of `inputs`; 1 leaves the expansion out.
        stride: of the depthwise convolution.
    """

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int = 1) -> None:
        super().__init__()
        inside = inputs * expansion
        self.expand = nn.Identity() if expansion == 1 else nn.Sequential(nn.Conv2d(inputs, inside, 1), nn.ReLU6(True))
        self.spread = nn.Sequential(nn.Conv2d(inside, inside, 3, stride, 1, groups=inside), nn.ReLU6(True))
        self.project = nn.Conv2d(inside, outputs, 1)
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride))."""
        change: Tensor = self.project(self.spread(self.expand(x)))
        return x + change if self.skip else change


def mobilenet_v2_stages() -> tuple[nn.Sequential, nn.ModuleList]:
    """Layers at 1/2 (RGB in [-1, 1] to 16 channels), and stages at 1/4 (24), 1/8 (32), 1/16 (96) and 1/32 (320)."""
    stem = nn.Sequential(nn.Conv2d(3, _STEM, 3, 2, 1), nn.ReLU6(True), Bottleneck(_STEM, 16, 1))
    stages, width = nn.ModuleList(), 16
    for rows in _STAGES:
        blocks: list[nn.Module] = []
        for row in rows:
            expansion, channels, count = _BLOCKS[row]
            for _ in range(count):
                first = not blocks
                blocks.append(Bottleneck(width, channels, expansion, 2 if first else 1))
                width = channels
        stages.append(nn.Sequential(*blocks))
    return stem, stages
