"""A picture on a device, and small maps read at the active pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.transfer import constant
from uhrmat.media.picture import PictureInfo
from uhrmat.sparse.resident import ResidentActive, ResidentLevel, ResidentPair


@dataclass(frozen=True)
class ResidentPicture:
    """A picture whose pixels lie on a device; display-referred.

    Attributes:
        pixels: (H, W, 3), uint8, int16 with the bits of uint16, or float32.
        info: What the file states, see `media.picture.PictureInfo`.
    """

    pixels: Tensor
    info: PictureInfo

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    def colours(self, index: Tensor) -> Tensor:
        """Colours by pixel number y · W + x, int64 of shape (n,): (n, 3) float32 in [0, 1]."""
        return as_colours(self.pixels.view(-1, 3).index_select(0, index))

    def planes(self) -> Tensor:
        """All colours, (3, H, W) float32 in [0, 1]."""
        return as_colours(self.pixels).permute(2, 0, 1)

    def values(self) -> Tensor:
        """All stored values, (H, W, 3) float32: whole numbers of integer types, of others those in [0, 1]."""
        if self.pixels.dtype == torch.int16:
            return (self.pixels.int() & 0xFFFF).float()
        return self.pixels.float() if self.pixels.dtype == torch.uint8 else self.pixels.clamp(0, 1)


def as_colours(stored: Tensor) -> Tensor:
    """float32 in [0, 1] of stored values."""
    if stored.dtype == torch.uint8:
        return stored / 255
    if stored.dtype == torch.int16:
        return (stored.int() & 0xFFFF).float() / 65535
    return stored.clamp(0, 1)


@dataclass(frozen=True)
class Sites:
    """The pixels of an active set's tiles at full resolution, tile by tile: S = T · tile · tile of them.

    Attributes:
        active: The active set of a window.
        index: (S,) int64, number y · W + x of the pixel in the picture; W · H, one past the last, where not active.
        readable: `index` with the picture's last pixel where that is one past it.
        grid: (T, tile + 2, tile + 2, 2) float32, each site's (x, y) in the picture as `grid_sample` takes it, with one
            more site on every side.
        size: (H, W) of the picture.
        places: (2, T, tile) int64, x of the columns and y of the rows of each tile.
    """

    active: ResidentActive
    index: Tensor
    readable: Tensor
    grid: Tensor
    size: tuple[int, int]
    places: Tensor

    @classmethod
    def of_window(cls, active: ResidentActive, size: tuple[int, int], top: int = 0, left: int = 0) -> Sites:
        """Sites of the active set of a window whose upper left pixel is (top, left), both multiples of a tile, of a
        picture of `size`."""
        level = active.levels[0]
        places, index, readable, grid = _locate(level.place, level.mask, size, top, left)
        return cls(active, index, readable, grid, size, places)

    @classmethod
    def of_pair(cls, pair: ResidentPair, size: tuple[int, int]) -> tuple[Sites, Sites]:
        """Sites of two active sets of a picture of `size`."""
        places, index, readable, grid = _locate(pair.place, pair.mask, size)
        first, tile = pair.sets[0].levels[0].tiles, pair.mask.shape[-1]
        cuts = [slice(None, first), slice(first, None)], [slice(None, first * tile**2), slice(first * tile**2, None)]
        one, other = (
            cls(active, index[sites], readable[sites], grid[tiles], size, places[:, tiles])
            for active, tiles, sites in zip(pair.sets, *cuts, strict=True)
        )
        return one, other

    @property
    def level(self) -> ResidentLevel:
        """The tiles at full resolution."""
        return self.active.levels[0]

    @cached_property
    def _inner_grid(self) -> Tensor:
        """`grid` without the sites around the tiles, (1, T · tile, tile, 2)."""
        return self.grid[:, 1:-1, 1:-1].reshape(1, -1, self.level.tile, 2)

    def read(self, maps: Tensor, margin: bool = False) -> Tensor:
        """Maps (C, h, w) of any size over the whole picture, read bilinearly: pixel centres aligned, edges repeated.

        Args:
            maps: float32.
            margin: Whether one more site on every side of each tile is read.

        Returns:
            (C, S) or, with `margin`, (C, T, tile + 2, tile + 2).
        """
        grid = self.grid.view(1, -1, *self.grid.shape[2:]) if margin else self._inner_grid
        values = F.grid_sample(maps[None], grid, "bilinear", "border", align_corners=False)[0]
        return values.view(len(maps), *self.grid.shape[:3]) if margin else values.flatten(1)

    def known(self, trimap: Tensor) -> Tensor:
        """Values of the picture's trimap, (S,) uint8; read once as long as it is the same one."""
        kept: dict[str, Any] = self.__dict__
        if "_known" not in kept or kept["_known"][0] is not trimap:
            kept["_known"] = trimap, trimap.view(-1).index_select(0, self.readable)
        values: Tensor = kept["_known"][1]
        return values


def _locate(
    place: Tensor, mask: Tensor, size: tuple[int, int], top: int = 0, left: int = 0
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`places`, `index`, `readable` and `grid` of `Sites` for tiles at `place` (2, T) with active sites `mask`."""
    (height, width), device, tile = size, place.device, mask.shape[-1]
    places = torch.add(constant(tuple(range(-1, tile + 1)), device, np.int64), place[..., None], alpha=tile)
    if top or left:
        places = places + constant((left, top), device, np.int64)[:, None, None]
    inner = places[..., 1:-1]
    number = torch.add(inner[0][:, None], inner[1][..., None], alpha=width)
    index = torch.where(mask, number, height * width).flatten()
    # (place + 0.5) / extent is where in [0, 1] a pixel's centre lies; grids reach from -1 to 1.
    gain, offset = (2 / width, 2 / height), (1 / width - 1, 1 / height - 1)
    first, step = constant(offset, device)[:, None, None], constant(gain, device)[:, None, None]
    x, y = torch.addcmul(first, places, step)
    side = tile + 2
    grid = torch.stack([x[:, None].expand(-1, side, -1), y[:, :, None].expand(-1, -1, side)], -1)
    return inner, index, index.clamp(max=height * width - 1), grid


def flat_pixels(plane: Tensor) -> Tensor:
    """The pixels of a plane of `new_plane` as (H · W + 1,): the last one takes what is written to no pixel."""
    return plane.as_strided((plane.numel() + 1,), (1,), plane.storage_offset())


def new_plane(size: tuple[int, int], device: torch.device) -> Tensor:
    """An uninitialised float32 plane (H, W) with one more pixel behind its last, see `flat_pixels`."""
    return torch.empty(size[0] * size[1] + 1, device=device)[:-1].view(size)
