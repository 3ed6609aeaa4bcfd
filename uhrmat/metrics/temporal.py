"""dtSSD: how far the change of a matte from frame to frame differs from the true matte's.

Erofeev, Gitman, Vatolin, Fedorov, Wang: "Perceptually Motivated Benchmark for Video Matting", BMVC 2015,
https://doi.org/10.5244/C.29.99.
"""

from __future__ import annotations

import math

import numpy as np

from uhrmat.metrics.arrays import Floats, Mask, strips


class TemporalError:
    """Computes dtSSD of a clip's frames in order: √(mean ((p_t − p_{t−1}) − (g_t − g_{t−1}))²), unscaled.

    It keeps one array (H, W) float32, p − g of the last frame: the expression is the change of p − g in time.
    """

    def __init__(self) -> None:
        self._error: Floats | None = None

    def push(self, pred: Floats, truth: Floats, region: Mask | None = None) -> float | None:
        """Measure the next frame against the last.

        Args:
            pred: (H, W) float32 in [0, 1].
            truth: The same, the ground truth.
            region: (H, W) bool of this frame, or None for the whole picture.

        Returns:
            dtSSD, 0 over an empty region; None for the first frame.
        """
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
