"""A multigrid V-cycle as the preconditioner of conjugate gradients on pixels.

Briggs, Henson, McCormick, "A Multigrid Tutorial", 2nd edition, SIAM 2000: Galerkin products with bilinear interpolation
(`stencils.coarsen`), a step of damped Jacobi before and after. The same smoother on both sides makes it symmetric, as
conjugate gradients need. Incomplete Cholesky, which the CPU's solver uses, solves one row after another: no work for a
GPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from uhrmat.prior.closed_form.on_device.stencils import Rows, coarsen, interpolation, sparse_matrix


@dataclass(frozen=True, kw_only=True)
class MultigridParams:
    """Parameters of the preconditioner. They change the time, not the result.

    Attributes:
        coarsest: levels are added until one has no more pixels; that one is inverted as a dense matrix on the host.
        damping: of the Jacobi steps, in (0, 1].
        precision: of the levels; the conjugate gradients themselves are in float64.
    """

    coarsest: int = 512
    damping: float = 0.7
    precision: torch.dtype = torch.float32


MULTIGRID_DEFAULTS = MultigridParams()


@dataclass(frozen=True)
class _Level:
    """One size of the grid.

    Attributes:
        matrix: (m, m) in CSR.
        smoother: (m,), the damped inverse of its diagonal.
        up, down: (m, c) from the next coarser level, and (c, m) to it, in CSR.
    """

    matrix: Tensor
    smoother: Tensor
    up: Tensor
    down: Tensor


class Multigrid:
    """Multiplies vectors (m,) by something like the inverse of a matrix of pixels.

    Args:
        stencil: the matrix, (5, 5, h, w), symmetric and positive definite on the solved pixels.
        rows: the m solved pixels.
        params: of the cycle.
    """

    def __init__(self, stencil: Tensor, rows: Rows, params: MultigridParams = MULTIGRID_DEFAULTS) -> None:
        kind = params.precision
        stencil = _between_solved(stencil.to(kind), rows.number >= 0)
        self._levels: list[_Level] = []
        while len(rows) > params.coarsest:
            smaller = coarsen(stencil)
            coarse = Rows.of_mask(smaller[2, 2] > 0)
            if len(coarse) >= len(rows):
                break
            up, down = interpolation(rows, coarse)
            smoother = params.damping / stencil[2, 2, rows.y, rows.x]
            self._levels.append(_Level(sparse_matrix(stencil, rows), smoother, up.to(kind), down.to(kind)))
            stencil, rows = smaller, coarse
        dense = sparse_matrix(stencil, rows).to_dense().to("cpu", torch.float64)
        ridge = 1e-9 * dense.diagonal().max() * torch.eye(len(dense), dtype=dense.dtype)
        self._coarsest = torch.linalg.inv(dense + ridge).to(kind).to(stencil.device)
        self._kind = kind

    def __call__(self, residual: Tensor) -> Tensor:
        result: Tensor = self._cycle(residual.to(self._kind), 0)
        return result.to(residual.dtype)

    def _cycle(self, right: Tensor, number: int) -> Tensor:
        if number == len(self._levels):
            result: Tensor = self._coarsest @ right
            return result
        level = self._levels[number]
        x = level.smoother * right
        coarse = self._cycle(level.down @ (right - level.matrix @ x), number + 1)
        x = x + level.up @ coarse
        return torch.addcmul(x, level.smoother, right - level.matrix @ x)


def _between_solved(stencil: Tensor, solved: Tensor) -> Tensor:
    """A stencil without the entries of pixels that are not solved."""
    height, width = solved.shape
    padded = torch.nn.functional.pad(solved, (2, 2, 2, 2))
    reached = torch.stack([torch.stack([padded[y : y + height, x : x + width] for x in range(5)]) for y in range(5)])
    return stencil * (reached & solved)
