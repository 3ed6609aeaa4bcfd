"""Key frames and masks for tests of mask propagation."""

from __future__ import annotations

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.video.propagation.pairs import KeyFrame
from uhrmat.video.propagation.params import PropagationTrainingParams

TINY = PropagationTrainingParams(steps=2, further_steps=1, batch=2, side=64)


def key_frame(shape: tuple[int, int] = (64, 96)) -> KeyFrame:
    picture = np.full((*shape, 3), 0.2, np.float32)
    alpha = np.zeros(shape, np.float32)
    alpha[20:44, 30:60] = 1
    picture[alpha > 0] = np.float32([0.9, 0.3, 0.1])
    return KeyFrame(picture, alpha)


def disc(row: int, column: int, radius: int = 6, shape: tuple[int, int] = (64, 96)) -> np.ndarray:
    rows, columns = np.indices(shape)
    return ((rows - row) ** 2 + (columns - column) ** 2 <= radius**2).astype(np.float32)


def same_alpha(small: np.ndarray, hints: LowResHints) -> PriorResult:
    """A prior that knows nothing of colours: the trimap, its unknown region half."""
    assert hints.trimap is not None
    return PriorResult(hints.trimap.astype(np.float32) / 255, "test")


def undecided(picture: np.ndarray) -> np.ndarray:
    """The planes of a guide that sees nothing in a picture."""
    return np.full((*picture.shape[:2], 2), 0.5, np.float32)
