"""The active set in parts: each is refined with a halo as wide as the receptive field; only its core is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from uhrmat.core.errors import MemoryBudgetError

CELL = 16
"""Cuts lie at multiples of this: a tile of the `tiles` engine, and a multiple of the coarsest stride."""
Box = tuple[slice, slice]
RefineWindow = Callable[[Box], None]
"""Refines the active pixels inside a window of the picture, in place."""


@dataclass(frozen=True)
class Part:
    """One part of a picture.

    Attributes:
        core: The pixels that are kept.
        window: The core and its halo, inside the picture.
    """

    core: Box
    window: Box

    @property
    def core_in_window(self) -> Box:
        """The core in coordinates of the window."""
        rows, columns = (
            slice(c.start - w.start, c.stop - w.start) for c, w in zip(self.core, self.window, strict=True)
        )
        return rows, columns


def count_cells(mask: np.ndarray) -> np.ndarray:
    """Count the active pixels in each cell of CELL x CELL pixels.

    Args:
        mask: (H, W) bool.

    Returns:
        (rows, columns) int32.
    """
    height, width = mask.shape
    starts = np.arange(0, width, CELL)
    rows = [np.add.reduceat(np.count_nonzero(mask[top : top + CELL], axis=0), starts) for top in range(0, height, CELL)]
    return np.stack(rows).astype(np.int32)


def divide_active(
    cells: np.ndarray, size: tuple[int, int], reach: int, fits: Callable[[np.ndarray], bool]
) -> Iterator[Part]:
    """Divide the active set into parts whose cores hold every active pixel once and whose windows fit.

    A part that does not fit is halved by its active pixels along the longer side of its bounding box.

    Args:
        cells: Active pixels in each cell, see `count_cells`.
        size: (H, W) of the picture.
        reach: Width of the halo, pixels.
        fits: Whether a window, given as its cells, fits.

    Yields:
        Parts in no particular order.

    Raises:
        MemoryBudgetError: Not even a single cell with its halo fits.
    """
    halo = -(-reach // CELL)
    pending: list[Box] = [(slice(0, cells.shape[0]), slice(0, cells.shape[1]))]
    while pending:
        core = _bounding_box(cells, pending.pop())
        if core is None:
            continue
        window = _grow(core, halo, cells.shape)
        if fits(cells[window]):
            yield Part(_pixels(core, size), _pixels(window, size))
        elif cells[core].size == 1:
            raise MemoryBudgetError("Not even the smallest part fits into the memory budget.", "Raise --max-memory.")
        else:
            pending += reversed(_halves(cells, core))


def _bounding_box(cells: np.ndarray, box: Box) -> Box | None:
    """The bounding box of a box's active cells, or None where it has none."""
    inside = cells[box] > 0
    spans = []
    for axis, limits in enumerate(box):
        used = np.flatnonzero(inside.any(1 - axis))
        if not len(used):
            return None
        spans.append(slice(limits.start + int(used[0]), limits.start + int(used[-1]) + 1))
    return spans[0], spans[1]


def _grow(box: Box, halo: int, shape: tuple[int, ...]) -> Box:
    rows, columns = (slice(max(0, s.start - halo), min(n, s.stop + halo)) for s, n in zip(box, shape, strict=True))
    return rows, columns


def _halves(cells: np.ndarray, box: Box) -> list[Box]:
    """Two boxes with about half of the active pixels each."""
    rows, columns = box
    axis = 0 if rows.stop - rows.start >= columns.stop - columns.start else 1
    whole = box[axis]
    weight = np.cumsum(cells[box].sum(1 - axis))
    middle = whole.start + min(max(1, int(np.searchsorted(weight, weight[-1] / 2)) + 1), len(weight) - 1)
    pair = slice(whole.start, middle), slice(middle, whole.stop)
    return [(half, columns) if axis == 0 else (rows, half) for half in pair]


def _pixels(box: Box, size: tuple[int, int]) -> Box:
    rows, columns = (slice(s.start * CELL, min(s.stop * CELL, n)) for s, n in zip(box, size, strict=True))
    return rows, columns
