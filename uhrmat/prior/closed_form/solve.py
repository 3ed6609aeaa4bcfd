"""Solutions of the affinity priors on the CPU.

The Laplacians are PyMatting's. The system is solved here, for the unknown pixels in their bounding box only, and only
as accurately as an alpha needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from uhrmat.core.printing import capture_output
from uhrmat.prior.base import constrain_alpha
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.coarse_to_fine import solve_coarse_to_fine
from uhrmat.prior.closed_form.conjugate_gradient import Product, conjugate_gradient
from uhrmat.prior.closed_form.knn_affinities import knn_affinities, reweighted_laplacian
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS, ClosedFormParams
from uhrmat.prior.closed_form.problem import (
    CORRECTED_KNN,
    NOT_CONVERGED,
    SCRIBBLES_KNN,
    Problem,
    ProblemSolver,
    Start,
    bounding_box,
)


def solve(
    image: np.ndarray, trimap: np.ndarray, name: str = "closed-form", start: Start | None = None,
    params: ClosedFormParams = CLOSED_FORM_DEFAULTS, solve_problem: ProblemSolver | None = None,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Alpha of a picture with a trimap, by an affinity prior.

    A preconditioner that fails is retried with stronger shifts, then replaced by Jacobi's. A solution that has not
    converged is returned with a note.

    Args:
        image: (h, w, 3) float in [0, 1].
        trimap: (h, w) uint8 {0, 128, 255} with known and unknown pixels.
        name: one of `AFFINITY_PRIORS`, `SCRIBBLES_KNN` or `CORRECTED_KNN`.
        start: a solution of a picture that is equal but for some pixels; None: there is none. lkm and scribbles make no
            use of it.
        params: of the prior.
        solve_problem: solves the systems of all but lkm, by default `solve_here`.

    Returns:
        (h, w) float32 in [0, 1], exactly 0 and 1 at known pixels; and notes for the user.
    """
    alpha = (trimap == 255).astype(np.float32)
    box = bounding_box(trimap == 128, params.margin)
    near = None if start is None else start.within(box)
    alpha[box], notes = _solve_box(image[box], trimap[box], name, near, params, solve_problem or solve_here)
    return alpha, notes


