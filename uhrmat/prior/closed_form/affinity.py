"""Affinity-based matting at working size, by PyMatting: the closed form and its relatives. They need no weights.

* closed-form: Levin, Lischinski, Weiss, "A Closed-Form Solution to Natural Image Matting", TPAMI 2008,
  https://doi.org/10.1109/TPAMI.2007.1177
* closed-form+knn: the same with non-local affinities (`knn_affinities`) and a data term from the trimap's boundary
  (`boundary_data_term`)
* knn: Chen, Li, Tang, "KNN Matting", TPAMI 2013, https://doi.org/10.1109/TPAMI.2013.18
* lbdm: Zheng, Kambhamettu, "Learning Based Digital Matting", ICCV 2009, https://doi.org/10.1109/ICCV.2009.5459326
* lkm: He, Sun, Tang, "Fast Matting Using Large Kernel Matting Laplacian Matrices", CVPR 2010
* rw: Grady, Schiwietz, Aharon, Westermann, "Random Walks for Interactive Alpha-Matting", VIIP 2005

The Laplacians are PyMatting's. The system is solved here, for the unknown pixels in their bounding box only, and only
as accurately as an alpha needs.
"""

from __future__ import annotations

import copy
import importlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.printing import capture_output
from uhrmat.hints.scribbles import are_scribbles
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.choose import AFFINITY_PRIORS, CLOSED_FORM_KNN
from uhrmat.prior.closed_form.boundary_data_term import (
    BOUNDARY_DEFAULTS,
    BoundaryDataTermParams,
    boundary_data_term,
)
from uhrmat.prior.closed_form.coarse_to_fine import COARSE_TO_FINE, CoarseToFineParams, solve_coarse_to_fine
from uhrmat.prior.closed_form.conjugate_gradient import Product, conjugate_gradient
from uhrmat.prior.closed_form.knn_affinities import KNN_DEFAULTS, KnnParams, knn_affinities, reweighted_laplacian


class Solver(Protocol):
    """A function like `solve`, with its parameters chosen: picture, trimap and name of the prior to alpha and notes."""

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]: ...


@dataclass(frozen=True)
class Start:
    """What is known of a solution, such as that of the frame before.

    Attributes:
        alpha: (h, w) float32, where the search begins.
        changed: (h, w) bool, the pixels that are solved; unknown ones elsewhere keep `alpha`.
        clip: the result lies in [0, 1]. Otherwise it is what was solved, up to `leak` beyond, so that pixels that are
            held in the next frame are not farther from 0 and 1 than they were: as constraints those would draw all
            others with them.
        estimate: (h, w) float32 in [0, 1], another estimate of alpha. `closed-form+knn` draws every solved pixel to it
            by a data term of weight `ClosedFormParams.estimate_weight`; the other priors make no use of it.
    """

    alpha: np.ndarray
    changed: np.ndarray
    clip: bool = True
    estimate: np.ndarray | None = None

    def within(self, box: tuple[slice, slice]) -> Start:
        """The part in a box."""
        estimate = None if self.estimate is None else self.estimate[box]
        return Start(self.alpha[box], self.changed[box], self.clip, estimate)


SCRIBBLES_KNN = f"{CLOSED_FORM_KNN} for scribbles"
"""The name that `solve` takes for `closed-form+knn` where most of the picture is unknown (`coarse_to_fine`)."""

REPEATED_KNN = f"{CLOSED_FORM_KNN} again"
"""The same solved again and again for one picture (`warm`), by a `worker.PriorProcess` only."""

NOT_CONVERGED = "the prior's solver stopped before it converged"


