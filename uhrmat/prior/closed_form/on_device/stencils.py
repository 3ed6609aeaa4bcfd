"""Matrices between the pixels of a grid whose rows reach two pixels far, as 5 × 5 planes, and as sparse matrices.

A stencil A is (5, 5, h, w): A[dy + 2, dx + 2, y, x] is the matrix's entry between the pixels (y, x) and (y + dy,
x + dx), 0 where the second lies outside the grid. All is made of shifted planes, so that sums have one order on every
device and a result does not change from run to run.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

REACH = 2
"""Pixels that a row of a stencil reaches, in each direction."""
_SIDE = 2 * REACH + 1
_HALF = {-1: 0.5, 0: 1.0, 1: 0.5}
"""Bilinear interpolation: weight of a coarse node for fine pixels beside it along one axis."""


@dataclass(frozen=True)
class Rows:
    """The pixels of a grid that are solved, in row-major order.

    Attributes:
        y, x: (m,) int64, where they are.
        number: (h, w) int64, the number of each of these pixels, -1 at all others.
    """

    y: Tensor
    x: Tensor
    number: Tensor

    @classmethod
    def of_mask(cls, mask: Tensor) -> Rows:
        """The set pixels of a mask (h, w)."""
        y, x = torch.nonzero(mask, as_tuple=True)
        number = torch.cumsum(mask.flatten().to(torch.int64), 0).reshape(mask.shape) - 1
        return cls(y, x, torch.where(mask, number, -1))

    def __len__(self) -> int:
        return len(self.y)


def matting_laplacian(image: Tensor, solved: Tensor, epsilon: float) -> Tensor:
    """The matting Laplacian of 3 × 3 windows: Levin, Lischinski, Weiss, TPAMI 2008, equation 12.

    https://doi.org/10.1109/TPAMI.2007.1177. Windows that hold no solved pixel are left out.

    Args:
        image: (h, w, 3) float64, RGB in [0, 1], h and w at least 3.
        solved: (h, w) bool.
        epsilon: regularisation of a window's colours' scatter matrix.

    Returns:
        (5, 5, h, w) in the type of `image`.
    """
    height, width = solved.shape
    inner = (height - 2, width - 2)
    used = F.max_pool2d(solved[None, None].to(image.dtype), 3, 1)[0, 0]
    shifts = [(y, x) for y in range(3) for x in range(3)]
    planes = image.permute(2, 0, 1)
    colours = torch.stack([planes[:, y : y + inner[0], x : x + inner[1]] for y, x in shifts])  # (9, 3, h - 2, w - 2)
    colours = colours - colours.mean(0)
    whitened = torch.einsum("abyx,ibyx->iayx", _inverse(colours, epsilon), colours)
    stencil = image.new_zeros(_SIDE, _SIDE, height, width)
    for i, (yi, xi) in enumerate(shifts):
        for j, (yj, xj) in enumerate(shifts):
            entry = ((whitened[i] * colours[j]).sum(0) + 1) / -9
            if i == j:
                entry = entry + 1
            target = stencil[yj - yi + REACH, xj - xi + REACH]
            target[yi : yi + inner[0], xi : xi + inner[1]] += entry * used
    return stencil


def _inverse(colours: Tensor, epsilon: float) -> Tensor:
    """(3, 3, h, w): inverses of the covariances of (n, 3, h, w), whose scatter has `epsilon` on its diagonal."""
    n = len(colours)
    a, b, c, d, e, f = (
        ((colours[:, i] * colours[:, j]).sum(0) + (epsilon if i == j else 0)) / n
        for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    )
    cofactors = (d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b)
    determinant = a * cofactors[0] + b * cofactors[1] + c * cofactors[2]
    aa, ab, ac, bb, bc, cc = (cofactor / determinant for cofactor in cofactors)
    return torch.stack([torch.stack(row) for row in ((aa, ab, ac), (ab, bb, bc), (ac, bc, cc))])


def coarsen(stencil: Tensor) -> Tensor:
    """The Galerkin product P' A P with bilinear interpolation P from every second pixel of every second row.

    Args:
        stencil: A, (5, 5, h, w).

    Returns:
        (5, 5, h // 2 + 1, w // 2 + 1).
    """
    rows = _coarsen_rows(stencil)
    return _coarsen_rows(rows.permute(1, 0, 3, 2)).permute(1, 0, 3, 2).contiguous()


def _coarsen_rows(stencil: Tensor) -> Tensor:
    """`coarsen` along the first axis of (5, c, h, w)."""
    reach, channels, height, width = stencil.shape
    size = height // 2 + 1
    padded = F.pad(stencil, (0, 0, 1, 2 * size - height))
    result = stencil.new_zeros(reach, channels, size, width)
    for a, weight in _HALF.items():
        part = weight * padded[:, :, 1 + a : 2 * size + a : 2]
        for d in range(-REACH, REACH + 1):
            for b, share in _HALF.items():
                if (d + a - b) % 2 == 0:
                    result[(d + a - b) // 2 + REACH] += share * part[d + REACH]
    return result


def sparse_matrix(stencil: Tensor, rows: Rows) -> Tensor:
    """The part of a stencil between solved pixels, as a sparse matrix (m, m) in CSR."""
    columns, values = _neighbours(stencil, rows)
    return csr(columns, values, len(rows))


def known_part(stencil: Tensor, rows: Rows, alpha: Tensor) -> Tensor:
    """(m,): the products of a stencil with the alpha (h, w) of the pixels that are not solved."""
    columns, values = _neighbours(stencil, rows)
    reached = torch.stack([alpha[y, x] for y, x in _places(rows)], 1)
    return torch.where(columns < 0, values * reached, 0).sum(1)


def _neighbours(stencil: Tensor, rows: Rows) -> tuple[Tensor, Tensor]:
    """Numbers of the pixels that each row reaches, -1 for those that are not solved, and the entries; both (m, 25)."""
    columns = torch.stack([rows.number[y, x] for y, x in _places(rows)], 1)
    return columns, stencil.flatten(0, 1)[:, rows.y, rows.x].T


def _places(rows: Rows) -> list[tuple[Tensor, Tensor]]:
    """The 25 pixels around each solved one; those outside the grid, whose entries are 0, are moved into it."""
    height, width = rows.number.shape
    steps = range(-REACH, REACH + 1)
    ys = [(rows.y + step).clamp(0, height - 1) for step in steps]
    xs = [(rows.x + step).clamp(0, width - 1) for step in steps]
    return [(y, x) for y in ys for x in xs]


def interpolation(fine: Rows, coarse: Rows) -> tuple[Tensor, Tensor]:
    """Bilinear interpolation P from the coarse pixels (c) to the fine ones (m), and its transpose, both in CSR."""
    low = torch.stack([fine.y // 2, fine.x // 2])
    odd = torch.stack([fine.y % 2, fine.x % 2])
    columns, weights = [], []
    for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
        weight = (1 - 0.5 * odd[0] if y == 0 else 0.5 * odd[0]) * (1 - 0.5 * odd[1] if x == 0 else 0.5 * odd[1])
        columns.append(coarse.number[low[0] + y * odd[0], low[1] + x * odd[1]])
        weights.append(weight)
    number, values = torch.stack(columns, 1), torch.stack(weights, 1)
    forward = csr(number, values, len(coarse))
    kept = (number >= 0) & (values != 0)
    row = torch.arange(len(fine), device=number.device)[:, None].expand_as(number)[kept]
    return forward, csr_of_pairs(number[kept], row, values[kept], (len(coarse), len(fine)))


def csr(columns: Tensor, values: Tensor, width: int) -> Tensor:
    """A sparse matrix (m, width) whose rows hold up to k entries.

    Args:
        columns: (m, k) int64, negative where there is no entry.
        values: (m, k); zeros are left out.
        width: of the matrix.
    """
    kept = (columns >= 0) & (values != 0)
    starts = F.pad(torch.cumsum(kept.sum(1), 0), (1, 0))
    return sparse_csr(starts, columns[kept], values[kept], (len(columns), width))


def csr_of_pairs(rows: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A sparse matrix in CSR of entries (n,) in any order; those of one place add up."""
    order = torch.argsort(rows, stable=True)
    starts = F.pad(torch.cumsum(torch.bincount(rows, minlength=shape[0]), 0), (1, 0))
    return sparse_csr(starts, columns[order], values[order], shape)


def sparse_csr(starts: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A torch sparse CSR tensor, without the warning that they are new, with short indices."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.sparse_csr_tensor(
            starts.to(torch.int32), columns.to(torch.int32), values, shape, check_invariants=False
        )
