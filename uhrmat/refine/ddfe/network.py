"""DDFE, the detail difference feature extractor of HRIMF-AMR with its matting head, for any engine.

Ye, Liang, Tan, Feng, Wang, Huang: "High-Resolution Natural Image Matting by Refining Low-Resolution Alpha Mattes", IEEE
TIP 2025, §III-C, Eq. 2: the features of the picture and of its halved copy are subtracted, a 3x3 and a 1x1 convolution
and tanh make one offset of what is left, the offset is added to the upsampled matte in the unknown region, and a head
of three 3x3 and one 1x1 convolution fuses both.

What differs. The halved copy is an area average read bilinearly at every pixel, so nothing lies half a pixel off and
any factor will do; its features are plain convolutions there, since a transposed one treats even and odd pixels
differently. The unknown mask is one channel that multiplies offset and head alike. Both end in layers that start at
zero: untrained, the network changes nothing. No normalisation. `line` is ours: it also sees the prior, the smooth
colours on either side and the guided filter's model, and weighs three candidates made of them; its result is averaged
with the guided filter's by a share that is a trained parameter.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from uhrmat.refine.colour_line import project_offsets
from uhrmat.refine.features import scale_channels
from uhrmat.refine.layers import SparseConv, channels
from uhrmat.sparse import Engine, Feat

INPUT_VERSION = 1
"""Version of DDFE's inputs: channels and scalings of `assemble_features`, the colour line and the guided filter.
Weights are trained for one version; loading refuses another (`hub.tensors.check_input_version`)."""
BASIC = 8
"""Channels of `paper`: high colour (3), low colour (3), prior, unknown."""
LINE = 22
"""Channels of `line`: those, the candidates' offsets (3), confidence, distance, known foreground and background,
factor, F (3), B (3)."""
CANDIDATES = slice(8, 11)
"""Offsets from the prior: colour-line projection, guided filter, detail along the line."""
GUIDED = slice(9, 10)
PRIOR, UNKNOWN = 6, 7


@dataclass(frozen=True, kw_only=True)
class DDFEParams:
    """Parameters of DDFE that its weights are trained with. None was tuned; changing one means training again.

    Attributes:
        slope: Negative slope of the leaky ReLUs.
        gain: Of the candidates' weights (`line`), so that they leave zero within tens of training steps.
        softness: Added to the squared length of the colour line in the detail along it, squared colour in [0, 1].
    """

    slope: float = 0.2
    gain: float = 8.0
    softness: float = 0.01


DDFE_PARAMS = DDFEParams()


@dataclass(frozen=True, kw_only=True)
class DDFEConfig:
    """Architecture of one size. Weights fit one configuration only.

    Attributes:
        inputs: Channels at a pixel.
        high: Channels that the extractor at full resolution sees.
        low: Channels that the extractor of the halved copy sees.
        features: Widths of the extractors' two layers.
        detail: Widths of the 3x3 layers after the difference.
        head: Widths of the head's three 3x3 layers.
        weighs: Number of candidates that are weighed, 0 for the paper's network.
    """

    inputs: int
    high: tuple[int, ...]
    low: tuple[int, ...]
    features: tuple[int, int]
    detail: tuple[int, ...]
    head: tuple[int, int, int]
    weighs: int


SIZES = {
    "paper": DDFEConfig(
        inputs=BASIC, high=(0, 1, 2), low=(3, 4, 5), features=(6, 12), detail=(6,), head=(4, 4, 4), weighs=0
    ),
    "line": DDFEConfig(
        inputs=LINE,
        high=(0, 1, 2, *range(6, 22)),
        low=(3, 4, 5, *range(6, 22)),
        features=(8, 12),
        detail=(16, 16),
        head=(8, 8, 8),
        weighs=3,
    ),
}


def receptive_radius(config: DDFEConfig) -> int:
    """Radius of the receptive field in pixels: one for each 3x3 layer in a row."""
    return len(config.features) + len(config.detail) + len(config.head)


class DDFE(nn.Module):
    """DDFE with its head (HRIMF-AMR §III-C, Eq. 2).

    forward(engine, x): x: level-0 features of `SIZES[size].inputs` channels, see `assemble_features`.
    Returns (change, offset), level-0 features of one channel, zero outside the unknown region: what is to be added to
    the upsampled prior, and the part of it that MDRD supervises.

    Args:
        size: A name in `SIZES`.
        params: Slope of the activations and gain of the candidates' weights.

    Attributes:
        both: `high` and `low` as one, once `merge_layers` made it.
        anchor: Trained share of the guided filter in the result, (1,), 0 at first; `line` only. The tensor has this
            name in every weights file.
    """

    def __init__(self, size: str = "paper", params: DDFEParams = DDFE_PARAMS) -> None:
        super().__init__()
        self.size, self.config, self.params = size, SIZES[size], params
        c, slope = self.config, params.slope
        self.high = _chain(len(c.high), c.features, slope)
        self.low = _chain(len(c.low), c.features, slope)
        self.both: nn.ModuleList | None = None
        extra = c.inputs - PRIOR if c.weighs else 0
        self.detail = _chain(c.features[-1] + extra, c.detail, slope)
        self.offset = _zero(c.detail[-1], 1 + c.weighs)
        self.head = _chain(1 + (c.detail[-1] if c.weighs else 0), c.head, slope)
        self.last = _zero(c.head[-1], 1)
        if c.weighs:
            self.anchor = nn.Parameter(torch.zeros(1))

    def forward(self, engine: Engine, x: Feat) -> tuple[Feat, Feat]:
        unknown = channels(x, UNKNOWN, UNKNOWN + 1).data
        difference = self._difference(engine, x)
        if self.config.weighs:
            difference = engine.cat(difference, _pick(x, tuple(range(PRIOR, self.config.inputs))))
        detail = _apply(self.detail, engine, difference)
        offset = self._offset(engine, x, detail) * unknown
        start = x.with_data(torch.add(x.data[:, PRIOR : PRIOR + 1], offset, alpha=2))
        fused = engine.cat(start, detail) if self.config.weighs else start
        change = torch.addcmul(offset, self.last(engine, _apply(self.head, engine, fused)).data, unknown)
        if self.config.weighs:
            change = torch.lerp(change, x.data[:, GUIDED] * unknown, self.anchor.to(change.dtype))
        return Feat(change, 0), Feat(offset, 0)

    def _difference(self, engine: Engine, x: Feat) -> Feat:
        """Features of the picture minus those of its halved copy."""
        if self.both:
            both = _apply(self.both, engine, x)
            high, low = both.data.tensor_split(2, 1)
            return both.with_data(high - low)
        first, second = (
            _apply(chain, engine, _pick(x, which))
            for chain, which in ((self.high, self.config.high), (self.low, self.config.low))
        )
        return first.with_data(first.data - second.data)

    def _offset(self, engine: Engine, x: Feat, detail: Feat) -> Tensor:
        """The tanh of HRIMF-AMR's Eq. 2, and for `line` the weighted candidates beside it."""
        output = self.offset(engine, detail).data
        offset = torch.tanh(output[:, :1])
        if self.config.weighs:
            candidates = (output[:, 1:] * x.data[:, CANDIDATES]).sum(1, keepdim=True)
            offset = torch.add(offset, candidates, alpha=self.params.gain)
        return offset

    @torch.no_grad()
    def merge_layers(self) -> None:
        """Join both extractors: half as many convolutions, twice as wide, and the same results; inference only."""
        both, reads = nn.ModuleList(), (list(self.config.high), list(self.config.low))
        inputs = self.config.inputs
        for pair in zip(self.high, self.low, strict=True):
            layer = copy.deepcopy(pair[0])
            assert isinstance(layer, SparseConv)
            width = len(layer.weight)
            kernel, bias = layer.weight.new_zeros(2 * width, inputs, 3, 3), layer.weight.new_zeros(2 * width)
            outputs = [slice(0, width), slice(width, 2 * width)]
            for one, read, write in zip(pair, reads, outputs, strict=True):
                kernel[write, read], bias[write] = one.weight, one.bias  # type: ignore[assignment]
            layer.weight, layer.bias = nn.Parameter(kernel), nn.Parameter(bias)
            both.append(layer)
            inputs, reads = 2 * width, (list(range(width)), list(range(width, 2 * width)))
        self.both = both


