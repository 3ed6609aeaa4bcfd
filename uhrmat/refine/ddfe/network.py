"""Detail difference feature extractor (DDFE) with its matting head, for any engine.

Ye, Liang, Tan, Feng, Wang, Huang: "High-Resolution Natural Image Matting by Refining Low-Resolution Alpha Mattes", IEEE
TIP 2025, §III-C, Eq. 2: the features of the picture and of its halved copy are subtracted, a 3x3 and a 1x1 convolution
and tanh make one offset of what is left, the offset is added to the upsampled matte in the unknown region, and a head
of three 3x3 and one 1x1 convolution fuses both.

What differs. The halved copy is an area average read bilinearly at every pixel, so nothing lies half a pixel off and
any factor will do; its features are plain convolutions there, since a transposed one treats even and odd pixels
differently. The unknown mask is one channel that multiplies offset and head alike. Both end in layers that start at
zero: untrained, the network changes nothing. No normalisation. `line` is ours: it also sees the prior, the smooth
colours on either side and the guided filter's model, and weighs what these three would say of the pixel; what it found
is averaged with what the guided filter says, by a share that stands in the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uhrmat.refine.colorline import project
from uhrmat.refine.layers import SparseConv, channels
from uhrmat.sparse import Engine, Feat
from uhrmat.sparse.engine import Act

SLOPE: Act = 0.2
BASIC = 8
"""Channels of `paper`: high colour (3), low colour (3), prior, unknown."""
LINE = 22
"""Channels of `line`: those, the candidates' offsets (3), confidence, distance, known foreground and background,
factor, F (3), B (3)."""
CANDIDATES = slice(8, 11)
"""Offsets from the prior: colour-line projection, guided filter, detail along the line."""
GUIDED = slice(9, 10)
PRIOR, UNKNOWN = 6, 7
GAIN = 8.0
"""Of the candidates' weights, so that they leave zero within tens of steps."""
_SOFT = 0.01


@dataclass(frozen=True)
class DDFEConfig:
    """inputs: channels at a pixel; high, low: channel ranges that the two extractors see; features: their two widths;
    detail: widths of the 3x3 layers after the difference; head: widths of the head's three; weighs: candidates."""

    inputs: int
    high: tuple[int, ...]
    low: tuple[int, ...]
    features: tuple[int, int]
    detail: tuple[int, ...]
    head: tuple[int, int, int]
    weighs: int


SIZES = {
    "paper": DDFEConfig(BASIC, (0, 1, 2), (3, 4, 5), (6, 12), (6,), (4, 4, 4), 0),
    "line": DDFEConfig(LINE, (0, 1, 2, *range(6, 22)), (3, 4, 5, *range(6, 22)), (8, 12), (16, 16), (8, 8, 8), 3),
}


def reach(config: DDFEConfig) -> int:
    """Pixels beyond which nothing changes an output: one for each 3x3 layer in a row."""
    return len(config.features) + len(config.detail) + len(config.head)


