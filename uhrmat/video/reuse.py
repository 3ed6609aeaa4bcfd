"""What changed in the low-resolution picture, and what a prior need not compute again.

Where picture and hints are unchanged the last result is kept, as a whole (`ReusedPrior`) or pixel by pixel
(`ContinuedSolver`). Everything is compared with the picture of the frame in which it was computed, not with the frame
before, so that slow drift cannot add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, RecurrentPrior, SolvingPrior
from uhrmat.prior.closed_form.problem import Solver, Start
from uhrmat.sparsity.spatial import dilate
from uhrmat.sparsity.temporal import TEMPORAL_SPARSITY, noise_level, noise_samples, noise_scale


@dataclass(frozen=True, kw_only=True)
class ReuseParams:
    """When parts of two low-resolution pictures count as equal. May be changed: a larger `step` or `side` reuses more.

    Attributes:
        step: change of a neighbourhood's mean, in [0, 1], that counts as a change; less does where there is no noise.
            Not tuned.
        side: side of the neighbourhood, pixels of the low-resolution picture. Not tuned.
        margin: pixels around what changed that are solved again with it. 8 took 15 % longer; at `refresh` 2 its MAD was
            0.3 % smaller on the one clip that was tried.
        certain: an unknown pixel without change is held only if its alpha is this near to 0 or 1. Held alphas are
            constraints, and those of soft pixels are too uncertain for that: docs/research/clips.md. In [0, 0.5).
        refresh: every how many solutions of a shot all unknown pixels are solved, from the last solution on. Affinities
            join pixels far apart, so that what is held is not quite what would be solved, and an error would last.
    """

    step: float = 0.01
    side: int = 5
    margin: int = 2
    certain: float = 0.01
    refresh: int = 4


REUSE = ReuseParams()


def changed_places(now: np.ndarray, then: np.ndarray, before: np.ndarray, params: ReuseParams = REUSE) -> np.ndarray:
    """Where the neighbourhoods of `now` differ from those of `then` by more than the step or the noise.

    Args:
        now: (h, w, 3) float32 RGB in [0, 1], this frame's low-resolution picture.
        then: the one that it is compared with.
        before: that of the frame before this one; the noise is measured between it and `now`.
        params: what counts as a change.

    Returns:
        (h, w) bool.
    """
    noise = noise_level(noise_samples(now), noise_samples(before))
    limit = max(params.step * noise_scale(noise), TEMPORAL_SPARSITY.sigmas * float(np.sqrt(2)) * noise / params.side)
    return np.asarray(np.abs(cv2.blur(now - then, (params.side, params.side))).max(2) > limit)


def unchanged(now: np.ndarray, then: np.ndarray, before: np.ndarray, params: ReuseParams = REUSE) -> bool:
    """Whether two low-resolution pictures have one size and no `changed_places`; arguments as there."""
    return now.shape == then.shape and not changed_places(now, then, before, params).any()


class ReusedPrior:
    """Calls a prior, or returns its last result while picture and hints are unchanged.

    A prior that solves a system solves it only where something changed. A prior that keeps state from frame to frame
    (`RecurrentPrior`) is called for each.
    """

    def __init__(self) -> None:
        self._last_call: tuple[np.ndarray, LowResHints, PriorResult] | None = None
        self._before = np.empty(0, np.float32)
        self._continued: tuple[PriorMethod, PriorMethod] | None = None

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
        result = self._continue(method)(small, hints)
        self._last_call = small, hints, result
        return result

    def _continue(self, method: PriorMethod) -> PriorMethod:
        """The prior with a `ContinuedSolver`, if it has a solver; the same one for each frame."""
        if not isinstance(method, SolvingPrior):
            return method
        if self._continued is None or self._continued[0] is not method:
            self._continued = method, method.with_solver(ContinuedSolver)
        return self._continued[1]


class ContinuedSolver:
    """A solver for the frames of a shot: unknown pixels that are certain and around which nothing changed keep their
    alpha.

    The others are solved beside them, and the search begins at their last alpha; now and then all are, and in the
    second frame, because the first one's solution is known in [0, 1] only.

    Args:
        solver: of a single picture.
        params: what counts as a change.
    """

    def __init__(self, solver: Solver, params: ReuseParams = REUSE) -> None:
        self._solver, self._params = solver, params
        self._last: _Solution | None = None
        self._solved = 0

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        """See `closed_form.solve.solve`; without `start` it begins at the last solution.

        A solution that is refined by an estimate is not continued: it is another system's.
        """
        if start is not None and start.estimate is not None:
            return self._solver(image, trimap, name, start)
        last = self._last
        if start is None and last is not None and (last.name, last.trimap.shape) == (name, trimap.shape):
            start = Start(last.alpha, self._changed(image, trimap, last), clip=False)
        alpha, notes = self._solver(image, trimap, name, start)
        compared = image if start is None or last is None else np.where(start.changed[..., None], image, last.image)
        self._last = _Solution(name, trimap, alpha, compared, image, clipped=start is None)
        self._solved += 1
        return alpha.clip(0, 1), notes

    def _changed(self, image: np.ndarray, trimap: np.ndarray, last: _Solution) -> np.ndarray:
        """(h, w) bool, the pixels that are solved."""
        params = self._params
        if last.clipped or self._solved % params.refresh == 0:
            return np.ones(trimap.shape, bool)
        changed = changed_places(image, last.image, last.before, params) | (trimap != last.trimap)
        soft = (last.alpha > params.certain) & (last.alpha < 1 - params.certain)
        return np.asarray(dilate(changed, 2 * params.margin + 1) | dilate(soft, 3))


@dataclass(frozen=True)
class _Solution:
    """A solved frame.

    Attributes:
        name: of the prior.
        trimap: (h, w) uint8 {0, 128, 255}.
        alpha: (h, w) float32, beyond [0, 1] by what affinities leak.
        image: (h, w, 3) float32 in [0, 1], each pixel of the frame in which it was last solved.
        before: (h, w, 3), the frame.
        clipped: the alpha was clipped to [0, 1].
    """

    name: str
    trimap: np.ndarray
    alpha: np.ndarray
    image: np.ndarray
    before: np.ndarray
    clipped: bool


def _same_hints(a: LowResHints, b: LowResHints) -> bool:
    pairs = ((a.trimap, b.trimap), (a.mask, b.mask), (a.plate, b.plate), (a.alpha, b.alpha))
    return a.key == b.key and all(
        x is y or (x is not None and y is not None and np.array_equal(x, y)) for x, y in pairs
    )
