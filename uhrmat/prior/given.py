"""Priors that the user has already: a low-resolution matte, or a mask taken at its word."""

from __future__ import annotations

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.prior.base import PriorResult, SmallHints, constrained


class GivenAlpha:
    """The user's own matte, of any resolution, at working size."""

    name = "alpha"
    side: int | None = None

    def __call__(self, small: np.ndarray, hints: SmallHints) -> PriorResult:
        if hints.alpha is None:
            raise InputError("The prior alpha needs a matte.", "Give --alpha.")
        return PriorResult(constrained(hints.alpha, hints.trimap), self.name)


class GivenMask:
    """The mask itself as coarse alpha; only the band that it opens is refined."""

    name = "mask"
    side: int | None = None

    def __call__(self, small: np.ndarray, hints: SmallHints) -> PriorResult:
        if hints.mask is None:
            raise InputError("The prior mask needs a mask.", "Give --mask.")
        return PriorResult(constrained(hints.mask, hints.trimap), self.name)
