"""The tiles engine: features in square tiles, gathered with their halos for a library's dense convolution.

The features of a level are one buffer of channel rows, (tiles * tile * tile + 1, C), the last row zero. The window of a
tile is gathered by one `index_select` whose table points at the zero row for every site that is not active: so nothing
has to be masked, and rows of inactive sites hold finite numbers that no window reads. Tiles are gathered, convolved and
stored in chunks that stay in the processor's cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.buffers import Buffers, TileFeat
from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate, write_features
from uhrmat.sparse.kernels import four_phases, make_kernel

_SITES = 1 << 16
"""Active sites handled at once where coordinates or float32 copies are needed. Not tuned."""
_ROWS = 1 << 14
"""Rows of a 1x1 convolution handled at once. Not tuned."""
_CPU_BYTES = 1 << 20
"""Bytes of windows gathered at once, per thread: they stay in the second-level cache. Not tuned."""
_GPU_BYTES = 1 << 28
"""Bytes of windows gathered at once on a GPU. Not tuned."""


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One convolution over the windows of tiles.

    Attributes:
        table: (T, side, side) int32, buffer rows of the windows, see `TileLevel.table`.
        to: Level of the result.
        stride: 1 or 2, sites.
        weight: (out, in, k, k); of an inverse convolution as `four_phases` gives it.
        bias: (out,), or None.
        act: Activation of the result.
        phases: 4 for an inverse convolution, whose result has four sites for each site of the window, else 1.
    """

    table: Tensor
    to: int
    stride: int
    weight: Tensor
    bias: Tensor | None
    act: Act
    phases: int = 1

    @property
    def window(self) -> tuple[int, int, int]:
        """(in, side, side) of one window."""
        return (self.weight.shape[1], *self.table.shape[1:])

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return len(self.weight) // self.phases


