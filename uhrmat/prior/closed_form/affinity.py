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
from collections.abc import Callable
from functools import partial

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.scribbles import are_scribbles
from uhrmat.hints.widen import widen_band
from uhrmat.media.coding import UNKNOWN
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import AFFINITY_PRIORS, CLOSED_FORM_KNN
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS, ClosedFormParams
from uhrmat.prior.closed_form.problem import SCRIBBLES_KNN, Solver
from uhrmat.prior.closed_form.solve import solve


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
        if hints.band and not (one_sided or scribbles):
            return self._widened(small, trimap, solved, notes, hints.band)
        if one_sided:
            if not inverted:
                opaque = float(np.quantile(solved[unknown], self._params.opaque_quantile))
                solved = np.minimum(1, solved / max(self._params.faintest, opaque))
            side, colour = ("background", "black") if inverted else ("foreground", "white")
            note = f"the trimap knows no {side}, so its outline alone decided: paint {colour} what is surely {side}"
            notes = [note, *notes]
        return PriorResult(1 - solved if inverted else solved, self.name, notes)

    def _widened(
        self, small: np.ndarray, trimap: np.ndarray, solved: np.ndarray, notes: list[str], band: float
    ) -> PriorResult:
        """The result of a mask: solved again where the subject reaches beyond its unknown band."""
        widened = widen_band(trimap, solved, band)
        if widened is trimap:
            return PriorResult(solved, self.name, notes)
        more = np.count_nonzero(widened == UNKNOWN) / np.count_nonzero(trimap == UNKNOWN) - 1
        alpha, again = self._solve(small, widened, self.name)
        what = f"the mask's unknown band was widened by {more:.0%}, where the subject's edge lies outside it"
        return PriorResult(alpha, self.name, list(dict.fromkeys([what, *notes, *again])), trimap=widened)
