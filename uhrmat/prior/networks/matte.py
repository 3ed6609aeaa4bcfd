"""A network that finds the subject without hints, or from points and boxes, as a prior.

Coarse alpha to matte, and whether there is a subject.

The same for every such network, ours or ONNX: its alpha goes the way of a mask (`coarse`), and what is unknown then is
solved by `closed-form+knn` from the picture's own colours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from uhrmat.core.errors import NoSubjectError
from uhrmat.hints.subject import SubjectMask
from uhrmat.media.coding import UNKNOWN
from uhrmat.media.resample import area_average
from uhrmat.prior.base import (
    WORKING_SIZE,
    LowResHints,
    PriorMethod,
    PriorResult,
    constrain_alpha,
    require_finite,
    working_shape,
)
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.networks.coarse import COARSE_DEFAULTS, CoarseParams, trimap_from_coarse
from uhrmat.prior.networks.confidence import CONFIDENCE_DEFAULTS, ConfidenceParams, first_view, two_views


class NetworkMatte:
    """A network's alpha as the prior of a matte.

    Args:
        network: a prior that needs no hint, or prompts alone, and keeps no state.
        solver: of the affinity prior, by default `closed_form.solve.solve` in this process.
        params: of the trimap that is made from the network's alpha.
        confidence: of the confidence that there is a subject.

    Attributes:
        name: of the network.
        working_size: None (that of `WORKING_SIZE`), or the network's own where that is larger. The network itself sees
            the picture at its own size.
    """

    def __init__(
        self,
        network: PriorMethod,
        solver: Solver | None = None,
        params: CoarseParams = COARSE_DEFAULTS,
        confidence: ConfidenceParams = CONFIDENCE_DEFAULTS,
    ) -> None:
        own = network.working_size
        self.name = network.name
        self.working_size: int | None = own if own is not None and own > WORKING_SIZE.short_side else None
        self._network, self._affinity = network, AffinityPrior(CLOSED_FORM_KNN, solver)
        self._params, self._confidence = params, confidence

    def with_solver(self, wrap: Callable[[Solver], Solver]) -> NetworkMatte:
        """See `prior.base.SolvingPrior`."""
        other = copy.copy(self)
        other._affinity = self._affinity.with_solver(wrap)
        return other

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        prompts = hints.prompts and hints.prompts.scaled(small.shape[:2], self._own_shape(small))
        unhinted = hints.trimap is None and prompts is None
        notes, confidence = list[str](), None
        if hints.subject is not None and unhinted:
            marked, confidence = hints.subject.alpha, hints.subject.confidence
        else:
            picture = self._at_own_size(small)
            coarse = require_finite(self._network(picture, LowResHints(prompts=prompts)))
            marked, notes = coarse.alpha, coarse.notes
            confidence = self._confidence_of(picture, marked) if unhinted else None
        alpha = area_average(marked, small.shape[:2])
        if prompts is not None and not (alpha >= self._params.seed).any():
            raise NoSubjectError(
                f"The prior {self.name} finds nothing where the points and boxes are.",
                "Give more points on the subject, or a mask.",
            )
        # What a user has marked counts, however small.
        trimap = trimap_from_coarse(alpha, self._params if prompts is None else replace(self._params, least_part=0.0))
        if hints.trimap is not None:
            trimap = np.where(hints.trimap == UNKNOWN, trimap, hints.trimap)
        if (trimap == UNKNOWN).all():  # no pixel is certain, so there is nothing to solve from
            return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, notes, confidence=confidence)
        solved = self._affinity(small, LowResHints(trimap))
        return PriorResult(solved.alpha, self.name, [*notes, *solved.notes], confidence=confidence)

    @property
    def own_size(self) -> int:
        """Pixels on the short side of the picture that the network itself sees."""
        return self._network.working_size or WORKING_SIZE.short_side

    def look(self, small: np.ndarray) -> SubjectMask:
        """What the network marks in a picture (h, w, 3) float32 in [0, 1], and its confidence, without the matte."""
        picture = self._at_own_size(small)
        alpha = require_finite(self._network(picture, LowResHints())).alpha
        return SubjectMask(alpha, self._confidence_of(picture, alpha))

    def confidence(self, small: np.ndarray) -> float:
        """The confidence that a picture (h, w, 3) in [0, 1] has a subject, in [0, 1], without the matte."""
        return self.look(small).confidence

    def _confidence_of(self, picture: np.ndarray, alpha: np.ndarray) -> float:
        """From the network's alpha of `picture`; from a second view of it too where the first leaves doubt."""
        if not (alpha >= self._params.seed).any():
            return 0.0
        value = first_view(alpha)
        if value >= self._confidence.sure:
            return value
        height, width = (max(1, round(n * self._confidence.second_scale)) for n in picture.shape[:2])
        mirrored = np.ascontiguousarray(area_average(picture, (height, width))[:, ::-1])
        second = area_average(np.ascontiguousarray(self._network(mirrored, LowResHints()).alpha[:, ::-1]), alpha.shape)
        return two_views(alpha, second)

    def _own_shape(self, small: np.ndarray) -> tuple[int, int]:
        height, width = small.shape[:2]
        own = self._network.working_size
        return (height, width) if own is None else working_shape(height, width, own)

    def _at_own_size(self, small: np.ndarray) -> np.ndarray:
        return small if self._network.working_size is None else area_average(small, self._own_shape(small))