class TilesEngine(Engine):
    """Convolutions on tiles of one picture, inference only. Not for use from several threads at once.

    Args:
        active: The active set.
        dtype: Of features and arithmetic.
        chunk: Tiles convolved at once; None takes as many as stay in the cache.
        device: Of features and arithmetic.
    """

    name = "tiles"

    def __init__(
        self,
        active: ActiveSet,
        dtype: torch.dtype = torch.float32,
        chunk: int | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        self.active, self.dtype, self.chunk, self.device = active, dtype, chunk, torch.device(device)
        self._tables: dict[tuple[str, int], Tensor] = {}
        self._buffers = Buffers(dtype, self.device)
        self._scratches: dict[str, Tensor] = {}

    @torch.no_grad()
    def sample(self, fn: SampleFn) -> Feat:
        level, rows = self.active.levels[0], self._rows(0)
        parts = torch.split(rows, _SITES) or (rows,)
        first = fn(*self._places(0, parts[0]))
        out = self._buffers.take(level.sites, first.shape[-1]).zero_()
        for part in parts:
            values = first if part is parts[0] else fn(*self._places(0, part))
            out[part] = values.to(self.dtype)
        return TileFeat(out, 0)

    @torch.no_grad()
    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        weight, shift = self._cast(weight), self._cast_bias(bias)
        if weight.shape[-1] == 1:
            return self._pointwise(x, weight[:, :, 0, 0], shift, act)
        level = self.active.levels[x.level]
        table = self._table("subm", x.level, lambda: level.table(level, level.tile + 2, 1, -1))
        return self._convolve(x, Layer(table=table, to=x.level, stride=1, weight=weight, bias=shift, act=act))

    @torch.no_grad()
    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        level, coarser = self.active.levels[x.level : x.level + 2]
        table = self._table("strided", x.level, lambda: level.table(coarser, 2 * coarser.tile + 1, 2, -1))
        weight, shift = self._cast(weight), self._cast_bias(bias)
        return self._convolve(x, Layer(table=table, to=x.level + 1, stride=2, weight=weight, bias=shift, act=act))

    @torch.no_grad()
    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        finer, level = self.active.levels[x.level - 1 : x.level + 1]
        table = self._table("inverse", x.level, lambda: level.table(finer, finer.tile // 2 + 1, -2, 0))
        shift = None if bias is None else self._cast_bias(bias.repeat(4))
        phases = four_phases(self._cast(weight))
        layer = Layer(table=table, to=x.level - 1, stride=1, weight=phases, bias=shift, act=act, phases=4)
        return self._convolve(x, layer)

    def cat(self, *xs: Feat) -> Feat:
        first, *more = (part for x in xs for part in _parts(x))
        return TileFeat(first, xs[0].level, tuple(more))

    @torch.no_grad()
    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        left, right = self._joined(x), self._joined(y)
        out = torch.add(left, right, out=self._buffers.take(len(left) - 1, left.shape[1]))
        return TileFeat(activate(out, act), x.level)

    @torch.no_grad()
    def scale(self, x: Feat, gate: Tensor) -> Feat:
        data = self._joined(x)
        out = self._buffers.take(len(data) - 1, data.shape[1])
        return TileFeat(torch.mul(data, gate.reshape(1, -1).to(data), out=out), x.level)

    @torch.no_grad()
    def mean(self, x: Feat) -> Tensor:
        data, rows = self._joined(x), self._rows(x.level)
        total = torch.zeros(data.shape[1], device=self.device)
        for part in torch.split(rows, _SITES):
            total += data[part].sum(0, dtype=torch.float32)
        return (total / max(len(rows), 1))[None]

    @torch.no_grad()
    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        target, data = torch.as_tensor(out), self._joined(x)
        for part in torch.split(self._rows(0), _SITES):
            ys, xs = (c.to(target.device) for c in self._places(0, part))
            write_features(target, (ys, xs), data[part].to(target), add)

    @torch.no_grad()
    def values(self, x: Feat) -> Tensor:
        rows = self._rows(x.level)
        ys, xs = self._places(x.level, rows)
        order = rows[torch.argsort(ys * self.active.levels[x.level].width + xs)]
        return torch.cat([data[order] for data in _parts(x)], 1).float()

    def _pointwise(self, x: Feat, weight: Tensor, bias: Tensor | None, act: Act) -> Feat:
        """A 1x1 convolution: a matrix product over rows, straight into the result."""
        rows, parts = len(x.data) - 1, _parts(x)
        factors = [w.T for w in torch.split(weight, [data.shape[1] for data in parts], 1)]
        out = self._buffers.take(rows, len(weight))
        shift = weight.new_zeros(len(weight)) if bias is None else bias
        for start in range(0, rows, _ROWS):
            chunk = out[start : min(start + _ROWS, rows)]
            torch.addmm(shift, parts[0][start : start + len(chunk)], factors[0], out=chunk)
            for data, factor in zip(parts[1:], factors[1:], strict=True):
                chunk.addmm_(data[start : start + len(chunk)], factor)
            activate(chunk, act)
        return TileFeat(out, x.level)

    def _convolve(self, x: Feat, layer: Layer) -> Feat:
        """Gather, convolve and store chunk by chunk."""
        level, count = self.active.levels[layer.to], self._chunk(layer)
        out = self._buffers.take(level.sites, layer.channels)
        tiles = out[:-1].view(-1, level.tile, level.tile, layer.channels)
        kernel = make_kernel(layer.weight, layer.bias, layer.stride, layer.act, (count, *layer.window))
        for start in range(0, level.tiles, count):
            table = layer.table[start : start + count]
            window = self._gather(_parts(x), table.flatten()).view(*table.shape, -1)
            values = kernel(window.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            _store(values, tiles[start : start + count], layer.phases)
        return TileFeat(out, layer.to)

    def _chunk(self, layer: Layer) -> int:
        """Tiles convolved at once."""
        if self.chunk is not None:
            return self.chunk
        on_cpu = self.device.type == "cpu"
        budget = _CPU_BYTES * torch.get_num_threads() if on_cpu else _GPU_BYTES
        return max(1, min(budget // (math.prod(layer.window) * self.dtype.itemsize), len(layer.table)))

    def _gather(self, parts: tuple[Tensor, ...], rows: Tensor) -> Tensor:
        """The rows of all parts with their channels concatenated, (n, C). Valid until the next call."""
        if len(parts) == 1:
            return torch.index_select(parts[0], 0, rows, out=self._scratch("window", len(rows), parts[0].shape[1]))
        gathered = [
            torch.index_select(part, 0, rows, out=self._scratch(f"part{number}", len(rows), part.shape[1]))
            for number, part in enumerate(parts)
        ]
        return torch.cat(gathered, 1, out=self._scratch("window", len(rows), sum(part.shape[1] for part in parts)))

    def _scratch(self, name: str, rows: int, channels: int) -> Tensor:
        """A temporary (rows, channels) that keeps its memory from call to call."""
        held = self._scratches.get(name)
        if held is None or held.numel() < rows * channels:
            held = torch.empty(rows * channels, dtype=self.dtype, device=self.device)
            self._scratches[name] = held
        return held[: rows * channels].view(rows, channels)

    def _joined(self, x: Feat) -> Tensor:
        """All channels in one buffer, (rows + 1, C)."""
        parts = _parts(x)
        if len(parts) == 1:
            return x.data
        out = self._buffers.take(len(x.data) - 1, sum(part.shape[1] for part in parts))
        return torch.cat(parts, 1, out=out)

    def _table(self, kind: str, level: int, build: Callable[[], Tensor]) -> Tensor:
        """A table of a level, built at the first call."""
        if (kind, level) not in self._tables:
            self._tables[kind, level] = build().to(self.device)
        return self._tables[kind, level]

    def _rows(self, level: int) -> Tensor:
        """Buffer rows of the active sites of a level, tile by tile, (N,) int64."""
        return self._table("rows", level, lambda: self.active.levels[level].mask.flatten().nonzero()[:, 0])

    def _places(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """(ys, xs) of buffer rows, as sites of a level."""
        level = self.active.levels[number]
        tile, place = rows // level.tile**2, rows % level.tile**2
        ys = level.ys.to(self.device)[tile] * level.tile + place // level.tile
        return ys, level.xs.to(self.device)[tile] * level.tile + place % level.tile

    def _cast(self, weight: Tensor) -> Tensor:
        return weight.detach().to(self.device, self.dtype)

    def _cast_bias(self, bias: Tensor | None) -> Tensor | None:
        return None if bias is None else self._cast(bias)


def _parts(x: Feat) -> tuple[Tensor, ...]:
    return x.parts if isinstance(x, TileFeat) else (x.data,)


def _store(values: Tensor, tiles: Tensor, phases: int) -> None:
    """Copy (n, s, s, phases * C) into tiles (n, tile, tile, C); four phases are the sites of 2x2 blocks."""
    if phases == 1:
        tiles.copy_(values)
        return
    count, side, channels = len(tiles), values.shape[1], tiles.shape[3]
    blocks = values.view(count, side, side, 2, 2, channels)
    tiles.view(count, side, 2, side, 2, channels).copy_(blocks.transpose(2, 3))
