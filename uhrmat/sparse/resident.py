"""Active sets whose geometry is made on the device, without the host: masks, tiles and tables of a picture that is
there already.

The host learns one thing, how many tiles each level has, in one copy (`MaskLevels.count`); everything else follows on
the device. Tiles are padded to few different counts by tiles without active sites, so that libraries meet few shapes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import download
from uhrmat.sparse.active import LEVELS, _tile_side

TILE = 16
"""Side of a tile at strides 1 and 2, as `ActiveSet.from_mask` takes it."""


def padded_count(count: int) -> int:
    """A number of tiles from `count` + 1 upwards, at most an eighth larger: eight numbers between powers of two."""
    least = count + 1
    step = max(8, 1 << max(0, least.bit_length() - 4))
    return -(-least // step) * step


class MaskLevels:
    """The active sites of all levels as planes, before they are divided into tiles.

    Args:
        mask: (h, w) bool on any device.
        levels: Number of levels, 1 to `active.LEVELS`.

    Attributes:
        planes: For each level (rows of tiles + 1, columns of tiles) · tile sites, positive where active; half precision
            on a GPU. The last row of tiles is empty: tiles that only fill up a count lie there.
        tiles: Side of a tile of each level, sites.
        grids: (rows, columns) of tiles of each level.
        sizes: (height, width) of each level, sites.
    """

    def __init__(self, mask: Tensor, levels: int = LEVELS) -> None:
        self.mask = mask
        self.tiles = [_tile_side(TILE, level) for level in range(levels)]
        kind = torch.float16 if mask.device.type == "cuda" else torch.float32
        plane = mask.to(kind)[None]
        self.planes, self.grids, self.sizes = list[Tensor](), list[tuple[int, int]](), list[tuple[int, int]]()
        sums = []
        for level, tile in enumerate(self.tiles):
            if level:  # a site is active if any of its 3x3 window is; its mean is at least 1 / 729 at the last level
                plane = F.avg_pool2d(plane, 3, 2, 1)
            height, width = plane.shape[-2:]
            grid = (-(-height // tile), -(-width // tile))
            padded = F.pad(plane[0], (0, grid[1] * tile - width, 0, (grid[0] + 1) * tile - height))
            sums.append(F.avg_pool2d(padded[None, :-tile], tile, tile, divisor_override=1).flatten())
            self.planes.append(padded)
            self.grids.append(grid)
            self.sizes.append((height, width))
        self._sums = torch.cat(sums)

    @cached_property
    def counts(self) -> list[np.ndarray]:
        """For each level (rows, columns): positive where a tile has active sites, at level 0 their number."""
        sums = download([self._sums.float()])[0]
        ends = np.cumsum([rows * columns for rows, columns in self.grids])
        return [part.reshape(grid) for part, grid in zip(np.split(sums, ends[:-1]), self.grids, strict=True)]

    @cached_property
    def running(self) -> Tensor:
        """Running number of occupied tiles through all levels, row by row, (all tiles,) int64."""
        return (self._sums > 0).cumsum(0)


@dataclass(frozen=True, kw_only=True)
class ResidentLevel:
    """The tiles of one level on the device; those that fill up the count lie in row `grid[0]` and have no active site.

    Attributes:
        height: Sites of the level from top to bottom.
        width: Sites of the level from left to right.
        tile: Sites per side of a tile.
        grid: (rows, columns) of tiles.
        ys: (T,) int64, row of each tile, counted in tiles.
        xs: (T,) int64, its column.
        mask: (T, tile, tile) bool, the active sites.
        numbers: Buffer row of every site, or the zero row where it is not active: int32, one site of margin on top and
            on the left, and as much below and on the right as windows reach.
    """

    height: int
    width: int
    tile: int
    grid: tuple[int, int]
    ys: Tensor
    xs: Tensor
    mask: Tensor
    numbers: Tensor = field(repr=False)

    @property
    def tiles(self) -> int:
        """Number of tiles, T, those that fill up included."""
        return len(self.ys)

    @property
    def sites(self) -> int:
        """Number of rows of a feature buffer. The last one, of a tile that fills up, is the zero row."""
        return self.tiles * self.tile * self.tile

    def table(self, reader: ResidentLevel, side: int, step: int, shift: int) -> Tensor:
        """Buffer rows of the window that a convolution reads for each tile of its result, (T · side · side,) int32.

        Arguments as for `active.TileLevel.table`.
        """
        stride = reader.tile * step if step > 0 else reader.tile // -step
        columns, corner = self.numbers.shape[1], 1 + shift
        rows = reader.grid[0] + 1
        windows = self.numbers.as_strided(
            (rows, reader.grid[1], side, side), (stride * columns, stride, columns, 1), corner * columns + corner
        )
        return windows[reader.ys, reader.xs].flatten()


class ResidentActive:
    """The active set of a mask on a device, see `active.ActiveSet`.

    Args:
        masks: Of all levels.

    Attributes:
        levels: Tiles at each stride.
        height: Rows of the mask.
        width: Columns of the mask.
        count: Number of active pixels.
    """

    def __init__(self, masks: MaskLevels) -> None:
        counts = masks.counts
        self.height, self.width = masks.sizes[0]
        self.count = int(counts[0].sum(dtype=np.float64))
        self.plane = masks.mask
        used = [int(np.count_nonzero(part)) for part in counts]
        padded = [padded_count(number) for number in used]
        device = masks.mask.device
        order = torch.arange(1, 1 + max(p + sum(used[:i]) for i, p in enumerate(padded)), device=device)
        numbers = torch.arange(max(p * t * t for p, t in zip(padded, masks.tiles, strict=True)), device=device)
        self.levels = [
            _level(masks, number, sum(used[:number]), padded[number], order, numbers.int())
            for number in range(len(masks.tiles))
        ]

    def mask(self, level: int = 0) -> Tensor:
        """The mask of level 0, (H, W) bool."""
        if level:
            raise ValueError(f"There is no plane of level {level}; `levels` holds its tiles.")
        return self.plane


def _level(masks: MaskLevels, number: int, before: int, tiles: int, order: Tensor, rows: Tensor) -> ResidentLevel:
    """Level `number` in `tiles` tiles. before: occupied tiles of the finer levels; order: 1, 2, …; rows: 0, 1, …"""
    tile, grid, (height, width) = masks.tiles[number], masks.grids[number], masks.sizes[number]
    start = sum(r * c for r, c in masks.grids[:number])
    running = masks.running[start : start + grid[0] * grid[1]]
    place = torch.searchsorted(running, order[before : before + tiles])  # of those that fill up: rows * columns
    ys, xs = place // grid[1], place % grid[1]
    tiled = masks.planes[number].view(grid[0] + 1, tile, grid[1], tile).permute(0, 2, 1, 3)
    mask = tiled[ys, xs] > 0
    zero = tiles * tile * tile - 1
    shape = _extent(masks, number)
    plane = torch.full(shape, zero, dtype=torch.int32, device=mask.device)
    own = rows[: zero + 1].view(tiles, tile, tile)
    # The plane's margins lie between its rows, so that no plain view divides it into tiles.
    row, start = shape[1], shape[1] + 1
    target = plane.as_strided((grid[0] + 1, grid[1], tile, tile), (tile * row, tile, row, 1), start)
    target[ys, xs] = torch.where(mask, own, zero)
    return ResidentLevel(
        height=height, width=width, tile=tile, grid=grid, ys=ys, xs=xs, mask=mask, numbers=plane
    )  # fmt: skip


def _extent(masks: MaskLevels, number: int) -> tuple[int, int]:
    """Rows and columns of a level's plane of buffer rows: as far as windows of its own and its neighbours' tiles."""
    reach = []
    for axis in (0, 1):
        last = [grid[axis] + (axis == 0) for grid in masks.grids]
        ends = [last[number] * masks.tiles[number] + 1]
        if number + 1 < len(masks.tiles):
            ends.append(last[number + 1] * 2 * masks.tiles[number + 1])
        if number:
            ends.append(last[number - 1] * masks.tiles[number - 1] // 2 + 1)
        reach.append(max(ends) + 1)
    return reach[0], reach[1]
