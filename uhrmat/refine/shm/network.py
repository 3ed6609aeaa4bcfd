"""SHM, the sparse high-resolution module of SparseMat.

Sun, Tang, Tai: "Ultrahigh Resolution Image/Video Matting with Spatio-Temporal Sparsity", CVPR 2023, §3.3,
https://openaccess.thecvf.com/content/CVPR2023/html/Sun_Ultrahigh_Resolution_ImageVideo_Matting_With_Spatio-Temporal_Sparsity_CVPR_2023_paper.html
Its sparsity masks (§3.2) and fusion (Eq. 2) are in `uhrmat.sparsity`, Masked-SE in `masked_se`, the cascade in
`uhrmat.refine.memory.cascade`. A sparse U-Net on the active pixels: strides 1, 2, 4, 8, a gate from Masked-SE at the
bottom, skips at 1/4, 1/2 and 1/1.

What differs from the paper. `paper` has its widths (64/64/128/256/512, decoder 256-256-64, head 67-32-16-1) and batch
normalisation, with the shortcuts as plain 3x3 and without the release's faulty dilated layer; its context comes from an
encoder of its own, so that any prior can stand in front. `lite` is ours: narrower, no normalisation, colour-line
features in, a zero-initialised residual on the colour-line projection out, a fusing convolution after each skip.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from uhrmat.refine.features import CHANNELS
from uhrmat.refine.layers import Residual, SparseConv, channels, signed
from uhrmat.refine.shm.masked_se import ContextEncoder, MaskedSE
from uhrmat.sparse import Engine, Feat
from uhrmat.sparse.engine import Act


@dataclass(frozen=True, kw_only=True)
class SHMConfig:
    """Architecture of one size. Weights fit one configuration only.

    Attributes:
        inputs: Channels at a pixel, the first of `features.assemble_features`.
        stem: Width at full resolution.
        half: Width at stride 2.
        stages: (width, blocks, strided) after stride 2.
        decoder: Widths at strides 4, 2, 1.
        head: Widths of the two 3x3 layers of the head.
        norm: Whether batch normalisation follows the convolutions, as in the paper.
        residual: Whether the output is added to the residual baseline, else it is alpha.
        gate: One of `masked_se.GATES`.
        line: Whether it sees colour lines and starts from the projection, else from the prior.
    """

    inputs: int
    stem: int
    half: int
    stages: tuple[tuple[int, int, bool], ...]
    decoder: tuple[int, int, int]
    head: tuple[int, int]
    norm: bool
    residual: bool
    gate: str = "masked"
    line: bool = True


SIZES = {
    "paper": SHMConfig(
        inputs=4,
        stem=64,
        half=64,
        stages=((64, 2, True), (128, 2, True), (256, 2, False), (512, 2, False)),
        decoder=(256, 256, 64),
        head=(32, 16),
        norm=True,
        residual=False,
    ),
    "lite": SHMConfig(
        inputs=CHANNELS,
        stem=16,
        half=32,
        stages=((64, 2, True), (128, 3, True)),
        decoder=(64, 32, 16),
        head=(16, 16),
        norm=False,
        residual=True,
    ),
}
VARIANTS = {
    "lite-se": replace(SIZES["lite"], gate="whole"),
    "lite-no-gate": replace(SIZES["lite"], gate="none"),
    "lite-no-line": replace(SIZES["lite"], line=False),
}
"""`lite` with one part missing each, for ablations (`benchmarks.ablation`)."""


def receptive_radius(config: SHMConfig) -> int:
    """Radius of the receptive field in pixels, counted layer by layer: nothing further away changes an output.

    A 3x3 layer adds one site of its finer side, 2**level pixels. What makes a coarse site active lies closer than what
    it reads, so the active set itself matters no further away.
    """
    total, level = 1 + 1 + 2, 1  # stem, down, settle
    for _, blocks, strided in config.stages:
        total += 2**level
        level += strided
        total += 2**level * (2 * blocks - 1)
    for _ in config.decoder:
        level -= 1
        total += 2**level * (1 if config.norm else 2)
    return total + len(config.head)


class SHM(nn.Module):
    """The sparse high-resolution module, for any engine.

    forward(engine, x, small, alpha): x: level-0 features with `SHMConfig.inputs` channels; small: (B, 3, h, w) RGB in
    [0, 1]; alpha: prior, (B, 1, h, w) in [0, 1]. Returns level-0 features of one channel: for `lite` the residual that
    is added to the baseline (so that low precision costs little), for `paper` alpha in (0, 1). Values off the active
    set mean nothing. `paper` in training returns its side outputs at 1/4, 1/2, 1/1 first, as a list.

    Args:
        size: A name in `SIZES` or `VARIANTS`.
    """

    def __init__(self, size: str = "lite") -> None:
        super().__init__()
        self.size, self.config = size, (SIZES | VARIANTS)[size]
        c = self.config
        leaky: Act = 0.01 if c.norm else "relu"
        self.stem = SparseConv("subm", c.inputs, c.stem, norm=c.norm, bias=False, act="relu")
        self.down = SparseConv("strided", c.stem, c.half, norm=c.norm, bias=False, act="relu")
        # Named `settle` in every weights file.
        self.settle = SparseConv("subm", c.half, c.half, norm=c.norm, bias=False, act="relu")
        self.stages = nn.ModuleList()
        width = c.half
        for outputs, blocks, strided in c.stages:
            stage = [Residual(width, outputs, stride=strided, norm=c.norm)]
            stage += [Residual(outputs, outputs, norm=c.norm) for _ in range(blocks - 1)]
            self.stages.append(nn.ModuleList(stage))
            width = outputs
        self.context, self.gate = ContextEncoder(), MaskedSE(width, kind=c.gate)
        skips = (c.stages[0][0], c.half, 3 if c.norm else c.stem)
        self.ups, self.fuses, self.sides = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for outputs, skip in zip(c.decoder, skips, strict=True):
            self.ups.append(SparseConv("inverse", width, outputs, norm=c.norm, act=leaky))
            width = outputs + skip
            if c.norm:
                self.sides.append(SparseConv("subm", outputs, 1, kernel=1, act=None))
            else:
                self.fuses.append(SparseConv("subm", width, outputs, act=leaky))
                width = outputs
        last = SparseConv("subm", c.head[1], 1, kernel=1, act=None)
        if c.residual:
            nn.init.zeros_(last.weight)
        widths = (width, *c.head)
        layers = [SparseConv("subm", a, b, act=leaky) for a, b in itertools.pairwise(widths)]
        self.head = nn.ModuleList([*layers, last])

    def forward(self, engine: Engine, x: Feat, small: Tensor, alpha: Tensor) -> Feat | list[Feat]:
        return self.forward_with_gates(engine, x, self.gates(small, alpha))

    def gates(self, small: Tensor, alpha: Tensor) -> Tensor:
        """Gates of Masked-SE, (B, channels): they depend on the small picture alone, so all windows share them."""
        gates: Tensor = self.gate(self.context(signed(torch.cat([small, alpha], 1))), alpha)
        return gates

    def forward_with_gates(self, engine: Engine, x: Feat, gates: Tensor) -> Feat | list[Feat]:
        """`forward` with the gates of `gates`."""
        bottom, skips = self._encode(engine, x)
        y = engine.scale(bottom, gates)
        sides = []
        for index, skip in enumerate(skips):
            y = self.ups[index](engine, y)
            if self.config.norm and self.training:
                sides.append(_sigmoid(self.sides[index](engine, y)))
            y = engine.cat(y, skip)
            if self.fuses:
                y = self.fuses[index](engine, y)
        for layer in self.head:
            y = layer(engine, y)
        if self.config.residual:
            return y
        return [*sides, _sigmoid(y)] if self.training else _sigmoid(y)

    def _encode(self, engine: Engine, x: Feat) -> tuple[Feat, tuple[Feat, Feat, Feat]]:
        stem = self.stem(engine, x)
        half = self.settle(engine, self.down(engine, stem))
        y, quarter = half, half
        for index, stage in enumerate(self.stages):
            assert isinstance(stage, nn.ModuleList)
            for block in stage:
                y = block(engine, y)
            if index == 0:
                quarter = y
        return y, (quarter, half, channels(x, 0, 3) if self.config.norm else stem)


def _sigmoid(x: Feat) -> Feat:
    return Feat(torch.sigmoid(x.data), x.level)
