"""Reuses a prior's result while the low-resolution picture and its hints stay the same."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, RecurrentPrior
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY, noise_level, noise_samples, noise_scale


@dataclass(frozen=True, kw_only=True)
class ReuseParams:
    """When two low-resolution pictures count as equal. Not tuned; may be changed: larger values reuse more.

    Attributes:
        step: change of a neighbourhood's mean, in [0, 1], that counts as a change; less does where there is no noise.
        side: side of the neighbourhood, pixels of the low-resolution picture.
    """

    step: float = 0.01
    side: int = 5


REUSE = ReuseParams()


def unchanged(now: np.ndarray, then: np.ndarray, before: np.ndarray, params: ReuseParams = REUSE) -> bool:
    """Whether no neighbourhood of `now` differs from `then` by more than the step or the noise.

    Args:
        now: (h, w, 3) float32 RGB in [0, 1], this frame's low-resolution picture.
        then: the one that it is compared with.
        before: that of the frame before this one; the noise is measured between it and `now`.
        params: what counts as a change.
    """
    if now.shape != then.shape:
        return False
    noise = noise_level(noise_samples(now), noise_samples(before))
    limit = max(params.step * noise_scale(noise), TEMPORAL_SPARSITY.sigmas * float(np.sqrt(2)) * noise / params.side)
    return bool(np.abs(cv2.blur(now - then, (params.side, params.side))).max() <= limit)


class ReusedPrior:
    """Calls a prior, or returns its last result while picture and hints are unchanged.

    The picture is compared with the one of the last call, not with the frame before, so that slow drift cannot add up.
    A prior that keeps state from frame to frame (`RecurrentPrior`) is called for each.
    """

    def __init__(self) -> None:
        self._last_call: tuple[np.ndarray, LowResHints, PriorResult] | None = None
        self._before = np.empty(0, np.float32)

    def __call__(self, method: PriorMethod, small: np.ndarray, hints: LowResHints) -> PriorResult:
        """The result of `method` for this low-resolution picture (h, w, 3), new or reused."""
        last, before, self._before = self._last_call, self._before, small
        if (
            last is not None
            and not isinstance(method, RecurrentPrior)
            and _same_hints(hints, last[1])
            and unchanged(small, last[0], before)
        ):
            return last[2]
        result = method(small, hints)
        self._last_call = small, hints, result
        return result


def _same_hints(a: LowResHints, b: LowResHints) -> bool:
    pairs = ((a.trimap, b.trimap), (a.mask, b.mask), (a.plate, b.plate), (a.alpha, b.alpha))
    return a.key == b.key and all(
        x is y or (x is not None and y is not None and np.array_equal(x, y)) for x, y in pairs
    )
