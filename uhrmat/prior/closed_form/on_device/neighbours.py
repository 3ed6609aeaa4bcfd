"""Exact nearest neighbours among many points of few dimensions, without a tree to walk: blocks of near points.

Points are split at medians, as a k-d tree does (Bentley, "Multidimensional Binary Search Trees Used for Associative
Searching", CACM 1975), into blocks of one size. Each block of queries is compared with whole blocks, the nearest first,
until no further block can hold a nearer point than those that all of its queries have. Every step is one batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

_FAR = 1e4
"""A coordinate of points that fill up the last block: farther than any that is sought."""


@dataclass(frozen=True, kw_only=True)
class NeighbourParams:
    """Parameters of the search. They change the time and the memory, not the result.

    Attributes:
        block: most points of a block.
        chunk: distances that are computed at once; twelve bytes each.
    """

    block: int = 256
    chunk: int = 1 << 24


NEIGHBOUR_DEFAULTS = NeighbourParams()


def nearest_neighbours(
    points: Tensor, wanted: Tensor, count: int, params: NeighbourParams = NEIGHBOUR_DEFAULTS
) -> Tensor:
    """The nearest points of some of the points, by Euclidean distance, in no particular order.

    Args:
        points: (n, d) float32, coordinates below 1000.
        wanted: (n,) bool, whose neighbours are sought: q of them.
        count: neighbours of each, at most n. A point is its own nearest neighbour.
        params: of the search.

    Returns:
        (q, count) int64, numbers of points. Of points that are equally far, any.
    """
    n, dimensions = points.shape
    padded = torch.cat([points, points.new_full((1, dimensions), _FAR)])
    order = _split(padded, max(params.block, count))
    members, queried = padded[order], torch.cat([wanted, wanted.new_zeros(1)])[order]
    search = _Search(members, order, queried, (members.amin(1), members.amax(1)))
    blocks = torch.nonzero(queried.any(1))[:, 0]
    result = order.new_zeros(n + 1, count)
    rows = max(1, params.chunk // max(order.shape[1] ** 2, len(order)))
    for first in range(0, len(blocks), rows):
        some = blocks[first : first + rows]
        result[order[some]] = search.of_blocks(some, count)
    return result[:-1][wanted]


def _split(padded: Tensor, most: int) -> Tensor:
    """(b, s) int64: the points but the last in blocks of s ≤ `most`, b a power of two; the last one fills them up.

    Each split halves the points along their widest axis.
    """
    n = len(padded) - 1
    splits = max(0, math.ceil(math.log2(n / most)))
    order = torch.arange(-(-n // (1 << splits)) << splits, device=padded.device).clamp(max=n)[None]
    for _ in range(splits):
        members, real = padded[order], (order < n)[..., None]
        spread = torch.where(real, members, -_FAR).amax(1) - torch.where(real, members, _FAR).amin(1)
        axis = spread.argmax(1)[:, None, None].expand(-1, order.shape[1], 1)
        keys = members.gather(2, axis)[..., 0]
        order = order.gather(1, keys.argsort(dim=1, stable=True)).reshape(2 * len(order), -1)
    return order


@dataclass(frozen=True)
class _Search:
    """Points in b blocks of s.

    Attributes:
        members: (b, s, d) float32.
        order: (b, s) int64, their numbers.
        queried: (b, s) bool, whose neighbours are sought.
        box: least and largest coordinates of each block, both (b, d).
    """

    members: Tensor
    order: Tensor
    queried: Tensor
    box: tuple[Tensor, Tensor]

    def of_blocks(self, some: Tensor, count: int) -> Tensor:
        """(c, s, count): the numbers of the nearest points of each point of c blocks."""
        gaps, nearest = self._gaps(some).sort(1)
        best = self.members.new_full((*self.members[some].shape[:2], count), math.inf)
        numbers = self.order.new_zeros(best.shape)
        active = torch.arange(len(some), device=some.device)
        for step in range(len(self.order)):
            worst = torch.where(self.queried[some[active]], best[active].amax(2), -1).amax(1)
            active = active[gaps[active, step] <= worst]
            if not len(active):
                break
            other = nearest[active, step]
            near = torch.cat([best[active], self._distances(some[active], other)], 2)
            kept = near.topk(count, largest=False, sorted=False)
            fresh = self.order[other][:, None].expand(-1, best.shape[1], -1)
            best[active] = kept.values
            numbers[active] = torch.where(
                kept.indices < count,
                numbers[active].gather(2, kept.indices.clamp(max=count - 1)),
                fresh.gather(2, (kept.indices - count).clamp(min=0)),
            )
        return numbers

    def _distances(self, ours: Tensor, others: Tensor) -> Tensor:
        """(c, s, s): squared distances between the points of c blocks and of c others."""
        size = self.members.shape[1]
        distances = self.members.new_zeros(len(ours), size, size)
        for axis in range(self.members.shape[2]):
            apart = self.members[ours, :, None, axis] - self.members[others, None, :, axis]
            distances.addcmul_(apart, apart)
        return distances

    def _gaps(self, some: Tensor) -> Tensor:
        """(c, b): squared distances between the boxes of c blocks and of all; -1 to themselves, which come first."""
        (low, high), c = self.box, torch.arange(len(some), device=some.device)
        gaps = self.members.new_zeros(len(some), len(self.order))
        for axis in range(low.shape[1]):
            below, above = low[some, axis, None] - high[:, axis], low[:, axis] - high[some, axis, None]
            gap = torch.maximum(below, above).clamp(min=0)
            gaps.addcmul_(gap, gap)
        gaps[c, some] = -1
        return gaps
