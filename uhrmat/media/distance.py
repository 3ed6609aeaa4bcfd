"""Distances within a picture, the same at every call."""

from __future__ import annotations

import cv2
import numpy as np


def distance_to_edge(region: np.ndarray) -> np.ndarray:
    """(H, W) float64: pixels from each set pixel of a mask (H, W) to the nearest that is not set; 0 at those, infinity
    where all are set.

    OpenCV's exact transform rounds differently from call to call. Squared distances are whole numbers, so they are
    rounded to them: exact up to 2,000 pixels.
    """
    if region.all():
        return np.full(region.shape, np.inf)
    distance = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.sqrt(np.rint(np.square(distance.astype(np.float64)))))
