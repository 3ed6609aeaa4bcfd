"""`closed-form` and `closed-form+knn` on a GPU: the systems of `closed_form.affinity`, solved in torch.

Laplacian, affinities, data term and re-weighting are those of the CPU's solver; only the preconditioner is another
(`multigrid`), and the tolerance is tighter, since steps cost little here. The distances of the boundary's data term are
computed on the host, by OpenCV.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.devices import free_gpu_memory, on_device
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.knn_affinities import KnnParams, knn_features
from uhrmat.prior.closed_form.on_device.conjugate_gradient import Product, conjugate_gradient
from uhrmat.prior.closed_form.on_device.multigrid import MULTIGRID_DEFAULTS, Multigrid, MultigridParams
from uhrmat.prior.closed_form.on_device.neighbours import (
    NEIGHBOUR_DEFAULTS,
    NeighbourParams,
    nearest_neighbours,
)
from uhrmat.prior.closed_form.on_device.stencils import (
    Rows,
    csr_of_pairs,
    known_part,
    matting_laplacian,
    sparse_csr,
    sparse_matrix,
)
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS, ClosedFormParams
from uhrmat.prior.closed_form.problem import (
    CORRECTED_KNN,
    NOT_CONVERGED,
    SCRIBBLES_KNN,
    Problem,
    Solver,
    Start,
    bounding_box,
)
from uhrmat.prior.closed_form.solve import solve, solve_here

ON_DEVICE = ("closed-form", CLOSED_FORM_KNN, CORRECTED_KNN, SCRIBBLES_KNN)
"""Names, as `closed_form.solve.solve` takes them, of what is solved here."""


@dataclass(frozen=True, kw_only=True)
class DeviceSolverParams:
    """Parameters of the solver beside the prior's own.

    Attributes:
        tolerance: relative residual at which the conjugate gradients stop; lower than `ClosedFormParams.tolerance`,
            with which single pixels are up to 0.05 from the exact solution. Not tuned.
        rough_tolerance: the same of all solutions but the last.
        epsilon: regularisation of the Laplacian's windows, as PyMatting's.
        bytes_per_pixel: of the unknown pixels' bounding box, that a solution takes at most. Reckoned from the arrays'
            sizes, not measured. Where less is free, the CPU solves.
        multigrid: parameters of the preconditioner.
        neighbours: parameters of the search for neighbours.
    """

    tolerance: float = 1e-6
    rough_tolerance: float = 1e-5
    epsilon: float = 1e-7
    bytes_per_pixel: int = 4096
    multigrid: MultigridParams = field(default=MULTIGRID_DEFAULTS)
    neighbours: NeighbourParams = field(default=NEIGHBOUR_DEFAULTS)


DEVICE_SOLVER_DEFAULTS = DeviceSolverParams()


class DeviceSolver:
    """A solver of affinity priors on a torch device, see `closed_form.problem.Solver`.

    What does not run there (other priors, pictures below 3 × 3 pixels, too little memory) goes to another solver.

    Args:
        device: with float64, so not "mps".
        beside: the other solver, by default `closed_form.solve.solve` in this process.
        max_memory: most bytes of the device; None: what is free.
        params: of the prior.
        device_params: of the solver.
    """

    def __init__(
        self, device: str, beside: Solver | None = None, max_memory: int | None = None,
        params: ClosedFormParams = CLOSED_FORM_DEFAULTS, device_params: DeviceSolverParams = DEVICE_SOLVER_DEFAULTS,
    ) -> None:  # fmt: skip
        self.beside: Solver = beside or solve
        self._device, self._max_memory = device, max_memory
        self._params, self._own = params, device_params
        self._lock = threading.Lock()

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """See `closed_form.solve.solve`."""
        if name not in ON_DEVICE or not self._fits(trimap):
            return self.beside(image, trimap, name, start)
        try:
            with self._lock, on_device(self._device), torch.inference_mode():
                return solve(image, trimap, name, start, self._params, self._solve_problem)
        except torch.cuda.OutOfMemoryError:
            alpha, notes = self.beside(image, trimap, name, start)
            return alpha, [*notes, "the prior was solved on the CPU: the GPU's memory was full"]

    def _fits(self, trimap: np.ndarray) -> bool:
        rows, columns = bounding_box(trimap == 128, self._params.margin)
        needed = (rows.stop - rows.start) * (columns.stop - columns.start) * self._own.bytes_per_pixel
        free = free_gpu_memory(self._device) if self._device.startswith("cuda") else needed
        return bool(needed <= min(free, self._max_memory or free))

    def _solve_problem(self, problem: Problem, name: str, params: ClosedFormParams) -> tuple[np.ndarray, list[str]]:
        """See `closed_form.problem.ProblemSolver`."""
        box = bounding_box(problem.solved, params.margin)
        if min(problem.solved[box].shape) < 3:
            return solve_here(problem, name, params)
        solved = self._upload(problem.solved[box])
        image = self._upload(problem.image[box].astype(np.float64))
        rows, stencil = Rows.of_mask(solved), matting_laplacian(image, solved, self._own.epsilon)
        right = -known_part(stencil, rows, self._upload(problem.values[box]))
        x, converged = self._upload(problem.start), True
        if name == CLOSED_FORM_KNN:
            x, converged = self._with_knn(problem, stencil, rows, right, x)
        else:
            x, converged = self._local(stencil, rows, right, x)
        return x.cpu().numpy(), [] if converged else [NOT_CONVERGED]

    def _upload(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)

    def _local(self, stencil: Tensor, rows: Rows, right: Tensor, x: Tensor) -> tuple[Tensor, bool]:
        if not bool(right.any()):  # nothing unknown lies beside foreground
            return torch.zeros_like(right), True
        matrix, inverse = sparse_matrix(stencil, rows), Multigrid(stencil, rows, self._own.multigrid)
        return conjugate_gradient(
            lambda v: matrix @ v, right, x, inverse,
            tolerance=self._own.tolerance, max_steps=self._params.max_steps,
        )  # fmt: skip

    def _with_knn(self, problem: Problem, stencil: Tensor, rows: Rows, right: Tensor, x: Tensor) -> tuple[Tensor, bool]:
        """As `affinity._solve_with_knn`: the Laplacian, re-weighted affinities and the boundary's data term."""
        params, unknown = self._params, problem.trimap == 128
        solved = problem.solved[unknown]
        matrix = sparse_matrix(stencil, rows)
        near = stencil.clone()
        near[2, 2] += params.preconditioner_diagonal
        inverse = Multigrid(near, rows, self._own.multigrid)
        held = self._upload(problem.values[unknown])
        affinities = self._affinities(problem.image, unknown, solved, params.knn)
        data_weight, pull = map(self._upload, problem.data_term(params))
        converged = True
        steps = problem.knn_steps(params)
        for index, (weight, scale) in enumerate(steps, 1):
            non_local, diagonal, from_held = affinities.reweighted(x, held, weight, scale)
            tolerance = self._own.tolerance if index == len(steps) else self._own.rough_tolerance
            x, converged = conjugate_gradient(
                _sum_of(matrix, non_local, diagonal + data_weight),
                right + pull + from_held, x, inverse,
                tolerance=tolerance, max_steps=params.max_steps,
            )  # fmt: skip
            if not converged:
                break
        return x, converged

    def _affinities(self, image: np.ndarray, unknown: np.ndarray, solved: np.ndarray, knn: KnnParams) -> _Affinities:
        points, wanted = self._upload(knn_features(image, unknown, knn.position_weight)), self._upload(solved)
        count = min(knn.neighbours + 1, len(points))
        return _Affinities.of_neighbours(
            nearest_neighbours(points, wanted, count, self._own.neighbours), wanted, 0.5 / knn.neighbours
        )


