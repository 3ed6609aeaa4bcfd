"""The tiles engine for a GPU: geometry that lies there, whole pictures in one go, no waiting for the device.

It computes what `tiles.TilesEngine` computes. Features are (T · tile · tile, C); the first row, of a tile that only
fills up the count, is the zero row that tables point at for sites that are not active. Every site of that tile is zero
after a convolution, which reads nothing but the zero row for it, if the bias is added to the other rows alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.weak import WeakTensorKeyDictionary

from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate
from uhrmat.sparse.kernels import four_phases
from uhrmat.sparse.resident import ResidentActive

_WINDOWS = 1 << 30
"""Bytes of windows gathered at once, at most; less on a small GPU. A picture of 8K in half precision takes 0.3 GB
(SHM-lite). Not tuned."""
_SHARE = 16
"""Part of a GPU's memory that windows may take: 1 / _SHARE. Not tuned."""
_phases: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""Kernels of transposed convolutions as plain ones (`kernels.four_phases`), by the tensor they come from."""


@dataclass(frozen=True)
class ResidentFeat(Feat):
    """Features of the resident tiles engine.

    Attributes:
        zeroed: Whether the zero row is known to be zero. Features that networks make without `with_data` do not say so.
    """

    zeroed: bool = False

    def with_data(self, data: Tensor) -> Feat:
        """See `engine.Feat.with_data`: the zero row stays what it was."""
        return ResidentFeat(data, self.level, self.zeroed)


class ResidentTilesEngine(Engine):
    """Convolutions on the tiles of one picture, inference only.

    Weights of the engine's own type and device are used as they are; others are converted at every call.

    Args:
        active: The active set.
        dtype: Of features and arithmetic.
        device: Of features and arithmetic.
        chunk: Tiles convolved at once; None takes as many as the windows' memory allows, mostly all.
    """

    name = "tiles"

    def __init__(
        self, active: ResidentActive, dtype: torch.dtype, device: torch.device, chunk: int | None = None
    ) -> None:
        self.active, self.dtype, self.device, self.chunk = active, dtype, device, chunk
        self._tables: dict[tuple[str, int], Tensor] = {}
        self._gathered: tuple[Tensor, Tensor, Tensor] | None = None

    @torch.no_grad()
    def sample(self, fn: SampleFn) -> Feat:
        level, tile = self.active.levels[0], self.active.levels[0].tile
        offset = torch.arange(tile, device=self.device)
        ys = ((level.ys * tile)[:, None] + offset).clamp(max=level.height - 1)[:, :, None].expand(-1, -1, tile)
        xs = ((level.xs * tile)[:, None] + offset).clamp(max=level.width - 1)[:, None].expand(-1, tile, -1)
        return self.wrap(fn(ys.flatten(), xs.flatten()))

    def wrap(self, values: Tensor) -> Feat:
        """Level-0 features from values at all sites of all tiles, (T · tile · tile, C) of any type."""
        data = values.to(self.dtype)
        data[0].zero_()
        return ResidentFeat(data, 0, zeroed=True)

    @torch.no_grad()
    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        kernel, shift = self._cast(weight), self._cast_bias(bias)
        if weight.shape[-1] == 1:
            factor = kernel[:, :, 0, 0].T
            out = x.data @ factor if shift is None else torch.addmm(shift, x.data, factor)
            return ResidentFeat(activate(out, act), x.level)
        level = self.active.levels[x.level]
        table = self._table("subm", x.level, lambda: level.table(level, level.tile + 2, 1, -1))
        out = self._convolve(x, table, level.tile + 2, kernel, 1)
        return self._finished(out, x.level, shift, act)

    @torch.no_grad()
    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        level, coarser = self.active.levels[x.level : x.level + 2]
        side = 2 * coarser.tile + 1
        table = self._table("strided", x.level, lambda: level.table(coarser, side, 2, -1))
        out = self._convolve(x, table, side, self._cast(weight), 2)
        return self._finished(out, x.level + 1, self._cast_bias(bias), act)

    @torch.no_grad()
    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        finer, level = self.active.levels[x.level - 1 : x.level + 1]
        side = finer.tile // 2 + 1
        table = self._table("inverse", x.level, lambda: level.table(finer, side, -2, 0))
        out = self._convolve(x, table, side, self._four_phases(weight), 1)
        half = finer.tile // 2
        blocks = out.view(-1, half, half, 2, 2, out.shape[1] // 4).transpose(2, 3)  # four phases: sites of 2x2 blocks
        return self._finished(blocks.reshape(finer.sites, -1), x.level - 1, self._cast_bias(bias), act)

    def cat(self, *xs: Feat) -> Feat:
        return ResidentFeat(torch.cat([x.data for x in xs], 1), xs[0].level, all(_is_zeroed(x) for x in xs))

    @torch.no_grad()
    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        return ResidentFeat(activate(x.data + y.data, act), x.level, _is_zeroed(x) and _is_zeroed(y))

    @torch.no_grad()
    def scale(self, x: Feat, gate: Tensor) -> Feat:
        return ResidentFeat(x.data * gate.reshape(1, -1).to(x.data), x.level, _is_zeroed(x))

    @torch.no_grad()
    def mean(self, x: Feat) -> Tensor:
        mask = self.active.levels[x.level].mask.flatten()
        total = torch.where(mask[:, None], x.data, 0).sum(0, dtype=torch.float32)
        return (total / mask.sum().clamp(min=1))[None]

    @torch.no_grad()
    def scatter(self, x: Feat, out: Tensor | np.ndarray, add: bool = False) -> None:
        target, level = torch.as_tensor(out), self.active.levels[0]
        sites = level.mask.flatten().nonzero()[:, 0]
        tile, place = sites // level.tile**2, sites % level.tile**2
        where = (
            level.ys[tile] * level.tile + place // level.tile,
            level.xs[tile] * level.tile + place % level.tile,
        )
        values = x.data[sites].to(target)
        values = values[:, 0] if target.ndim == 2 else values[:, : target.shape[2]]
        place_on = tuple(axis.to(target.device) for axis in where)
        target[place_on] = target[place_on] + values if add else values

    @torch.no_grad()
    def values(self, x: Feat) -> Tensor:
        level = self.active.levels[x.level]
        sites = level.mask.flatten().nonzero()[:, 0]
        tile, place = sites // level.tile**2, sites % level.tile**2
        ys = level.ys[tile] * level.tile + place // level.tile
        xs = level.xs[tile] * level.tile + place % level.tile
        return x.data[sites[torch.argsort(ys * level.width + xs)]].float()

    def _convolve(self, x: Feat, table: Tensor, side: int, kernel: Tensor, stride: int) -> Tensor:
        """Gather windows and convolve them, (sites of the result, out). All at once, where their memory allows."""
        if not _is_zeroed(x):
            x.data[0].zero_()
        count, channels = len(table) // side**2, x.data.shape[1]
        chunk = self.chunk or max(1, largest_windows(self.device) // (side**2 * channels * self.dtype.itemsize))
        parts = []
        for start in range(0, count, chunk):
            rows = table if chunk >= count else table[start * side**2 : (start + chunk) * side**2]
            windows = self._gather(x.data, rows, rows is table)
            grid = windows.view(-1, side, side, channels).permute(0, 3, 1, 2)
            parts.append(F.conv2d(grid, kernel, None, stride).permute(0, 2, 3, 1).reshape(-1, len(kernel)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _gather(self, data: Tensor, rows: Tensor, whole: bool) -> Tensor:
        """Rows of features. Those of a whole layer are kept for one that reads the same (a block and its shortcut)."""
        if self._gathered is not None and self._gathered[0] is data and self._gathered[1] is rows:
            return self._gathered[2]
        self._gathered = None  # frees the memory before more is taken
        windows = data.index_select(0, rows)
        if whole:
            self._gathered = (data, rows, windows)
        return windows

    def _finished(self, data: Tensor, level: int, bias: Tensor | None, act: Act) -> Feat:
        """A convolution's result with its bias, which the zero row does without, and activation, in place."""
        if bias is not None:
            data.addcmul_(_real_rows(len(data), self.dtype, self.device), bias)
        return ResidentFeat(activate(data, act), level, zeroed=True)

    def _table(self, kind: str, level: int, build: Callable[[], Tensor]) -> Tensor:
        if (kind, level) not in self._tables:
            self._tables[kind, level] = build()
        return self._tables[kind, level]

    def _four_phases(self, weight: Tensor) -> Tensor:
        """Kernel of a transposed convolution as a plain one, made once for weights that live on."""
        key = (0 if weight.is_inference() else weight._version, self.dtype, self.device)
        made = _made_phases(weight)
        if made is None or made[0] != key:
            kernel = four_phases(self._cast(weight)).contiguous(memory_format=torch.channels_last)
            made = _phases[weight] = (key, kernel)
        phases: Tensor = made[1]
        return phases

    def _cast(self, weight: Tensor) -> Tensor:
        return weight.detach().to(self.device, self.dtype)

    def _cast_bias(self, bias: Tensor | None) -> Tensor | None:
        return None if bias is None else self._cast(bias)


def _real_rows(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(count, 1): 0 for the zero row, 1 for the others; a view of a tensor that is kept."""
    return _kept_rows(1 << (count - 1).bit_length(), dtype, device)[:count]


@lru_cache(maxsize=8)
def _kept_rows(count: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    rows = torch.ones(count, 1, dtype=dtype, device=device)
    rows[0].zero_()
    return rows


def _is_zeroed(x: Feat) -> bool:
    return isinstance(x, ResidentFeat) and x.zeroed


def _made_phases(weight: Tensor) -> Any:
    """What `_phases` holds for a kernel, or None."""
    lookup: Any = _phases  # its methods have no types
    return lookup.get(weight)


@cache
def largest_windows(device: torch.device) -> int:
    """Bytes of windows gathered at once on a device."""
    if device.type != "cuda":
        return _WINDOWS
    return min(_WINDOWS, int(torch.cuda.get_device_properties(device).total_memory) // _SHARE)
