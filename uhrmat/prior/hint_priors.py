"""Priors that the user gives: a low-resolution matte, or a mask as coarse alpha."""

from __future__ import annotations

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha


class AlphaPrior:
    """The user's own matte, of any resolution, at working size."""

    name = "alpha"
    working_size: int | None = None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.alpha is None:
            raise InputError("The prior alpha needs a matte.", "Give a low-resolution matte as the hint alpha.")
        return PriorResult(constrain_alpha(hints.alpha, hints.trimap), self.name)


class MaskPrior:
    """The user's mask as coarse alpha; only the band around its edge is refined."""

    name = "mask"
    working_size: int | None = None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.mask is None:
            raise InputError("The prior mask needs a mask.", "Give a mask, or choose another prior.")
        return PriorResult(constrain_alpha(hints.mask, hints.trimap), self.name)
