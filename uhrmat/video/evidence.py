"""Combines a solved alpha with the mask that it was to refine, by the evidence of the colours.

A closed-form solution leaks where subject and background have the same colour: the matte then follows some edge inside
one of them. There the mask is more reliable; where the colours differ, as in hair before the sky, the solution is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class EvidenceParams:
    """Parameters of the colour evidence. Chosen by `python -m benchmarks.davis FOLDER` (IoU); may be changed.

    Attributes:
        contrast: squared distance of the mean colours inside and outside of the mask, in units of their variance, from
            which on colour is full evidence.
        mismatch: difference between the solved alpha and the alpha that the colour implies at which there is none.
        min_share: share of the neighbourhood, weighted, that must be known on either side.
        reach: standard deviation of the neighbourhood, as a share of the short side.
    """

    contrast: float = 1.0
    mismatch: float = 0.7
    min_share: float = 0.003
    reach: float = 0.025


EVIDENCE = EvidenceParams()


def combine_with_mask(
    small: np.ndarray, solved: np.ndarray, mask: np.ndarray, weight: float, params: EvidenceParams = EVIDENCE
) -> np.ndarray:
    """Average `solved` with `mask` where the colours do not support the solution.

    Args:
        small: (h, w, 3) float32 RGB in [0, 1].
        solved: (h, w) float32 in [0, 1], the prior's alpha.
        mask: (h, w) float32 in [0, 1].
        weight: of the mask where the colours are no evidence, in [0, 1].
        params: see there.

    Returns:
        (h, w) float32 in [0, 1].
    """
    share = weight * (1 - colour_support(small, solved, mask, params))
    return np.asarray((1 - share) * solved + share * mask, np.float32)


def colour_support(
    small: np.ndarray, solved: np.ndarray, mask: np.ndarray, params: EvidenceParams = EVIDENCE
) -> np.ndarray:
    """How far the colours support a solved alpha: the contrast between the colours inside and outside of the mask
    nearby, times the agreement of `solved` with the alpha that the pixel's place between these colours implies.

    Args:
        small, solved, mask: as for `combine_with_mask`.
        params: see there.

    Returns:
        (h, w) float32 in [0, 1].
    """
    sigma = max(1.0, params.reach * min(solved.shape))
    front, back = (_colour_statistics(small, known, sigma) for known in (mask > 0.98, mask < 0.02))
    line = front[0] - back[0]
    length = np.square(line).sum(2)
    implied = ((small - back[0]) * line).sum(2) / np.maximum(length, 1e-6)
    contrast = np.clip(length / (front[1] + back[1] + 1e-3) / params.contrast, 0, 1)
    contrast = contrast * (np.minimum(front[2], back[2]) > params.min_share)
    return np.asarray(contrast * np.clip(1 - np.abs(implied - solved) / params.mismatch, 0, 1), np.float32)


def _colour_statistics(small: np.ndarray, known: np.ndarray, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean (h, w, 3) and variance (h, w) of the colours of `known` pixels nearby, and the share (h, w) of those."""
    weight = known.astype(np.float32)
    total = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-4
    mean, square = (
        cv2.GaussianBlur(x * weight[..., None], (0, 0), sigma) / total[..., None] for x in (small, small * small)
    )
    return mean, np.maximum(square - mean * mean, 0).sum(2), total
