"""A small sparse network that sees time: it joins a pixel's new alpha with its last one.

Ours; SparseMat looks at frames one by one, and its successor (µMatting, CVPR 2026) convolves over four. Beside the new
alpha and what the rule of `uhrmat.video.standing` makes of it, it sees the last alpha where it was and where the
foreground's motion takes it, and how the colours of both places changed. Behind a hair that stands, a background that
moves changes a pixel by 1 - alpha of what it changes nearby.

It answers weights for the three candidates and a bounded rest, which are added to what the rule made. The last layer
starts at zero: untrained, the network changes nothing.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from uhrmat.hub import resolve
from uhrmat.hub.tensors import load_into, load_tensors
from uhrmat.refine.layers import SparseConv
from uhrmat.refine.memory.windows import Read
from uhrmat.sparse import Engine, Feat

SIZES: dict[str, tuple[int, ...]] = {"blend": (16, 16, 16)}
"""Widths of the 3x3 layers."""
SLOPE = 0.2
MAPS = 5
"""Small maps: the foreground's motion (x, y) and its length in small pixels, change of the background, prior."""
CHANNELS = 22
"""New alpha, what the rule made of it, the candidates' offsets (3), RGB, its change in place (3) and along the motion
(3), the rule's weight, motion, change of the background, prior, known foreground and background, scale, noise."""
CANDIDATES = slice(2, 5)
"""Offsets from what the rule made: of the new alpha, the last one in place, the last one along the motion."""
REST = 0.1
"""Bound of what is added beside the candidates."""
_CHANGE, _NOISE, _FAST = 4.0, 50.0, 4.0


def reach(net: TimeNet) -> int:
    """Pixels beyond which nothing changes an output."""
    return len(net.body)


class TimeNet(nn.Module):
    """size: one of SIZES.

    forward(engine, x): x: level-0 features of CHANNELS channels, see `assemble`. Returns level-0 features of one
    channel: what is to be added to the alpha that the rule made.
    """

    def __init__(self, size: str = "blend") -> None:
        super().__init__()
        self.size = size
        widths = (CHANNELS, *SIZES[size])
        pairs = itertools.pairwise(widths)
        self.body = nn.ModuleList([SparseConv("subm", a, b, act=SLOPE) for a, b in pairs])
        self.last = SparseConv("subm", widths[-1], 4, kernel=1, act=None)
        nn.init.zeros_(self.last.weight)

    def forward(self, engine: Engine, x: Feat) -> Feat:
        y = x
        for layer in self.body:
            y = layer(engine, y)
        found = torch.tanh(self.last(engine, y).data)
        weights = found[:, :3].clamp(min=0)
        weights = weights / weights.sum(1, keepdim=True).clamp(min=1)
        change = (weights * x.data[:, CANDIDATES]).sum(1, keepdim=True) + REST * found[:, 3:]
        return Feat(change, 0)


def assemble(
    alphas: Tensor, weight: Tensor, colours: Tensor, maps: Tensor, known: Tensor, scale: Tensor | float,
    noise: Tensor | float,
) -> Tensor:  # fmt: skip
    """Features (..., CHANNELS).

    alphas: (..., 3) in [0, 1], new, last in place, last along the motion; weight: (..., 1) of the last in place by the
    rule; colours: (..., 9) in [0, 1], now, before in place, before along the motion; maps: (..., MAPS); known: (..., 2)
    1 where foreground or background is known; scale: full-resolution pixels per small one; noise: standard deviation
    in [0, 1]; both numbers or (..., 1).
    """
    new, last, moved = alphas.split(1, -1)
    base = new + weight * (last - new)
    now, before, along = colours.split(3, -1)
    flat = torch.zeros_like(new)
    size, grain = flat + torch.log2(torch.as_tensor(scale)) / 4, flat + _NOISE * noise
    return torch.cat([
        2 * new - 1, 2 * base - 1, new - base, last - base, moved - base, 2 * now - 1, _CHANGE * (now - before),
        _CHANGE * (now - along), weight, maps[..., 2:3].clamp(max=_FAST) / _FAST, _CHANGE * maps[..., 3:4],
        2 * maps[..., 4:5] - 1, known, size, grain,
    ], -1)  # fmt: skip


def between(read: Read, size: tuple[int, int], ys: Tensor, xs: Tensor) -> Tensor:
    """What `read(ys, xs)` gives at whole coordinates of a picture (H, W), bilinearly at broken ones; edges repeated."""
    ys, xs = ys.clamp(0, size[0] - 1), xs.clamp(0, size[1] - 1)
    top, left = ys.floor(), xs.floor()
    down, right = (ys - top)[..., None], (xs - left)[..., None]
    y0, x0 = top.long(), left.long()
    y1, x1 = (y0 + 1).clamp(max=size[0] - 1), (x0 + 1).clamp(max=size[1] - 1)
    upper = torch.lerp(read(y0, x0), read(y0, x1), right)
    return torch.lerp(upper, torch.lerp(read(y1, x0), read(y1, x1), right), down)


def load_time(weights: str) -> TimeNet:
    """TimeNet with trained weights: whatever `hub.resolve` understands."""
    path = resolve(weights, suffixes=(".safetensors",)).path
    tensors, metadata = load_tensors(path)
    size = metadata.get("size", "blend")
    net = TimeNet(size if size in SIZES else "blend")
    return load_into(net, tensors, path, f"the blend over time {net.size}", "uhrmat train time")