def _sum_of(matrix: Tensor, other: Tensor, diagonal: Tensor) -> Product:
    """The product with the sum of two sparse matrices and a diagonal one."""
    return lambda v: torch.addcmul(matrix @ v + other @ v, diagonal, v)


@dataclass(frozen=True)
class _Affinities:
    """As `knn_affinities.Affinities`, for m solved pixels among n unknown ones.

    Attributes:
        rows: (e,) int64, of each entry of the affinities between solved pixels, ascending.
        inner: (m, m) in CSR; entries of one place add up.
        outer: (m, k) float64, affinities to each one's k neighbours, 0 to those that are solved.
        neighbours: (m, k) int64, numbers of unknown pixels.
    """

    rows: Tensor
    inner: Tensor
    outer: Tensor
    neighbours: Tensor

    @classmethod
    def of_neighbours(cls, neighbours: Tensor, solved: Tensor, value: float) -> _Affinities:
        """Affinities of `value` between pixels and their neighbours, (m, k) int64, and back."""
        m, k = neighbours.shape
        number = torch.where(solved, torch.cumsum(solved.to(torch.int64), 0) - 1, -1)[neighbours]
        inside = number >= 0
        ours = torch.arange(m, device=neighbours.device)[:, None].expand(m, k)[inside]
        theirs = number[inside]
        both, back = torch.cat([ours, theirs]), torch.cat([theirs, ours])
        values = torch.full((len(both),), value, dtype=torch.float64, device=neighbours.device)
        outer = torch.where(inside, 0.0, torch.full_like(inside, 2 * value, dtype=torch.float64))
        return cls(both.sort().values, csr_of_pairs(both, back, values, (m, m)), outer, neighbours)

    def reweighted(self, alpha: Tensor, held: Tensor, weight: float, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """The affinities that a solution does not contradict, see `knn_affinities.reweighted_laplacian`.

        Args:
            alpha: (m,) float64, a solution.
            held: (n,) float64, the alpha of unknown pixels that are held.
            weight: of all affinities.
            scale: difference of alpha at which an affinity falls to a quarter.

        Returns:
            The Laplacian's entries beside its diagonal (m, m) in CSR, its diagonal (m,), and what those that are held
            add to the right side (m,).
        """
        columns = self.inner.col_indices().to(torch.int64)
        inner = self.inner.values() * weight / _doubt(alpha[self.rows] - alpha[columns], scale)
        to = held[self.neighbours]
        outer = self.outer * weight / _doubt(alpha[:, None] - to, scale)
        matrix = sparse_csr(self.inner.crow_indices(), self.inner.col_indices(), -inner, (len(alpha), len(alpha)))
        total = outer.sum(1) - matrix @ torch.ones_like(alpha)
        return matrix, total, (outer * to).sum(1)


def _doubt(apart: Tensor, scale: float) -> Tensor:
    """By what an affinity between alphas that are so far apart is divided: Geman and McClure's function."""
    return (1 + (apart / scale) ** 2) ** 2
