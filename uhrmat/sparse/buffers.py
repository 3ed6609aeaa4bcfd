"""Feature buffers whose memory is reused: page faults of newly allocated memory took a quarter of a layer's time."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from uhrmat.sparse.engine import Feat

_WASTE = 4
"""Largest ratio of a reused block of memory to the buffer in it. Not tuned."""


@dataclass(frozen=True)
class TileFeat(Feat):
    """Features of the tiles engine.

    Attributes:
        data: (rows + 1, C), one row of channels for each site of each tile, the last row zero.
        more: Buffers of the same rows whose channels follow; they are concatenated only where needed.
    """

    more: tuple[Tensor, ...] = ()

    @property
    def parts(self) -> tuple[Tensor, ...]:
        """All buffers, in the order of their channels."""
        return (self.data, *self.more)


class Buffers:
    """Allocates buffers; the memory of one is reused once nothing refers to it any more.

    Args:
        dtype: Of every buffer.
        device: Of every buffer.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._free: list[Tensor] = []

    def take(self, rows: int, channels: int) -> Tensor:
        """Allocate a buffer (rows + 1, channels): the last row is zero, the others are not initialised."""
        size = (rows + 1) * channels
        fitting = [slab for slab in self._free if size <= slab.numel() <= _WASTE * size]
        slab = min(fitting, key=Tensor.numel) if fitting else torch.empty(size, dtype=self.dtype, device=self.device)
        self._free = [free for free in self._free if free is not slab]
        buffer = slab[:size].view(rows + 1, channels)
        buffer[-1] = 0
        weakref.finalize(buffer, self._give_back, slab).atexit = False
        return buffer

    def _give_back(self, slab: Tensor) -> None:
        self._free.append(slab)