@dataclass(frozen=True, kw_only=True)
class ClosedFormParams:
    """Parameters of the affinity priors. All may be changed; another value changes every matte made from a trimap.

    Those marked K are of `closed-form+knn` alone and were chosen with `python -m benchmarks.quality low` on
    photographs and `uhr` on composites, see docs/research/prior.md. The weights of the bundled refiners were trained
    behind this prior, so measure the finished alpha too.

    Attributes:
        knn_steps: K. Pairs of the weight of the non-local affinities, against the Laplacian's own of about 1, and the
            difference of alpha at which an affinity falls to a quarter (`reweighted_laplacian`). The system is solved
            once for each pair, starting from the solution before: strong and all alike at first, so that alpha reaches
            what only like pixels know, then weaker and robust.
        leak: K. Alphas up to this far from 0 and 1 become 0 and 1 and the rest is stretched between them: affinities
            between foreground and background of one colour leak that much. In [0, 0.5). Going from 0.02 to 0.03 and
            0.04 took 1 and 2 % off the SAD on composites; a larger one cuts off faint hair.
        opaque_quantile: K. Where the trimap knows one side only, the result is stretched until this quantile of the
            unknown pixels is opaque.
        faintest: K. But never by more than 1 / `faintest`.
        knn: K. Parameters of the non-local affinities.
        boundary: K. Parameters of the data term from the trimap's boundary.
        estimate_weight: K. Of the data term that draws alpha to `Start.estimate`, against a matrix whose diagonal is
            about 1.
        coarse_to_fine: K. How trimaps that leave most of the picture unknown are solved.
        tolerance: relative residual at which the conjugate gradient solver stops. PyMatting's default of 1e-7 is more
            than 8 bits of alpha can show. Not tuned.
        rough_tolerance: K. The same of all solutions but the last, which only decide the affinities' weights. Not
            tuned.
        max_steps: steps of the solver before it gives up; twice as many with Jacobi's preconditioner.
        preconditioner: pairs of the discard threshold of the incomplete Cholesky factor and the shifts that are tried
            with it, in order until one succeeds. PyMatting's threshold of 1e-4 takes longer than it saves. Changes the
            time, not the result.
        preconditioner_diagonal: K. What is added to the factored matrix's diagonal in place of the affinities, whose
            Laplacian has a diagonal of about 1 times their weight. Changes the time, not the result.
        margin: known pixels around the unknown ones that the solved bounding box holds, pixels. At least 2, the reach
            of the Laplacian's 3 × 3 windows.
        kernel_radius: of lkm, pixels; less in small pictures. PyMatting's default.
        known_weight: of lkm, weight that holds known pixels at their alpha. PyMatting's default.
    """

    knn_steps: tuple[tuple[float, float], ...] = ((0.03, np.inf), (0.024, 0.1), (0.018, 0.06))
    leak: float = 0.04
    opaque_quantile: float = 0.99
    faintest: float = 0.05
    knn: KnnParams = KNN_DEFAULTS
    boundary: BoundaryDataTermParams = BOUNDARY_DEFAULTS
    estimate_weight: float = 1e-2
    coarse_to_fine: CoarseToFineParams = COARSE_TO_FINE
    tolerance: float = 1e-5
    rough_tolerance: float = 1e-4
    max_steps: int = 2000
    preconditioner: tuple[tuple[float, tuple[float, ...]], ...] = ((2e-3, (1e-4, 1e-3, 1e-2)), (1e-2, (1e-1, 1.0)))
    preconditioner_diagonal: float = 0.01
    margin: int = 4
    kernel_radius: int = 10
    known_weight: float = 100.0


CLOSED_FORM_DEFAULTS = ClosedFormParams()


