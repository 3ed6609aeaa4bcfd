"""Affinity-based matting at working size, by PyMatting: closed form and its relatives. Weightless and known good.

closed-form: Levin, Lischinski, Weiss, CVPR 2006 / TPAMI 2008. closed-form+knn: the same with like pixels tied together,
see `neighbours`, and what nothing else decides by the trimap's outline, see `outline`. knn: Chen, Li, Tang, CVPR 2012.
lbdm: Zheng, Kambhamettu, ICCV 2009. rw: Grady et al., VIIP 2005. lkm: He, Sun, Tang, CVPR 2010, large kernels. The
Laplacian is PyMatting's; the system is solved here on the unknown pixels' bounding box, to the accuracy that an alpha
needs.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.printing import capture_output
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import AFFINITY_PRIORS, CLOSED_FORM_KNN
from uhrmat.prior.closed_form.boundary_data_term import boundary_data_term
from uhrmat.prior.closed_form.knn_affinities import knn_affinities, reweighted_laplacian

RTOL, ROUGH = 1e-5, 1e-4
"""Relative residual at which the solver stops (PyMatting's own default is 1e-7), and where it only has to say which
ties hold."""
Solver = Callable[[np.ndarray, np.ndarray, str], tuple[np.ndarray, list[str]]]
TIES = ((0.03, np.inf), (0.024, 0.1), (0.018, 0.06))
"""Weights of `neighbours` beside the closed form's Laplacian, one solution after the other, and the difference of alpha
in the one before that breaks a tie: strong at first, so that what only like pixels know gets there, then robust."""
LEAK = 0.04
"""Alphas this close to 0 or 1 are taken for leaks where neighbours are tied, and the rest is stretched."""
_SOLID, _FAINTEST = 0.99, 0.05
"""Where no foreground is known, how solid it is at all must be taken from itself: this share of the open pixels is no
more solid than what counts as opaque, unless even that is fainter than this."""
_MARGIN, _HELD = 4, 100.0
_DIAGONAL = 0.01
"""What stands for the ties in the factor."""
_KERNEL = 10
"""Radius of the large kernels where the picture has room for them, pixels; PyMatting's default."""
_SHIFTS = ((2e-3, (1e-4, 1e-3, 1e-2)), (1e-2, (1e-1, 1.0)))
"""Discard thresholds of the incomplete factor, with the shifts tried: PyMatting's 1e-4 takes longer than it saves."""


class AffinityPrior:
    """One of `AFFINITY_PRIORS`. Needs a trimap. solver: what solves the system, by default `solve` in this process."""

    def __init__(self, name: str = "closed-form", solver: Solver | None = None) -> None:
        if name not in AFFINITY_PRIORS:
            raise InputError(
                f"There is no affinity prior called {name!r}.", f"Choose one of {', '.join(AFFINITY_PRIORS)}."
            )
        self.name = name
        self.working_size: int | None = None
        self._solve: Solver = solver or solve

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        trimap = hints.trimap
        if trimap is None:
            raise InputError(f"The prior {self.name} needs a trimap or a mask.", "Give --trimap or --mask.")
        alpha = (trimap == 255).astype(np.float32)
        unknown = trimap == 128
        if not unknown.any():
            return PriorResult(alpha, self.name)
        known = trimap[~unknown]
        one_sided = len(known) > 0 and bool((known == known[0]).all())
        if not len(known) or (one_sided and self.name != CLOSED_FORM_KNN):
            alpha[unknown] = alpha[~unknown][0] if one_sided else 0.5
            return PriorResult(
                alpha, self.name, ["the trimap knows no foreground or no background: nothing to tell apart"]
            )
        turned = one_sided and known[0] == 255  # no background: the outline speaks for it as it does for a foreground
        box = _bounding_box(unknown)
        asked = np.where(unknown, 128, 0).astype(np.uint8) if turned else trimap
        found, notes = self._solve(small[box], asked[box], self.name)
        if one_sided:
            if not turned:
                found = np.minimum(1, found / max(_FAINTEST, float(np.quantile(found[unknown[box]], _SOLID))))
            side, colour = ("background", "black") if turned else ("foreground", "white")
            told = f"the trimap knows no {side}, so its outline alone decided: paint {colour} what is surely {side}"
            notes = [told, *notes]
        alpha[box] = 1 - found if turned else found
        return PriorResult(alpha, self.name, notes)


def solve(image: np.ndarray, trimap: np.ndarray, name: str = "closed-form") -> tuple[np.ndarray, list[str]]:
    """Alpha (h, w) float32 of a picture (h, w, 3) in [0, 1] with a trimap {0, 128, 255}, and notes for the user.

    Known pixels stay exactly 0 or 1. A preconditioner that fails is retried with stronger shifts, then replaced by
    Jacobi's; an unfinished solution is better than none and says so.
    """
    if name == "lkm":
        return _large_kernels(image, trimap)
    unknown = (trimap == 128).ravel()
    laplacian = _laplacian(name)(image.astype(np.float64), ~unknown).tocsr()[unknown]
    system = laplacian[:, unknown].tocsc()
    right = -(laplacian[:, ~unknown] @ (trimap.ravel()[~unknown] == 255).astype(np.float64))
    alpha = (trimap == 255).astype(np.float32).ravel()
    if name == CLOSED_FORM_KNN:
        found, notes = _tied(system, right, image, trimap)
    elif right.any():
        found, notes = _conjugate_gradient(system, [lambda _: system], right)
    else:  # nothing unknown lies beside foreground
        return alpha.reshape(trimap.shape), []
    alpha[unknown] = np.clip(np.nan_to_num(found, nan=0.5), 0, 1)
    return alpha.reshape(trimap.shape), notes


def _large_kernels(image: np.ndarray, trimap: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The large-kernel Laplacian is a function, not a matrix: known pixels are held by a heavy weight."""
    from pymatting.laplacian.lkm_laplacian import lkm_laplacian
    from pymatting.solver.cg import cg

    radius = min(_KERNEL, (min(trimap.shape) - 1) // 4)
    if radius < 1:
        return solve(image, trimap)
    apply, diagonal = lkm_laplacian(image.astype(np.float64), radius=radius)
    held, front = _HELD * (trimap.ravel() != 128), _HELD * (trimap.ravel() == 255)
    best = front / _HELD

    def keep(_a: Any, x: np.ndarray, *_rest: Any) -> None:
        best[:] = x

    notes = []
    try:
        best = cg(
            lambda x: apply(x) + held * x, front, M=lambda x: x / (diagonal + held), rtol=RTOL, maxiter=2000,
            callback=keep,
        )  # fmt: skip
    except ValueError:
        notes = ["the prior's solver stopped before it converged"]
    alpha = np.clip(np.nan_to_num(best, nan=0.5), 0, 1).reshape(trimap.shape)
    return np.where(trimap == 128, alpha, trimap > 128).astype(np.float32), notes


def _laplacian(name: str) -> Callable[[np.ndarray, np.ndarray], Any]:
    part = "cf_laplacian" if name in ("closed-form", CLOSED_FORM_KNN) else f"{name}_laplacian"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = getattr(importlib.import_module(f"pymatting.laplacian.{part}"), part)
    if part == "cf_laplacian":
        return lambda image, known: make(image, is_known=known)
    return lambda image, known: make(image)


def _tied(system: Any, right: np.ndarray, image: np.ndarray, trimap: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The solution with like pixels tied together, first by ties that are all alike, then by those that hold, and what
    nothing else decides by the trimap's outline. The factor needs no more of the ties than their diagonal, about 1: it
    takes as few steps as the whole system's, and is made while the neighbours are looked for."""
    from scipy import sparse

    with ThreadPoolExecutor(1) as pool:
        ties = pool.submit(knn_affinities, image, trimap == 128)
        pull, aim = boundary_data_term(trimap)
        near = (system + _DIAGONAL * sparse.eye(len(right))).tocsc()

        def tied(alpha: np.ndarray, weight: float, spread: float) -> Callable[[np.ndarray], np.ndarray]:
            held = reweighted_laplacian(ties.result(), alpha, spread)
            return lambda x: system @ x + weight * held(x) + pull * x

        steps = [partial(tied, weight=weight, spread=spread) for weight, spread in TIES]
        found, notes = _conjugate_gradient(near, steps, right + pull * aim)
    return (found - LEAK) / (1 - 2 * LEAK), notes


def _conjugate_gradient(
    near: Any, systems: Sequence[Callable[[np.ndarray], Any]], right: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """near: the systems, or what is like them, to be factored. systems: solved one after the other, each made from the
    solution before (zeros at first) and begun there; the last one's is the answer."""
    from pymatting.preconditioner.ichol import ichol
    from pymatting.preconditioner.jacobi import jacobi
    from pymatting.solver.cg import cg

    best = np.zeros_like(right)

    def keep(_a: Any, x: np.ndarray, *_rest: Any) -> None:
        best[:] = x

    def solved(inverse: Any, steps: int) -> np.ndarray:
        x = np.zeros_like(right)
        for index, system in enumerate(systems, 1):
            rtol = RTOL if index == len(systems) else ROUGH
            x = cg(system(x), right, x0=x, M=inverse, rtol=rtol, maxiter=steps, callback=keep)
        return x

    for discard, shifts in _SHIFTS:
        try:
            with capture_output():  # it prints a line for each shift that it tries
                inverse = ichol(near, discard_threshold=discard, shifts=list(shifts))
            return solved(inverse, 2000), []
        except ValueError:
            continue
    try:
        return solved(jacobi(near), 4000), []
    except ValueError:
        return best, ["the prior's solver stopped before it converged"]


def _bounding_box(unknown: np.ndarray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    return tuple(slice(max(0, i[0] - _MARGIN), i[-1] + _MARGIN + 1) for i in (rows, columns))  # type: ignore[return-value]
