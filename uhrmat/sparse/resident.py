"""Active sets whose geometry is made on the device, without the host: masks, tiles and tables of a picture that is
there already.

The host learns one thing, how many tiles each level has, in one copy (`MaskLevels.count`); everything else follows on
the device. Tiles are padded to few different counts by tiles without active sites, so that libraries meet few shapes.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import download, upload, whole_numbers
from uhrmat.sparse.active import LEVELS, _tile_side

TILE = 16
"""Side of a tile at strides 1 and 2, as `ActiveSet.from_mask` takes it."""


EMPTY_ROWS = 2
"""Rows of tiles below the last one. Tiles that only fill up a count lie in the last of them: nothing that a 3x3 window
reads from there is active."""


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
        beside: Another mask of the same shape whose tiles are made along with those of a single level, see
            `ResidentPair`: it takes the place of a second level.

    Attributes:
        masks: `mask`, and `beside` if there is one.
        levels: Number of levels of `mask`.
        planes: For each level (rows of tiles + EMPTY_ROWS, columns of tiles) · tile sites, positive where active; half
            precision on a GPU.
        tiles: Side of a tile of each level, sites.
        grids: (rows, columns) of tiles of each level.
        sizes: (height, width) of each level, sites.
    """

    def __init__(self, mask: Tensor, levels: int = LEVELS, beside: Tensor | None = None) -> None:
        self.masks, self.levels = [mask] if beside is None else [mask, beside], levels
        if beside is not None and levels > 1:
            raise ValueError(f"Two masks have one level each, not {levels}.")
        self.tiles = [_tile_side(TILE, level) for level in range(levels)]
        kind = torch.float16 if mask.device.type == "cuda" else torch.float32
        plane = (mask[None] if beside is None else torch.stack(self.masks)).to(kind)
        self.planes, self.grids, self.sizes = list[Tensor](), list[tuple[int, int]](), list[tuple[int, int]]()
        sums = []
        for level, tile in enumerate(self.tiles):
            if level:  # a site is active if any of its 3x3 window is; its mean is at least 1 / 729 at the last level
                plane = F.avg_pool2d(plane, 3, 2, 1)
            height, width = plane.shape[-2:]
            grid = (-(-height // tile), -(-width // tile))
            padded = F.pad(plane, (0, grid[1] * tile - width, 0, (grid[0] + EMPTY_ROWS) * tile - height))
            for one, pooled in zip(padded, F.avg_pool2d(padded, tile, tile, divisor_override=1), strict=True):
                # Before the tiles one that is empty, which stands for those that fill up.
                sums += [one.view(-1)[-1:], pooled[: grid[0]].flatten()]
                self.planes.append(one)
                self.grids.append(grid)
                self.sizes.append((height, width))
        if beside is not None:
            self.tiles *= 2
        self._sums = torch.cat(sums)  # up to 256, which half precision holds exactly

    @cached_property
    def counts(self) -> list[np.ndarray]:
        """For each level (rows, columns): positive where a tile has active sites, at level 0 their number."""
        sums = download([self._sums])[0]
        parts = (sums[start + 1 : stop] for start, stop in itertools.pairwise(self._places))
        return [part.reshape(grid) for part, grid in zip(parts, self.grids, strict=True)]

    def occupied(self) -> tuple[Tensor, list[int]]:
        """Where the occupied tiles are, level by level and row by row, after those that only fill up a level's count.

        Returns:
            (2, T) int64, column and row of every tile, and the number of tiles of each level.
        """
        counts = [int(np.count_nonzero(part)) for part in self.counts]
        totals = [padded_count(count) for count in counts]
        used = torch.empty(self._sums.shape, device=self._sums.device)
        torch.gt(self._sums, 0, out=used)
        for start, count, total in zip(self._places, counts, totals, strict=False):
            used[start].fill_(total - count)
        # The first tile is where the running number exceeds 0, the next one where it exceeds 1 …
        ranks = whole_numbers(sum(totals), used.device, torch.float32)
        place = torch.searchsorted(used.cumsum(0, dtype=torch.float32), ranks, right=True)
        return _tile_places(tuple(self.grids), used.device).index_select(1, place), totals

    @property
    def _places(self) -> list[int]:
        """Where the tiles of each level begin in `_sums`: after one that stands for those that fill up."""
        return [0, *itertools.accumulate(rows * columns + 1 for rows, columns in self.grids)]


@lru_cache(maxsize=16)
def _tile_places(grids: tuple[tuple[int, int], ...], device: torch.device) -> Tensor:
    """(2, N) int64, column and row of all tiles of all levels, before those of each level one in its last empty row."""
    parts = []
    for rows, columns in grids:
        parts.append(np.array([[0], [rows + EMPTY_ROWS - 1]]))
        parts.append(np.stack(np.divmod(np.arange(rows * columns), columns))[::-1])
    return upload([np.concatenate(parts, 1)], device)[0]


@dataclass(frozen=True, kw_only=True)
class ResidentLevel:
    """The tiles of one level on the device. The first ones fill up the count: they lie in the last empty row.

    Attributes:
        height: Sites of the level from top to bottom.
        width: Sites of the level from left to right.
        tile: Sites per side of a tile.
        grid: (rows, columns) of tiles.
        place: (2, T) int64, column and row of each tile, counted in tiles.
        mask: (T, tile, tile) bool, the active sites.
        numbers: Buffer row of every site, or 0, the zero row, where it is not active: int32, one site of margin on top
            and on the left, and as much below and on the right as windows reach. Empty where no convolution is meant.
    """

    height: int
    width: int
    tile: int
    grid: tuple[int, int]
    place: Tensor
    mask: Tensor
    numbers: Tensor = field(repr=False)

    @property
    def xs(self) -> Tensor:
        """(T,) int64, column of each tile."""
        return self.place[0]

    @property
    def ys(self) -> Tensor:
        """(T,) int64, row of each tile."""
        return self.place[1]

    @property
    def tiles(self) -> int:
        """Number of tiles, T, those that fill up included."""
        return self.place.shape[1]

    @property
    def sites(self) -> int:
        """Number of rows of a feature buffer. The first one, of a tile that fills up, is the zero row."""
        return self.tiles * self.tile * self.tile

    def table(self, reader: ResidentLevel, side: int, step: int, shift: int) -> Tensor:
        """Buffer rows of the window that a convolution reads for each tile of its result, (T · side · side,) int32.

        Arguments as for `active.TileLevel.table`.
        """
        stride = reader.tile * step if step > 0 else reader.tile // -step
        columns, corner = self.numbers.shape[1], 1 + shift
        rows = reader.grid[0] + EMPTY_ROWS
        start = self.numbers.storage_offset() + corner * columns + corner
        windows = self.numbers.as_strided(
            (rows, reader.grid[1], side, side), (stride * columns, stride, columns, 1), start
        )
        return windows[reader.ys, reader.xs].flatten()


class ResidentActive:
    """The active set of a mask on a device, see `active.ActiveSet`.

    Args:
        masks: Of all levels.
        levels: Its tiles, where they are made already.
        number: 1 for the second of two masks.

    Attributes:
        levels: Tiles at each stride.
        height: Rows of the mask.
        width: Columns of the mask.
        count: Number of active pixels.
    """

    def __init__(self, masks: MaskLevels, levels: list[ResidentLevel] | None = None, number: int = 0) -> None:
        self.height, self.width = masks.sizes[number]
        self.count = int(masks.counts[number].sum(dtype=np.float64))
        self.plane = masks.masks[number]
        self.levels = _levels(masks, *_tiles(masks)) if levels is None else levels

    def mask(self, level: int = 0) -> Tensor:
        """The mask of level 0, (H, W) bool."""
        if level:
            raise ValueError(f"There is no plane of level {level}; `levels` holds its tiles.")
        return self.plane


def _tiles(masks: MaskLevels) -> tuple[Tensor, Tensor, list[int]]:
    """Tiles of all levels, one level after the other: (2, T) int64, column and row of each; their active sites, (S,)
    bool; the number of tiles of each level."""
    place, counts = masks.occupied()
    tiled = []
    for number, (xs, ys) in enumerate(torch.split(place, counts, 1)):
        tile, grid = masks.tiles[number], masks.grids[number]
        plane = masks.planes[number].view(grid[0] + EMPTY_ROWS, tile, grid[1], tile).permute(0, 2, 1, 3)
        tiled.append(plane[ys, xs].flatten())
    return place, _joined(tiled) > 0, counts


def _levels(masks: MaskLevels, place: Tensor, mask: Tensor, counts: list[int]) -> list[ResidentLevel]:
    """Tiles and buffer rows of all levels; what can be is made for all levels at once. Arguments: see `_tiles`."""
    numbers = range(masks.levels)
    places = torch.split(place, counts, 1)
    sites = [counts[number] * masks.tiles[number] ** 2 for number in numbers]
    mask = mask[: sum(sites)]
    rows = torch.split(_joined([whole_numbers(count, mask.device) for count in sites]) * mask, sites)
    shapes = [_extent(masks, number) for number in numbers]
    planes = torch.zeros(sum(math.prod(shape) for shape in shapes), dtype=torch.int32, device=mask.device)
    split = torch.split(planes, [math.prod(shape) for shape in shapes])
    levels = []
    for number, part in enumerate(torch.split(mask, sites)):
        (xs, ys), tile, grid, shape = places[number], masks.tiles[number], masks.grids[number], shapes[number]
        plane = split[number].view(shape)
        # The plane's margins lie between its rows, so that no plain view divides it into tiles.
        row = shape[1]
        target = plane.as_strided(
            (grid[0] + EMPTY_ROWS, grid[1], tile, tile), (tile * row, tile, row, 1), plane.storage_offset() + row + 1
        )
        target[ys, xs] = rows[number].view(-1, tile, tile)
        levels.append(_level(masks, number, places[number], part, plane))
    return levels


def _level(masks: MaskLevels, number: int, place: Tensor, mask: Tensor, numbers: Tensor) -> ResidentLevel:
    tile, (height, width) = masks.tiles[number], masks.sizes[number]
    return ResidentLevel(
        height=height,
        width=width,
        tile=tile,
        grid=masks.grids[number],
        place=place,
        mask=mask.view(-1, tile, tile),
        numbers=numbers,
    )


class ResidentPair:
    """The active sets of two masks of one size, made together: half of the work that two made alone are.

    Args:
        masks: Of one level, with another mask beside.

    Attributes:
        place: (2, T) int64, column and row of the tiles of both sets, one set after the other.
        mask: (T, tile, tile) bool, their active sites.
        sets: Both sets. The second has no buffer rows: no convolution can be made on it.
    """

    def __init__(self, masks: MaskLevels) -> None:
        self.place, flat, counts = _tiles(masks)
        first, second = _levels(masks, self.place, flat, counts), counts[0] * masks.tiles[0] ** 2
        none = torch.empty(0, dtype=torch.int32, device=flat.device)
        beside = [_level(masks, 1, self.place[:, counts[0] :], flat[second:], none)]
        self.mask = flat.view(-1, *first[0].mask.shape[1:])
        self.sets = ResidentActive(masks, first), ResidentActive(masks, beside, 1)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _extent(masks: MaskLevels, number: int) -> tuple[int, int]:
    """Rows and columns of a level's plane of buffer rows: as far as windows of its own and its neighbours' tiles."""
    reach = []
    for axis in (0, 1):
        last = [grid[axis] + EMPTY_ROWS * (axis == 0) for grid in masks.grids]
        ends = [last[number] * masks.tiles[number] + 1]
        if number + 1 < masks.levels:
            ends.append(last[number + 1] * 2 * masks.tiles[number + 1])
        if number:
            ends.append(last[number - 1] * masks.tiles[number - 1] // 2 + 1)
        reach.append(max(ends) + 1)
    return reach[0], reach[1]