class AffinityPrior:
    """One of `AFFINITY_PRIORS` as a prior. Needs a trimap.

    Args:
        name: of the prior.
        solver: what solves the system, by default `solve` in this process. One in another process
            (`worker.PriorProcess`) has the default parameters.
        params: of the prior, and of `solve`.

    Raises:
        InputError: there is no such affinity prior.
    """

    def __init__(
        self,
        name: str = "closed-form",
        solver: Solver | None = None,
        params: ClosedFormParams = CLOSED_FORM_DEFAULTS,
    ) -> None:
        if name not in AFFINITY_PRIORS:
            raise InputError(
                f"There is no affinity prior called {name!r}.", f"Choose one of {', '.join(AFFINITY_PRIORS)}."
            )
        self.name = name
        self.working_size: int | None = None
        self._params = params
        self._solve: Solver = solver or partial(solve, params=params)

    def called(self, name: str) -> AffinityPrior:
        """The affinity prior of another name, with the same solver."""
        other = copy.copy(self)
        other.name = name
        return other

    def with_solver(self, wrap: Callable[[Solver], Solver]) -> AffinityPrior:
        """See `prior.base.SolvingPrior`."""
        other = copy.copy(self)
        other._solve = wrap(self._solve)
        return other

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        trimap = hints.trimap
        if trimap is None:
            raise InputError(f"The prior {self.name} needs a trimap or a mask.", "Give one, or choose another prior.")
        alpha = (trimap == 255).astype(np.float32)
        unknown = trimap == 128
        if not unknown.any():
            return PriorResult(alpha, self.name)
        known = trimap[~unknown]
        one_sided = len(known) > 0 and bool((known == known[0]).all())
        if not len(known) or (one_sided and self.name != CLOSED_FORM_KNN):
            alpha[unknown] = alpha[~unknown][0] if one_sided else 0.5
            note = "the trimap knows no foreground or no background: nothing to tell apart"
            return PriorResult(alpha, self.name, [note])
        inverted = one_sided and known[0] == 255  # the boundary is one to a foreground: solve for 1 - alpha
        constraint = np.where(unknown, 128, 0).astype(np.uint8) if inverted else trimap
        scribbles = self.name == CLOSED_FORM_KNN and are_scribbles(trimap)
        solved, notes = self._solve(small, constraint, SCRIBBLES_KNN if scribbles else self.name)
        if one_sided:
            if not inverted:
                opaque = float(np.quantile(solved[unknown], self._params.opaque_quantile))
                solved = np.minimum(1, solved / max(self._params.faintest, opaque))
            side, colour = ("background", "black") if inverted else ("foreground", "white")
            note = f"the trimap knows no {side}, so its outline alone decided: paint {colour} what is surely {side}"
            notes = [note, *notes]
        return PriorResult(1 - solved if inverted else solved, self.name, notes)


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
        name: one of `AFFINITY_PRIORS`, or `SCRIBBLES_KNN`.
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


@dataclass(frozen=True)
class Problem:
    """What is solved in a box.

    Attributes:
        image: (h, w, 3) float in [0, 1].
        trimap: (h, w) uint8 {0, 128, 255}.
        values: (h, w) float64, the solution at pixels that are known or held.
        solved: (h, w) bool, the m pixels that are solved.
        start: (m,) float64, where the search begins.
        estimate: (h, w) float32 in [0, 1] or None, see `Start`.
    """

    image: np.ndarray
    trimap: np.ndarray
    values: np.ndarray
    solved: np.ndarray
    start: np.ndarray
    estimate: np.ndarray | None = None

    def data_term(self, params: ClosedFormParams) -> tuple[np.ndarray, np.ndarray]:
        """Weights (m,) and weighted target alphas (m,), float64, of `closed-form+knn`: the boundary's, and the
        estimate's where there is one."""
        solved = self.solved[self.trimap == 128]
        weight, target = (term[solved] for term in boundary_data_term(self.trimap, params.boundary))
        pull = weight * target
        if self.estimate is not None:
            pull = pull + params.estimate_weight * self.estimate[self.solved]
            weight = weight + params.estimate_weight
        return weight, pull

    def knn_steps(self, params: ClosedFormParams) -> tuple[tuple[float, float], ...]:
        """The solutions of `closed-form+knn`: those of the parameters; the last alone where an estimate refines a
        finished solution."""
        return params.knn_steps if self.estimate is None else params.knn_steps[-1:]

    def system(self, name: str, margin: int) -> tuple[Any, np.ndarray]:
        """The Laplacian of the solved pixels (m, m), in CSC, and the right side (m,)."""
        local = name in ("closed-form", CLOSED_FORM_KNN)  # others have neighbours anywhere in the box
        box = bounding_box(self.solved, margin) if local else (slice(None), slice(None))
        solved, image = self.solved[box].ravel(), self.image[box].astype(np.float64)
        laplacian = make_laplacian(name)(image, ~solved).tocsr()[solved]
        right = -(laplacian[:, ~solved] @ self.values[box].ravel()[~solved])
        return laplacian[:, solved].tocsc(), right


ProblemSolver = Callable[[Problem, str, ClosedFormParams], tuple[np.ndarray, list[str]]]
"""Solves a problem with m ≥ 1 pixels by the prior of this name: the solution (m,) float64, and notes for the user."""


