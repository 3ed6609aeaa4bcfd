"""`closed-form+knn` solved again and again for one picture while its trimap is painted.

What a stroke cannot change is kept between solutions. Where nearly all is unknown, as at the coarsest size, that is the
Laplacian of the whole picture, its incomplete Cholesky factor and the neighbours; known pixels are held by projection,
in the system as in its preconditioner: a principal part of a symmetric positive definite matrix is one as well. Where
the unknown pixels are a band, only those near a change of the trimap are solved, the others keep their alpha. Both
begin at the last alpha.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from uhrmat.core.printing import capture_output
from uhrmat.media.coding import FOREGROUND, UNKNOWN
from uhrmat.prior.base import constrain_alpha
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.boundary_data_term import boundary_data_term
from uhrmat.prior.closed_form.conjugate_gradient import Product, conjugate_gradient
from uhrmat.prior.closed_form.knn_affinities import Affinities, knn_affinities, reweighted_laplacian
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS, ClosedFormParams
from uhrmat.prior.closed_form.problem import NOT_CONVERGED, Start, make_laplacian
from uhrmat.prior.closed_form.solve import solve


@dataclass(frozen=True, kw_only=True)
class WarmParams:
    """Parameters of repeated solutions. Chosen on one synthetic scene; none of them changes what is saved.

    Attributes:
        whole_share: share of unknown pixels above which the whole picture's system is kept, in [0, 1].
        steps: how many of `ClosedFormParams.knn_steps`, the last ones, are solved from a last alpha then.
        tolerance: as `ClosedFormParams.tolerance`, there.
        reach: of a change of the trimap elsewhere, pixels: unknown pixels farther from it keep their alpha.
        changed_share: share of the unknown pixels above which all are solved, in [0, 1].
        unchanged: an alpha that differs by less from the last one at its pixel keeps that.
        kept: pictures whose solutions are kept, each size its own.
    """

    whole_share: float = 0.6
    steps: int = 3
    tolerance: float = 1e-3
    reach: int = 15
    changed_share: float = 0.7
    unchanged: float = 0.02
    kept: int = 6


WARM_DEFAULTS = WarmParams()


class WarmSolver:
    """Solutions of one picture.

    Args:
        image: (h, w, 3) float in [0, 1].
        params: of the prior.
        warm: of what is kept.
    """

    def __init__(
        self, image: np.ndarray, params: ClosedFormParams = CLOSED_FORM_DEFAULTS, warm: WarmParams = WARM_DEFAULTS
    ) -> None:
        self._image, self._params, self._warm = image, params, warm
        self._whole: _Whole | None = None
        self._last: tuple[np.ndarray, np.ndarray] | None = None  # trimap and alpha
        self.solved = 0
        """Pixels that the last solution was computed at."""

    def solve(self, trimap: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """Alpha of a trimap, nearly as `closed_form.solve.solve` has it.

        Args:
            trimap: (h, w) uint8 {0, 128, 255} with known pixels.

        Returns:
            (h, w) float32 in [0, 1], exactly 0 and 1 at known pixels; and notes for the user.
        """
        unknown = trimap == UNKNOWN
        if not unknown.any():
            alpha, notes = (trimap == FOREGROUND).astype(np.float32), list[str]()
            self.solved = 0
        elif unknown.mean() > self._warm.whole_share:
            alpha, notes = self._solve_whole(trimap, unknown)
        else:
            alpha, notes = self._solve_changed(trimap, unknown)
        if self._last is not None:  # so that what is hardly changed here changes nothing at the next size
            alpha = np.where(np.abs(alpha - self._last[1]) < self._warm.unchanged, self._last[1], alpha)
            alpha = constrain_alpha(alpha, trimap)
        self._last = trimap.copy(), alpha
        return alpha, notes

    def _solve_whole(self, trimap: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, list[str]]:
        if self._whole is None:
            self._whole = _Whole(self._image, self._params)
        self.solved = int(unknown.sum())
        leak, steps = self._params.leak, self._params.knn_steps
        start = np.zeros(trimap.shape)
        if self._last is not None:
            start, steps = leak + (1 - 2 * leak) * self._last[1], steps[-self._warm.steps :]
        values, converged = self._whole.solve(trimap, start, steps, self._warm.tolerance)
        alpha = np.clip(np.nan_to_num((values - leak) / (1 - 2 * leak), nan=0.5), 0, 1).astype(np.float32)
        return constrain_alpha(alpha, trimap), [] if converged else [NOT_CONVERGED]

    def _solve_changed(self, trimap: np.ndarray, unknown: np.ndarray) -> tuple[np.ndarray, list[str]]:
        start = None
        self.solved = int(unknown.sum())
        if self._last is not None:
            reach = 2 * self._warm.reach + 1
            disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
            near = cv2.dilate((trimap != self._last[0]).astype(np.uint8), disc) > 0
            count = int((near & unknown).sum())
            if not count:
                self.solved = 0
                return constrain_alpha(self._last[1], trimap), []
            if count < self._warm.changed_share * self.solved:
                start, self.solved = Start(self._last[1], near), count
        return solve(self._image, trimap, CLOSED_FORM_KNN, start, self._params)


class _Whole:
    """The system of all n pixels of a picture.

    Args:
        image: (h, w, 3) float in [0, 1].
        params: of the prior.
    """

    def __init__(self, image: np.ndarray, params: ClosedFormParams) -> None:
        from scipy import sparse

        everywhere = np.ones(image.shape[:2], bool)
        self._params = params
        self._laplacian = make_laplacian(CLOSED_FORM_KNN)(image.astype(np.float64), ~everywhere.ravel()).tocsr()
        self._affinities = knn_affinities(image, everywhere, params.knn)
        near = self._laplacian + params.preconditioner_diagonal * sparse.eye(everywhere.size)
        self._inverse = _incomplete_cholesky(near.tocsc(), params)

    def solve(
        self, trimap: np.ndarray, start: np.ndarray, steps: tuple[tuple[float, float], ...], tolerance: float
    ) -> tuple[np.ndarray, bool]:
        """The solution (h, w) float64 of a trimap, and whether it is exact enough.

        Args:
            trimap: (h, w) uint8 {0, 128, 255}.
            start: (h, w) float64, where the search begins.
            steps: as `ClosedFormParams.knn_steps`.
            tolerance: relative residual at which a solution is exact enough.
        """
        free = trimap.ravel() == UNKNOWN
        held = (trimap.ravel() == FOREGROUND).astype(np.float64)
        weight, target = np.zeros(free.size), np.zeros(free.size)
        weight[free], target[free] = boundary_data_term(trimap, self._params.boundary)
        right = free * (weight * target - self._laplacian @ held)
        affinities = _among(self._affinities, free)
        x, converged = free * start.ravel(), True
        for strength, scale in steps:
            non_local, _ = reweighted_laplacian(affinities, x, scale)
            product = self._product(non_local, strength, weight, free)
            x, converged = conjugate_gradient(
                product, right, x, lambda r: free * self._inverse(r), tolerance=tolerance,
                max_steps=self._params.max_steps,
            )  # fmt: skip
        return (x + held).reshape(trimap.shape), converged

    def _product(self, non_local: Product, strength: float, weight: np.ndarray, free: np.ndarray) -> Product:
        return lambda x: free * (self._laplacian @ x + strength * non_local(x) + weight * x)


def _among(affinities: Affinities, free: np.ndarray) -> Affinities:
    """Affinities among the free pixels (m,) bool; those to others are nought."""
    inner = affinities.inner.copy()
    inner.data *= np.repeat(free, np.diff(inner.indptr)) & free[inner.indices]
    return Affinities(inner, affinities.outer)


def _incomplete_cholesky(near: Any, params: ClosedFormParams) -> Product:
    """A preconditioner for a matrix (m, m); Jacobi's where it cannot be factored."""
    from pymatting.preconditioner.ichol import ichol

    for discard, shifts in params.preconditioner:
        try:
            with capture_output():
                inverse: Product = ichol(near, discard_threshold=discard, shifts=list(shifts))
            return inverse
        except ValueError:
            continue
    diagonal = near.diagonal()
    return lambda x: x / diagonal


class WarmSolvers:
    """A `WarmSolver` for each of the pictures that were solved last."""

    def __init__(self, warm: WarmParams = WARM_DEFAULTS) -> None:
        self._warm, self._solvers = warm, OrderedDict[bytes, WarmSolver]()

    def solve(self, image: np.ndarray, trimap: np.ndarray) -> tuple[np.ndarray, list[str]]:
        """See `WarmSolver.solve`."""
        key = hashlib.sha256(str(image.shape).encode() + np.ascontiguousarray(image).tobytes()).digest()
        solver = self._solvers.pop(key, None) or WarmSolver(image, warm=self._warm)
        self._solvers[key] = solver
        while len(self._solvers) > self._warm.kept:
            self._solvers.popitem(last=False)
        return solver.solve(trimap)
