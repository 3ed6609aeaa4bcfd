"""What a network has marked as a picture's subject, without a hint of the user."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SubjectMask:
    """The subject of a picture, from a network that needs no hint.

    Attributes:
        alpha: (h, w) float32 in [0, 1], of any size in the picture's proportions.
        confidence: that there is a subject, in [0, 1], see `prior.networks.confidence`.
    """

    alpha: np.ndarray
    confidence: float