def solve_here(problem: Problem, name: str, params: ClosedFormParams) -> tuple[np.ndarray, list[str]]:
    """Solve a problem on the CPU, with PyMatting's Laplacians and incomplete Cholesky factors."""
    if name == CLOSED_FORM_KNN:
        return _solve_with_knn(problem, params)
    system, right = problem.system(name, params.margin)
    if not right.any():  # nothing unknown lies beside foreground
        return np.zeros_like(right), []
    return _conjugate_gradient(system, [lambda _: (lambda x: system @ x, right)], problem.start, params)


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


def make_laplacian(name: str) -> Callable[[np.ndarray, np.ndarray], Any]:
    """PyMatting's Laplacian as a function of picture and known pixels."""
    part = "cf_laplacian" if name in ("closed-form", CLOSED_FORM_KNN) else f"{name}_laplacian"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = getattr(importlib.import_module(f"pymatting.laplacian.{part}"), part)
    if part == "cf_laplacian":
        return lambda image, known: make(image, is_known=known)
    return lambda image, known: make(image)


def _solve_with_knn(problem: Problem, params: ClosedFormParams) -> tuple[np.ndarray, list[str]]:
    """Closed form with non-local affinities, re-weighted from solution to solution, and the boundary's data term.

    The preconditioner takes no more of the affinities than a diagonal in their place: it needs as few steps as the
    whole system's, and is made while the neighbours are searched.
    """
    from scipy import sparse

    unknown = problem.trimap == 128
    solved = problem.solved[unknown]
    held = problem.values[unknown][~solved]
    system, right = problem.system(CLOSED_FORM_KNN, params.margin)
    with ThreadPoolExecutor(1) as pool:
        affinities = pool.submit(knn_affinities, problem.image, unknown, params.knn, solved)
        data_weight, pull = problem.data_term(params)
        near = (system + params.preconditioner_diagonal * sparse.eye(len(right))).tocsc()

        def with_knn(alpha: np.ndarray, weight: float, scale: float) -> tuple[Product, np.ndarray]:
            non_local, from_held = reweighted_laplacian(affinities.result(), alpha, scale, held)
            return (
                lambda x: system @ x + weight * non_local(x) + data_weight * x,
                right + pull + weight * from_held,
            )

        steps = [partial(with_knn, weight=weight, scale=scale) for weight, scale in problem.knn_steps(params)]
        return _conjugate_gradient(near, steps, problem.start, params)


def _conjugate_gradient(
    near: Any, systems: Sequence[Callable[[np.ndarray], tuple[Product, np.ndarray]]], start: np.ndarray,
    params: ClosedFormParams,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """The last solution of several systems. Each, a product and a right side, is made from the solution before and
    begins there, the first at `start`.

    near: a matrix like the systems', to be factored as their preconditioner.
    """
    from pymatting.preconditioner.ichol import ichol

    def solve_all(inverse: Product, max_steps: int) -> tuple[np.ndarray, bool]:
        x, converged = start, True
        for index, system in enumerate(systems, 1):
            product, right = system(x)
            tolerance = params.tolerance if index == len(systems) else params.rough_tolerance
            x, converged = conjugate_gradient(product, right, x, inverse, tolerance=tolerance, max_steps=max_steps)
            if not converged:
                break
        return x, converged

    for discard, shifts in params.preconditioner:
        try:
            with capture_output():  # it prints a line for each shift that it tries
                inverse = ichol(near, discard_threshold=discard, shifts=list(shifts))
        except ValueError:
            continue
        solution, converged = solve_all(inverse, params.max_steps)
        if converged:
            return solution, []
    diagonal = near.diagonal()
    solution, converged = solve_all(lambda x: x / diagonal, 2 * params.max_steps)
    return solution, [] if converged else [NOT_CONVERGED]


def bounding_box(unknown: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The box of the set pixels of a mask (h, w), with a margin around them inside of it; empty where none is set."""
    if not unknown.any():
        return slice(0, 0), slice(0, 0)
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    return tuple(slice(max(0, i[0] - margin), i[-1] + margin + 1) for i in (rows, columns))  # type: ignore[return-value]
