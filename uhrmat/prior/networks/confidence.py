"""How sure a network is that a picture has a subject, from its own alpha: how certain it is of what it marks, and how
well it marks the same in a second view of the picture.

A subject that is there is marked with alphas near 1 and a narrow edge, and again when the picture is mirrored and
smaller; a network that must mark something marks it faintly, broadly, or elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.core.errors import NoSubjectError

NO_SUBJECT = "no subject found: give --mask, --point or --box, or paint it (uhrmat paint)"


@dataclass(frozen=True, kw_only=True)
class ConfidenceParams:
    """Parameters of the confidence that there is a subject. All may be changed.

    Chosen on photographs of train/ (with a subject, and without: `photos_free` tagged "none" and `textures`) with three
    networks, see docs/research/no-hints.md.

    Attributes:
        least: below it nothing counts as found.
        doubtful: below it what is found comes with a note.
        sure: confidence of one view from which on no second view is looked at.
        second_scale: size of the second view, which is mirrored too, as a share of the first.
    """

    least: float = 0.4
    doubtful: float = 0.7
    sure: float = 0.95
    second_scale: float = 0.75


CONFIDENCE_DEFAULTS = ConfidenceParams()


def first_view(alpha: np.ndarray) -> float:
    """Confidence from one view: how near to 1 a network's alpha is where it marks anything.

    Args:
        alpha: (h, w) float32 in [0, 1].

    Returns:
        The mean of the alpha weighted by itself, in [0, 1]; 0 where it is 0.
    """
    total = float(alpha.sum())
    return float(np.square(alpha).sum()) / total if total else 0.0


def two_views(alpha: np.ndarray, second: np.ndarray) -> float:
    """Confidence from two views: that of their mean, times their agreement (the intersection over union of the alphas).

    Args:
        alpha: (h, w) float32 in [0, 1], of a network.
        second: (h, w), the same of the second view, brought to the first.
    """
    union = float(np.maximum(alpha, second).sum())
    agreement = float(np.minimum(alpha, second).sum()) / union if union else 0.0
    return first_view((alpha + second) / 2) * agreement


def require_subject(confidence: float | None, params: ConfidenceParams = CONFIDENCE_DEFAULTS) -> None:
    """Refuse a picture in which a network found no subject.

    Args:
        confidence: that there is one, in [0, 1]; None where hints say what the subject is.
        params: `least`.

    Raises:
        NoSubjectError: it is below `params.least`.
    """
    if confidence is not None and confidence < params.least:
        raise NoSubjectError(NO_SUBJECT, "(--keep-empty writes the matte all the same.)")


def doubt_notes(confidence: float | None, params: ConfidenceParams = CONFIDENCE_DEFAULTS) -> list[str]:
    """A line for the user where a subject is doubtful or missing, else an empty list."""
    if confidence is None or confidence >= params.doubtful:
        return []
    if confidence < params.least:
        return [f"no subject was found (confidence {confidence:.2f})"]
    return [
        f"the subject is doubtful (confidence {confidence:.2f}): look at the matte, or give --mask, --point or --box"
    ]
