"""Multiply-accumulates of SHM, counted from its configuration: dense against sparse, as in SparseMat's Table 3."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from uhrmat.refine.shm.network import SHMConfig
from uhrmat.sparse import ActiveSet


def macs(config: SHMConfig, sites: Sequence[int]) -> int:
    """Multiply-accumulates of one pass. sites: computed sites at strides 1, 2, 4 and 8.

    Every tap of a computed site counts, also one on a neighbour that is not active (an engine that skips those does
    less). A site of a transposed convolution of stride 2 has 9 / 4 taps on average. Activations, sums, Masked-SE and
    its encoder, whose work does not depend on the picture, are left out.
    """
    return sum(sites[level] * taps * inputs * outputs // 4 for level, taps, inputs, outputs in layers(config))


def layers(config: SHMConfig) -> Iterator[tuple[int, int, int, int]]:
    """(level of the result, four times the taps of a site, inputs, outputs) of every convolution in evaluation."""
    c = config
    yield 0, 36, c.inputs, c.stem
    yield 1, 36, c.stem, c.half
    yield 1, 36, c.half, c.half
    level, width = 1, c.half
    for outputs, blocks, strided in c.stages:
        level += strided
        for block in range(blocks):
            inputs = width if block == 0 else outputs
            yield level, 36, inputs, outputs
            yield level, 36, outputs, outputs
            if block == 0 and (strided or inputs != outputs):
                yield level, 36, inputs, outputs
        width = outputs
    for outputs, skip in zip(c.decoder, (c.stages[0][0], c.half, 3 if c.norm else c.stem), strict=True):
        level -= 1
        yield level, 9, width, outputs
        width = outputs + skip
        if not c.norm:
            yield level, 36, width, outputs
            width = outputs
    for inputs, outputs in itertools.pairwise((width, *c.head)):
        yield 0, 36, inputs, outputs
    yield 0, 4, c.head[1], 1


def dense_sites(height: int, width: int) -> list[int]:
    """Sites of a picture at strides 1, 2, 4 and 8."""
    return [-(-height // step) * -(-width // step) for step in (1, 2, 4, 8)]


def active_sites(active: ActiveSet) -> list[int]:
    """Active sites at strides 1, 2, 4 and 8."""
    return [int(level.mask.sum()) for level in active.levels]
