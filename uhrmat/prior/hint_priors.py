"""Priors that the user has already: a low-resolution matte, or a mask taken at its word."""

from __future__ import annotations

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha


class AlphaPrior:
    """The user's own matte, of any resolution, at working size."""

    name = "alpha"
    side: int | None = None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.alpha is None:
            raise InputError("The prior alpha needs a matte.", "Give --alpha.")
        return PriorResult(constrain_alpha(hints.alpha, hints.trimap), self.name)


class MaskPrior:
    """The mask itself as coarse alpha; only the band that it opens is refined."""

    name = "mask"
    side: int | None = None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.mask is None:
            raise InputError("The prior mask needs a mask.", "Give --mask.")
        return PriorResult(constrain_alpha(hints.mask, hints.trimap), self.name)
