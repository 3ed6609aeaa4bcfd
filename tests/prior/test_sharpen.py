"""A coarse mask's edge, solved."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.closed_form.sharpen import SharpenedPrior

from .composites import before_screen


class _Coarse:
    name, working_size = "coarse", None

    def __init__(self, alpha: np.ndarray) -> None:
        self.alpha = alpha

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        return PriorResult(self.alpha, self.name)


def test_the_solved_edge_is_closer_than_the_coarse_one() -> None:
    picture, true, _ = before_screen("solid", noise=0.01)
    coarse = cv2.GaussianBlur((true > 0.5).astype(np.float32), (0, 0), 3)
    result = SharpenedPrior(_Coarse(coarse))(picture, LowResHints())
    assert np.abs(result.alpha - true).mean() < 0.5 * np.abs(coarse - true).mean()
    assert "closed-form" in result.notes[0]


def test_an_empty_frame_stays_empty() -> None:
    empty = np.zeros((30, 40), np.float32)
    result = SharpenedPrior(_Coarse(empty))(np.full((30, 40, 3), 0.5, np.float32), LowResHints())
    assert (result.alpha == 0).all() and not result.notes
