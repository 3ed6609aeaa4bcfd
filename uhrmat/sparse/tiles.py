"""The tiles engine: features stay in square tiles, halos are gathered, the inner loop is a vendor's dense convolution.

A feature of a level is one buffer of channel rows, (tiles * tile * tile + 1, C), the last row zero. A window of a tile
is gathered by one `index_select` whose table points at the zero row for every site that is not active: so nothing has
to be masked; rows of inactive sites hold finite numbers that no window ever reads.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.sparse.active import ActiveSet, TileLevel
from uhrmat.sparse.engine import Act, Engine, Feat, SampleFn, activate

_SITES = 1 << 16
"""Active sites handled at once where coordinates or float32 copies are needed."""


class TilesEngine(Engine):
    """active: the set; dtype: of features and arithmetic; chunk: tiles convolved at once. Inference only, one picture."""

    name = "tiles"

    def __init__(
        self, active: ActiveSet, dtype: torch.dtype = torch.float32, chunk: int = 32, device: str | torch.device = "cpu"
    ) -> None:
        self.active, self.dtype, self.chunk, self.device = active, dtype, chunk, torch.device(device)
        self._tables: dict[tuple[str, int], Tensor] = {}

    @torch.no_grad()
    def sample(self, fn: SampleFn) -> Feat:
        level, rows = self.active.levels[0], self._rows(0)
        parts = rows.split(_SITES) or (rows,)
        data: Tensor | None = None
        for part in parts:
            found = fn(*_places(level, part)).to(self.dtype)
            if data is None:
                data = torch.zeros((level.sites + 1, found.shape[-1]), dtype=self.dtype, device=self.device)
            data[part] = found
        assert data is not None
        return Feat(data, 0)

    def subm_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        weight, bias = self._ready(weight), self._ready(bias)
        if weight.shape[-1] == 1:
            return self._pointwise(x, weight, bias, act)
        level = self.active.levels[x.level]
        table = self._table("subm", x.level, lambda: level.table(level, level.tile + 2, 1, -1))
        return self._convolve(x, table, x.level, weight, lambda w: F.conv2d(w, weight, bias), act)

    def strided_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        weight, bias = self._ready(weight), self._ready(bias)
        level, below = self.active.levels[x.level : x.level + 2]
        table = self._table("strided", x.level, lambda: level.table(below, 2 * below.tile + 1, 2, -1))
        return self._convolve(x, table, x.level + 1, weight, lambda w: F.conv2d(w, weight, bias, stride=2), act)

    def inverse_conv(self, x: Feat, weight: Tensor, bias: Tensor | None = None, act: Act = None) -> Feat:
        weight, bias = self._ready(weight), self._ready(bias)
        above, level = self.active.levels[x.level - 1 : x.level + 1]
        table = self._table("inverse", x.level, lambda: level.table(above, above.tile // 2 + 1, -2, 0))
        tile = above.tile

        def kernel(window: Tensor) -> Tensor:
            return F.conv_transpose2d(window, weight, bias, stride=2, padding=1)[:, :, :tile, :tile]

        return self._convolve(x, table, x.level - 1, weight.transpose(0, 1), kernel, act)

    def cat(self, *xs: Feat) -> Feat:
        return Feat(torch.cat([x.data for x in xs], 1), xs[0].level)

    def add(self, x: Feat, y: Feat, act: Act = None) -> Feat:
        return Feat(activate(x.data + y.data, act), x.level)

    def scale(self, x: Feat, gate: Tensor) -> Feat:
        return Feat(x.data * gate.reshape(1, -1).to(x.data), x.level)

    def mean(self, x: Feat) -> Tensor:
        rows = self._rows(x.level)
        total = torch.zeros(x.data.shape[1], device=self.device)
        for part in rows.split(_SITES):
            total += x.data[part].sum(0, dtype=torch.float32)
        return (total / max(len(rows), 1))[None]

    def scatter(self, x: Feat, out: Tensor | np.ndarray) -> None:
        target = torch.as_tensor(out)
        for part in self._rows(0).split(_SITES):
            ys, xs = (c.to(target.device) for c in _places(self.active.levels[0], part))
            found = x.data[part].to(target)
            target[ys, xs] = found[:, 0] if target.ndim == 2 else found[:, : target.shape[2]]

    def values(self, x: Feat) -> Tensor:
        level, rows = self.active.levels[x.level], self._rows(x.level)
        ys, xs = _places(level, rows)
        return x.data[rows[torch.argsort(ys * level.width + xs)]].float()

    def _pointwise(self, x: Feat, weight: Tensor, bias: Tensor | None, act: Act) -> Feat:
        out = activate(F.linear(x.data, weight[:, :, 0, 0], bias), act)
        out[-1] = 0
        return Feat(out, x.level)

    def _convolve(
        self, x: Feat, table: Tensor, to: int, weight: Tensor, kernel: Callable[[Tensor], Tensor], act: Act
    ) -> Feat:
        level, side, channels = self.active.levels[to], table.shape[-1], x.data.shape[1]
        out = torch.empty((level.sites + 1, weight.shape[0]), dtype=self.dtype, device=self.device)
        out[-1] = 0
        tiles = out[:-1].view(-1, level.tile, level.tile, weight.shape[0])
        for start in range(0, level.tiles, self.chunk):
            part = table[start : start + self.chunk]
            window = x.data.index_select(0, part.flatten()).view(len(part), side, side, channels)
            found = activate(kernel(window.permute(0, 3, 1, 2)), act)
            tiles[start : start + self.chunk] = found.permute(0, 2, 3, 1)
        return Feat(out, to)

    def _table(self, kind: str, level: int, build: Callable[[], Tensor]) -> Tensor:
        if (kind, level) not in self._tables:
            self._tables[kind, level] = build().to(self.device)
        return self._tables[kind, level]

    def _rows(self, level: int) -> Tensor:
        """(N,) int64: buffer rows of the active sites of a level, tile by tile."""
        return self._table("rows", level, lambda: self.active.levels[level].mask.flatten().nonzero()[:, 0])

    def _ready(self, parameter: Tensor | None) -> Tensor | None:
        return None if parameter is None else parameter.detach().to(self.device, self.dtype)


def _places(level: TileLevel, rows: Tensor) -> tuple[Tensor, Tensor]:
    """(ys, xs) of buffer rows, as sites of the level."""
    number, place = rows // level.tile**2, rows % level.tile**2
    ys = level.ys.to(rows.device)[number] * level.tile + place // level.tile
    return ys, level.xs.to(rows.device)[number] * level.tile + place % level.tile