def _chain(inputs: int, widths: tuple[int, ...], slope: float) -> nn.ModuleList:
    """3x3 layers in a row, each with a leaky ReLU."""
    layers = nn.ModuleList()
    for width in widths:
        layers.append(SparseConv("subm", inputs, width, act=slope))
        inputs = width
    return layers


def _zero(inputs: int, outputs: int) -> SparseConv:
    """A 1x1 layer that starts at zero."""
    layer = SparseConv("subm", inputs, outputs, kernel=1, act=None)
    nn.init.zeros_(layer.weight)
    return layer


def _apply(chain: nn.ModuleList, engine: Engine, x: Feat) -> Feat:
    for layer in chain:
        x = layer(engine, x)
    return x


def _pick(x: Feat, which: tuple[int, ...]) -> Feat:
    """Channels by ascending number; adjacent ones are a view."""
    starts = [i for i in range(len(which)) if i == 0 or which[i] != which[i - 1] + 1]
    runs = [which[start:stop] for start, stop in zip(starts, [*starts[1:], len(which)], strict=True)]
    parts = [x.data[:, run[0] : run[-1] + 1] for run in runs]
    return x.with_data(parts[0] if len(parts) == 1 else torch.cat(parts, 1))


def assemble_features(
    high: Tensor, low: Tensor, alpha: Tensor, known: Tensor, maps: Tensor | None = None, factor: float = 2.0,
    params: DDFEParams = DDFE_PARAMS, unknown: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """Inputs of the network at some pixels. Channels and scalings are frozen into the weights, see `INPUT_VERSION`.

    Args:
        high: Colours of the picture, (..., 3) in [0, 1].
        low: Colours of its coarser copy, upsampled, (..., 3) in [0, 1].
        alpha: Upsampled prior, (..., 1) in [0, 1].
        known: (..., 2), 1 where foreground or background is known.
        maps: (..., 10), upsampled from the working size: F (3), B (3), the guided filter's a (3) and b; or None.
        factor: Of this level's size to the prior's.
        params: Softness of the detail along the colour line.
        unknown: (..., 1), 1 where neither is known; None computes it.

    Returns:
        (..., BASIC) or, with `maps`, (..., LINE).
    """
    if unknown is None:
        unknown = 1 - known.sum(-1, keepdim=True)
    alpha = torch.addcmul(known[..., :1], alpha, unknown)
    gain, offset = (*[2.0] * 7, 1.0), (*[-1.0] * 7, 0.0)
    if maps is None:
        return scale_channels(torch.cat([high, low, alpha, unknown], -1), gain, offset)
    front, back, slope, level = torch.split(maps, [3, 3, 3, 1], -1)
    offsets = torch.stack([high, front, high]) - torch.stack([back, back, low])
    base, confidence, distance, along = project_offsets(offsets, alpha, detail=params.softness)
    guided = ((slope * high).sum(-1, keepdim=True) + level).clamp(0, 1)
    # In place of the factor, which is one number for all pixels, any channel, times 0.
    parts = [base - alpha, guided - alpha, along, confidence, distance, known, alpha, front, back]
    gain += (*[1.0] * 4, 4.0, 1.0, 1.0, 0.0, *[2.0] * 6)
    offset += (*[0.0] * 7, factor - 1, *[-1.0] * 6)
    return scale_channels(torch.cat([high, low, alpha, unknown, *parts], -1), gain, offset)
