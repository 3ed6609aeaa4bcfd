"""The active set: which pixels are computed, as square tiles at strides 1, 2, 4 and 8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError

LEVELS = 4
"""Levels of an active set: strides 1, 2, 4 and 8, those of SHM (SparseMat, CVPR 2023, §3.3, Fig. 8)."""
_BLOCK = 4096
"""Tiles handled at once while tables are built, which bounds the memory of the int64 temporaries. Not tuned."""


@dataclass(frozen=True, kw_only=True)
class TileLevel:
    """The tiles of one level that hold at least one active site, in row-major order of tiles.

    A site is a pixel of the level: level l has a stride of 2**l picture pixels. T is the number of tiles.

    Attributes:
        height: Sites of the level from top to bottom.
        width: Sites of the level from left to right.
        tile: Sites per side of a tile, an even number.
        ys: (T,) int64, row of each tile, counted in tiles.
        xs: (T,) int64, column of each tile, counted in tiles.
        mask: (T, tile, tile) bool, the active sites.
        lookup: (rows, columns) int32, number of the tile at a place, -1 where there is none.
    """

    height: int
    width: int
    tile: int
    ys: Tensor
    xs: Tensor
    mask: Tensor
    lookup: Tensor

    @classmethod
    def from_tiles(cls, size: tuple[int, int], tile: int, ys: Tensor, xs: Tensor, mask: Tensor) -> TileLevel:
        """Make a level of `size` (height, width) sites; the other arguments are its attributes."""
        rows, columns = (-(-n // tile) for n in size)
        lookup = torch.full((rows, columns), -1, dtype=torch.int32)
        lookup[ys, xs] = torch.arange(len(ys), dtype=torch.int32)
        return cls(height=size[0], width=size[1], tile=tile, ys=ys, xs=xs, mask=mask, lookup=lookup)

    @property
    def tiles(self) -> int:
        """Number of tiles, T."""
        return len(self.ys)

    @property
    def sites(self) -> int:
        """Number of sites in all tiles, active or not: the rows of a feature buffer without its zero row."""
        return self.tiles * self.tile * self.tile

    def window(self, ys: Tensor, xs: Tensor, side: int) -> Tensor:
        """Buffer rows of the sites in square windows.

        Args:
            ys: (n,) int64, row of each window's upper left site; may lie outside the level.
            xs: (n,) int64, its column.
            side: Sites per side of a window.

        Returns:
            (n, side, side) int64. Sites outside the level, in no tile or not active have row `sites`, the zero row.
        """
        offset = torch.arange(side)
        number_y, inside_y = _split(ys[:, None] + offset, self.tile, self.lookup.shape[0])
        number_x, inside_x = _split(xs[:, None] + offset, self.tile, self.lookup.shape[1])
        padded = torch.nn.functional.pad(self.lookup, (1, 1, 1, 1), value=-1).flatten()
        stride = self.lookup.shape[1] + 2
        number = padded[(number_y * stride)[:, :, None] + number_x[:, None, :]].long()
        row = number * self.tile**2 + (inside_y * self.tile)[:, :, None] + inside_x[:, None, :]
        active = torch.cat([self.mask.flatten(), torch.zeros(1, dtype=torch.bool)])
        row = torch.where(number < 0, self.sites, row)
        return torch.where(active[row], row, self.sites)

    def table(self, reader: TileLevel, side: int, step: int, shift: int) -> Tensor:
        """Buffer rows of the window that a convolution reads for each tile of its result.

        Args:
            reader: The result's level.
            side: Sites per side of a window.
            step: Sites of this level per site of `reader`; -2 where two sites of `reader` share one of this level.
            shift: Offset of a window's corner from the tile's, sites of this level.

        Returns:
            (T, side, side) int32, T the tiles of `reader`; see `window`.
        """
        parts = [torch.empty((0, side, side), dtype=torch.int32)]
        for part in _blocks(reader.tiles):
            corners = [axis[part] * reader.tile for axis in (reader.ys, reader.xs)]
            corners = [c * step if step > 0 else c // -step for c in corners]
            parts.append(self.window(corners[0] + shift, corners[1] + shift, side).int())
        return torch.cat(parts)

    def coarser_level(self, tile: int) -> TileLevel:
        """The level of twice the stride, in tiles of `tile` x `tile` sites.

        A site is active if any site of its 3x3 window, stride 2, padding 1, is.
        """
        size = (-(-self.height // 2), -(-self.width // 2))
        grid = [-(-n // tile) for n in size]
        occupied = torch.zeros(grid, dtype=torch.bool)
        tops, lefts = self.ys * self.tile, self.xs * self.tile
        reach = [*range(0, self.tile, 2 * tile), self.tile]
        for down in reach:
            for right in reach:
                y, x = (tops + down) // 2 // tile, (lefts + right) // 2 // tile
                occupied[y.clamp(max=grid[0] - 1), x.clamp(max=grid[1] - 1)] = True
        ys, xs = occupied.nonzero(as_tuple=True)
        mask = torch.cat([torch.empty((0, tile, tile), dtype=torch.bool), *self._pooled(ys, xs, tile)])
        used = mask.flatten(1).any(1)
        return TileLevel.from_tiles(size, tile, ys[used], xs[used], mask[used])

    def _pooled(self, ys: Tensor, xs: Tensor, tile: int) -> Iterator[Tensor]:
        """Masks of the coarser level's tiles at (ys, xs), block by block."""
        rows = torch.arange(tile)
        height, width = -(-self.height // 2), -(-self.width // 2)
        for part in _blocks(len(ys)):
            y, x = ys[part] * tile, xs[part] * tile
            hit = self.window(2 * y - 1, 2 * x - 1, 2 * tile + 1) < self.sites
            pooled = torch.nn.functional.max_pool2d(hit[:, None].float(), 3, 2)[:, 0] > 0
            inside_y = (y[:, None] + rows < height)[:, :, None]
            yield pooled & inside_y & (x[:, None] + rows < width)[:, None, :]


class ActiveSet:
    """The active pixels of one picture, with the geometry of all levels. Read-only, shared by all layers.

    Attributes:
        levels: Tiles at strides 1, 2, 4 and 8.
        height: Pixels of the picture from top to bottom.
        width: Pixels of the picture from left to right.
        count: Number of active pixels.
    """

    def __init__(self, levels: list[TileLevel]) -> None:
        self.levels = levels
        self.height, self.width = levels[0].height, levels[0].width
        self.count = int(levels[0].mask.sum())

    @classmethod
    def from_mask(cls, mask: Tensor | np.ndarray, tile: int = 16) -> ActiveSet:
        """Make the active set of a mask. Beside the mask only tiles with active pixels take memory.

        Args:
            mask: (H, W) of any type, non-zero where a pixel is active.
            tile: Side of a tile at strides 1 and 2, an even number; half of it at 4 and 8, where bands are thin.

        Returns:
            The set; its level l has ceil(H / 2**l) x ceil(W / 2**l) sites.

        Raises:
            InputError: The mask has another shape or no pixel, or `tile` is odd or below 2.
        """
        array = mask.detach().cpu().numpy() if isinstance(mask, Tensor) else np.asarray(mask)
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(f"A mask of shape {array.shape} cannot be an active set.", "Give (height, width).")
        if tile < 2 or tile % 2:
            raise InputError(f"Tiles of {tile} pixels cannot be halved.", "Give an even number from 2 upwards.")
        levels = [_first_level(array, tile)]
        for level in range(1, LEVELS):
            levels.append(levels[-1].coarser_level(_tile_side(tile, level)))
        return cls(levels)

    def mask(self, level: int = 0) -> Tensor:
        """The whole mask of a level, (h, w) bool."""
        tiles = self.levels[level]
        full = torch.zeros((tiles.lookup.shape[0], tiles.tile, tiles.lookup.shape[1], tiles.tile), dtype=torch.bool)
        full[tiles.ys, :, tiles.xs] = tiles.mask
        return full.flatten(2).flatten(0, 1)[: tiles.height, : tiles.width]


def _first_level(array: np.ndarray, tile: int) -> TileLevel:
    """The level of stride 1, in strips of one row of tiles."""
    height, width = array.shape
    columns = -(-width // tile)
    # As wide as whole words, so that a row of tiles is looked through eight pixels at a time.
    words = np.zeros((tile, -(-columns * tile // 8)), dtype=np.uint64)
    strip = words.view(bool)[:, : columns * tile]
    none = np.zeros(0, np.intp)
    ys, xs, masks = [none], [none], [np.zeros((0, tile, tile), dtype=bool)]
    for number, top in enumerate(range(0, height, tile)):
        rows = array[top : top + tile]
        strip[len(rows) :] = False
        np.copyto(strip[: len(rows), :width], rows if rows.dtype == bool else rows != 0)
        seen = np.bitwise_or.reduce(words, 0).view(bool)[: columns * tile]
        if not seen.any():
            continue
        used = np.flatnonzero(seen.reshape(columns, tile).any(1))
        ys.append(np.full(len(used), number))
        xs.append(used)
        masks.append(strip.reshape(tile, columns, tile)[:, used].transpose(1, 0, 2))
    y, x, mask = (torch.from_numpy(np.concatenate(part)) for part in (ys, xs, masks))
    return TileLevel.from_tiles((height, width), tile, y, x, mask)


def _tile_side(tile: int, level: int) -> int:
    """Side of a level's tiles: half-size tiles at strides 4 and 8 took a quarter less time in float32, none at 2."""
    return tile if level < 2 else max(2, tile // 4 * 2)


def _split(sites: Tensor, tile: int, count: int) -> tuple[Tensor, Tensor]:
    """Number of the tile along one axis, plus 1 (0 and count + 1: outside), and place inside the tile, of each site."""
    return sites.div(tile, rounding_mode="floor").clamp(-1, count) + 1, sites.remainder(tile)


def _blocks(count: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, count, _BLOCK))