def _solve_box(
    image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None, params: ClosedFormParams,
    solve_problem: ProblemSolver,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """`solve` for the box of the unknown pixels."""
    if name == SCRIBBLES_KNN:
        level = partial(solve, name=CLOSED_FORM_KNN, params=params, solve_problem=solve_problem)
        return solve_coarse_to_fine(image, trimap, level, params.coarse_to_fine)
    if name == CORRECTED_KNN:
        name = CLOSED_FORM_KNN
    if name == "lkm":
        return _solve_large_kernels(image, trimap, params)
    values, solved = (trimap == 255).astype(np.float64), trimap == 128
    leak = params.leak if name == CLOSED_FORM_KNN else 0.0
    if start is not None:
        values[solved] = leak + (1 - 2 * leak) * start.alpha[solved]
        solved = solved & start.changed
    problem = Problem(
        image, trimap, values, solved, np.zeros(int(solved.sum())) if start is None else values[solved],
        None if start is None else start.estimate,
    )  # fmt: skip
    values[solved], notes = solve_problem(problem, name, params) if len(problem.start) else (problem.start, [])
    alpha = np.nan_to_num((values - leak) / (1 - 2 * leak), nan=0.5).astype(np.float32)
    return constrain_alpha(alpha if start is not None and not start.clip else np.clip(alpha, 0, 1), trimap), notes


def solve_here(problem: Problem, name: str, params: ClosedFormParams) -> tuple[np.ndarray, list[str]]:
    """Solve a problem on the CPU, with PyMatting's Laplacians and incomplete Cholesky factors."""
    if name == CLOSED_FORM_KNN:
        return KnnSystem(problem, params).solve(problem)
    system, right = problem.system(name, params.margin)
    if not right.any():  # nothing unknown lies beside foreground
        return np.zeros_like(right), []
    return _conjugate_gradient(
        Preconditioners(system, params), [lambda _: (lambda x: system @ x, right)], problem.start, params
    )


def _solve_large_kernels(
    image: np.ndarray, trimap: np.ndarray, params: ClosedFormParams
) -> tuple[np.ndarray, list[str]]:
    """lkm: its Laplacian is a function, not a matrix, so known pixels are held by a heavy weight."""
    from pymatting.laplacian.lkm_laplacian import lkm_laplacian

    radius = min(params.kernel_radius, (min(trimap.shape) - 1) // 4)
    if radius < 1:
        return solve(image, trimap, params=params)
    apply, diagonal = lkm_laplacian(image.astype(np.float64), radius=radius)
    held, front = params.known_weight * (trimap.ravel() != 128), params.known_weight * (trimap.ravel() == 255)
    solution, converged = conjugate_gradient(
        lambda x: apply(x) + held * x, front, np.zeros_like(front), lambda x: x / (diagonal + held),
        tolerance=params.tolerance, max_steps=params.max_steps,
    )  # fmt: skip
    notes = [] if converged else [NOT_CONVERGED]
    alpha = np.clip(np.nan_to_num(solution, nan=0.5), 0, 1).reshape(trimap.shape)
    return constrain_alpha(alpha, trimap), notes


class KnnSystem:
    """The system of `closed-form+knn` without its data term: closed form and non-local affinities.

    These are re-weighted from solution to solution. The preconditioner takes no more of them than a diagonal in their
    place: it needs as few steps as the whole system's, and is made while the neighbours are searched.

    Args:
        problem: whose picture, trimap and solved pixels make the system.
        params: of the prior.
    """

    def __init__(self, problem: Problem, params: ClosedFormParams) -> None:
        from scipy import sparse

        self._problem, self._params = problem, params
        unknown = problem.trimap == 128
        solved = problem.solved[unknown]
        self._held = problem.values[unknown][~solved]
        self._laplacian, self._right = problem.system(CLOSED_FORM_KNN, params.margin)
        with ThreadPoolExecutor(1) as pool:
            affinities = pool.submit(knn_affinities, problem.image, unknown, params.knn, solved)
            near = (self._laplacian + params.preconditioner_diagonal * sparse.eye(len(self._right))).tocsc()
            self._preconditioners = Preconditioners(near, params)
            self._preconditioners.prepare()
            self._affinities = affinities.result()

    def belongs_to(self, problem: Problem) -> bool:
        """Whether it is the system of this problem too: only the data term may differ."""
        own, free = self._problem, problem.solved
        if own.image.shape != problem.image.shape or not np.array_equal(own.solved, free):
            return False
        held = np.array_equal(own.values[~free], problem.values[~free])
        return held and np.array_equal(own.trimap, problem.trimap) and np.array_equal(own.image, problem.image)

    def solve(self, problem: Problem) -> tuple[np.ndarray, list[str]]:
        """The solution (m,) float64 of a problem that this system belongs to, and notes for the user."""
        params, laplacian = self._params, self._laplacian
        data_weight, pull = problem.data_term(params)

        def with_knn(alpha: np.ndarray, weight: float, scale: float) -> tuple[Product, np.ndarray]:
            non_local, from_held = reweighted_laplacian(self._affinities, alpha, scale, self._held)
            return (
                lambda x: laplacian @ x + weight * non_local(x) + data_weight * x,
                self._right + pull + weight * from_held,
            )

        steps = [partial(with_knn, weight=weight, scale=scale) for weight, scale in problem.knn_steps(params)]
        return _conjugate_gradient(self._preconditioners, steps, problem.start, params)


class KeepingSolver:
    """Solves problems as `solve_here` does, and keeps the system of `closed-form+knn` for one that follows with an
    estimate: Laplacian, neighbours and factor are two thirds of a solution's time. See `problem.CORRECTED_KNN`."""

    def __init__(self) -> None:
        self._kept: KnnSystem | None = None

    def __call__(self, problem: Problem, name: str, params: ClosedFormParams) -> tuple[np.ndarray, list[str]]:
        """See `problem.ProblemSolver`."""
        kept, self._kept = self._kept, None
        if name != CLOSED_FORM_KNN:
            return solve_here(problem, name, params)
        if kept is None or not kept.belongs_to(problem):
            del kept  # before another takes as much memory
            kept = KnnSystem(problem, params)
        if problem.estimate is None:
            self._kept = kept
        return kept.solve(problem)

    def clear(self) -> None:
        """Keep nothing."""
        self._kept = None


class Preconditioners:
    """Preconditioners for systems like one matrix, best first: its incomplete Cholesky factors, then Jacobi's.

    Args:
        near: the matrix (m, m), scipy's in CSC.
        params: thresholds and shifts of the factors, and steps.
    """

    def __init__(self, near: Any, params: ClosedFormParams) -> None:
        self._near, self._params = near, params
        self._made: list[tuple[Product, int]] = []
        self._next = self._make()

    def prepare(self) -> None:
        """Make the first one now."""
        next(iter(self))

    def __iter__(self) -> Iterator[tuple[Product, int]]:
        """Preconditioners, each with the steps after which the next one is tried."""
        yield from self._made
        for made in self._next:
            self._made.append(made)
            yield made

    def _make(self) -> Iterator[tuple[Product, int]]:
        from pymatting.preconditioner.ichol import ichol

        for discard, shifts in self._params.preconditioner:
            try:
                with capture_output():  # it prints a line for each shift that it tries
                    inverse = ichol(self._near, discard_threshold=discard, shifts=list(shifts))
            except ValueError:
                continue
            yield inverse, self._params.max_steps
        diagonal = self._near.diagonal()
        yield lambda x: x / diagonal, 2 * self._params.max_steps


def _conjugate_gradient(
    preconditioners: Iterable[tuple[Product, int]],
    systems: Sequence[Callable[[np.ndarray], tuple[Product, np.ndarray]]], start: np.ndarray, params: ClosedFormParams,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """The last solution of several systems. Each, a product and a right side, is made from the solution before and
    begins there, the first at `start`. A preconditioner with which one does not converge is replaced by the next."""
    solution = start
    for inverse, max_steps in preconditioners:
        solution, converged = start, True
        for index, system in enumerate(systems, 1):
            product, right = system(solution)
            tolerance = params.tolerance if index == len(systems) else params.rough_tolerance
            solution, converged = conjugate_gradient(
                product, right, solution, inverse, tolerance=tolerance, max_steps=max_steps
            )
            if not converged:
                break
        if converged:
            return solution, []
    return solution, [NOT_CONVERGED]
