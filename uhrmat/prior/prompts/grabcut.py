"""GrabCut (Rother, Kolmogorov, Blake, SIGGRAPH 2004): Gaussian mixtures of the colours of both sides and a graph cut,
by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

BACKGROUND, FOREGROUND, LIKELY_BACKGROUND, LIKELY_FOREGROUND = cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD
_ITERATIONS = 4
_MIXTURE = 5
"""Gaussians of one side, OpenCV's number; a side needs as many pixels."""


def grabcut(
    picture: npt.NDArray[np.float32], seeds: npt.NDArray[np.uint8], iterations: int = _ITERATIONS
) -> npt.NDArray[np.float32]:
    """Divide a picture by its colours. The same input gives the same output.

    Args:
        picture: (h, w, 3) float32 RGB in [0, 1].
        seeds: (h, w) of BACKGROUND and FOREGROUND, which stay as they are, and LIKELY_BACKGROUND and LIKELY_FOREGROUND.
        iterations: of fitting the mixtures and cutting.

    Returns:
        (h, w) float32, 1 in the foreground and 0 in the background; the seeds themselves where a side has too few
        pixels for a mixture.
    """
    front = (seeds == FOREGROUND) | (seeds == LIKELY_FOREGROUND)
    if min(int(front.sum()), int((~front).sum())) < _MIXTURE:
        return np.asarray(front, np.float32)
    pixels = np.rint(np.clip(picture[..., ::-1], 0, 1) * 255).astype(np.uint8)
    labels, models = seeds.copy(), [np.zeros((1, 13 * _MIXTURE)) for _ in range(2)]
    cv2.setRNGSeed(0)  # its mixtures start from random centres
    cv2.grabCut(np.ascontiguousarray(pixels), labels, None, models[0], models[1], iterations, cv2.GC_INIT_WITH_MASK)
    return np.asarray((labels == FOREGROUND) | (labels == LIKELY_FOREGROUND), np.float32)
