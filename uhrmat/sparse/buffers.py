"""Buffers of channel rows that are used again: fresh memory of this size costs a quarter of a layer in page faults."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

import torch
from torch import Tensor

from uhrmat.sparse.engine import Feat

_WASTE = 4
"""A free slab may be this many times larger than what is asked for."""


@dataclass(frozen=True)
class TileFeat(Feat):
    """`data`: (rows + 1, C), the last row zero. `more`: buffers whose channels follow, joined only when needed."""

    more: tuple[Tensor, ...] = ()

    @property
    def parts(self) -> tuple[Tensor, ...]:
        return (self.data, *self.more)


class Buffers:
    """Hands out buffers; the memory of one comes back when nothing refers to it any more."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._free: list[Tensor] = []

    def take(self, rows: int, channels: int) -> Tensor:
        """(rows + 1, channels), unset but for the last row, which is zero."""
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
