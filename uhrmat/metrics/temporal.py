"""dtSSD (Erofeev et al. 2015): does the matte change from frame to frame as the true one does?"""

from __future__ import annotations

import math

import numpy as np

from uhrmat.metrics.arrays import Floats, Mask, strips


class TemporalError:
    """Fed with a clip's frames in order, gives for each √(mean ((p_t − p_{t−1}) − (g_t − g_{t−1}))²), unscaled.

    Keeps one float32 (H, W) array, the error of the last frame: the difference above is that of p − g in time.
    """

    def __init__(self) -> None:
        self._error: Floats | None = None

    def push(self, pred: Floats, truth: Floats, region: Mask | None = None) -> float | None:
        """The figure of this frame against the last, over the region of this frame; None for the first frame."""
        error, last = pred - truth, self._error
        self._error = error
        if last is None:
            return None
        squared, pixels = 0.0, 0
        for rows in strips(error.shape[0]):
            change = np.subtract(error[rows], last[rows], dtype=np.float64)
            if region is not None:
                change = change[region[rows]]
            squared += float(np.square(change).sum())
            pixels += change.size
        return math.sqrt(squared / pixels) if pixels else 0.0