class DDFE(nn.Module):
    """size: one of SIZES.

    forward(engine, x): x: level-0 features of `SIZES[size].inputs` channels, see `assemble_features`.
    Returns (change, offset), level-0 features of one channel, zero outside the unknown region: what is to be added to
    the upsampled prior, and the part of it that MDRD supervises.

    anchor (`line`): share of the guided filter in the result, 0 at first.
    """

    def __init__(self, size: str = "paper") -> None:
        super().__init__()
        self.size, self.config = size, SIZES[size]
        c = self.config
        self.high = _chain(len(c.high), c.features)
        self.low = _chain(len(c.low), c.features)
        extra = c.inputs - PRIOR if c.weighs else 0
        self.detail = _chain(c.features[-1] + extra, c.detail)
        self.offset = _zero(c.detail[-1], 1 + c.weighs)
        self.head = _chain(1 + (c.detail[-1] if c.weighs else 0), c.head)
        self.last = _zero(c.head[-1], 1)
        if c.weighs:
            self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, engine: Engine, x: Feat) -> tuple[Feat, Feat]:
        unknown = channels(x, UNKNOWN, UNKNOWN + 1).data
        high, low = (
            _run(self.high, engine, _pick(x, self.config.high)),
            _run(self.low, engine, _pick(x, self.config.low)),
        )
        difference = Feat(high.data - low.data, 0)
        if self.config.weighs:
            difference = engine.cat(difference, _pick(x, tuple(range(PRIOR, self.config.inputs))))
        detail = _run(self.detail, engine, difference)
        offset = self._offset(engine, x, detail) * unknown
        start = Feat(x.data[:, PRIOR : PRIOR + 1] + 2 * offset, 0)
        fused = engine.cat(start, detail) if self.config.weighs else start
        change = offset + self.last(engine, _run(self.head, engine, fused)).data * unknown
        if self.config.weighs:
            change = torch.lerp(change, x.data[:, GUIDED] * unknown, self.anchor.to(change.dtype))
        return Feat(change, 0), Feat(offset, 0)

    def _offset(self, engine: Engine, x: Feat, detail: Feat) -> Tensor:
        """Eq. 2's tanh, and for `line` the weighted candidates beside it."""
        found = self.offset(engine, detail).data
        offset = torch.tanh(found[:, :1])
        if self.config.weighs:
            offset = offset + GAIN * (found[:, 1:] * x.data[:, CANDIDATES]).sum(1, keepdim=True)
        return offset


def _chain(inputs: int, widths: tuple[int, ...]) -> nn.ModuleList:
    layers = nn.ModuleList()
    for width in widths:
        layers.append(SparseConv("subm", inputs, width, act=SLOPE))
        inputs = width
    return layers


def _zero(inputs: int, outputs: int) -> SparseConv:
    layer = SparseConv("subm", inputs, outputs, kernel=1, act=None)
    nn.init.zeros_(layer.weight)
    return layer


def _run(chain: nn.ModuleList, engine: Engine, x: Feat) -> Feat:
    for layer in chain:
        x = layer(engine, x)
    return x


def _pick(x: Feat, which: tuple[int, ...]) -> Feat:
    """Channels by number; those that lie side by side are a view."""
    if which == tuple(range(which[0], which[-1] + 1)):
        return channels(x, which[0], which[-1] + 1)
    return Feat(x.data[:, list(which)], 0)


def assemble_features(
    high: Tensor, low: Tensor, alpha: Tensor, known: Tensor, maps: Tensor | None = None, factor: float = 2.0
) -> Tensor:
    """Features (..., BASIC) or, with `maps`, (..., LINE).

    high, low: (..., 3) colours in [0, 1] of the picture and of its coarser copy enlarged; alpha: (..., 1) enlarged
    prior; known: (..., 2) 1 where foreground or background is known; maps: (..., 10) enlarged from the working size:
    F (3), B (3), the guided filter's a (3) and b; factor: of this step.
    """
    unknown = 1 - known.sum(-1, keepdim=True)
    alpha = alpha * unknown + known[..., :1]
    parts = [2 * high - 1, 2 * low - 1, 2 * alpha - 1, unknown]
    if maps is not None:
        front, back, slope, level = maps.split((3, 3, 3, 1), -1)
        base, confidence, away = project(high, front, back, alpha)
        guided = ((slope * high).sum(-1, keepdim=True) + level).clamp(0, 1)
        line = front - back
        along = ((high - low) * line).sum(-1, keepdim=True) / ((line * line).sum(-1, keepdim=True) + _SOFT)
        size = torch.full_like(alpha, factor - 1)
        parts += [base - alpha, guided - alpha, along.clamp(-1, 1), confidence, 4 * away, known, size]
        parts += [2 * front - 1, 2 * back - 1]
    return torch.cat(parts, -1)
