"""Segmentation networks made into mattes: their soft, coarse edge becomes a trimap that a closed form solves.

Behind a two-class network of 320 pixels it took the mean error of two portraits with true alpha, 256 pixels on the
short side, from 0.039 and 0.036 to 0.013 and 0.025; with a band twice as wide to 0.014 and 0.031.
"""

from __future__ import annotations

import numpy as np

from uhrmat.hints.trimap import trimap_from_mask
from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, constrain_alpha
from uhrmat.prior.closed_form.affinity import Solver, solve

BAND = 0.015
"""Half the width of the unknown band, as a share of the short side."""
SURE = 0.1
"""A network's word up to this away from 0 or 1 is taken as certain."""
_ROUNDED = 0.02
"""The same of what is left of it, stretched to 0 and 1."""


class SharpenedPrior:
    """A coarse prior with its edge solved at working size. What it is not sure of inside stays as it said."""

    def __init__(self, method: PriorMethod, solver: Solver | None = None) -> None:
        self.name, self.working_size = method.name, method.working_size
        self._method, self._solve = method, solver or solve

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        said = self._method(small, hints)
        radius = max(2, round(BAND * min(said.alpha.shape)))
        trimap = trimap_from_mask(np.clip((said.alpha - SURE) / (1 - 2 * SURE), 0, 1), radius, radius, _ROUNDED)
        if hints.trimap is not None:
            trimap = np.where(hints.trimap == 128, trimap, hints.trimap)
        if not all((trimap == value).any() for value in (0, 128, 255)):
            return said
        alpha, notes = self._solve(small, trimap, "closed-form")
        told = f"the coarse edge of {self.name} solved by closed-form in a band of ±{radius} small pixels"
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, [*said.notes, told, *notes])
