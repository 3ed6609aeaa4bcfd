"""Measures of each pixel and its gradient: sums of differences, and Grad. Results are not scaled.

Grad is that of Rhemann, Rother, Wang, Gelautz, Kohli, Rott: "A Perceptually Motivated Online Benchmark for Image
Matting", CVPR 2009, https://doi.org/10.1109/CVPR.2009.5206503.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.metrics.arrays import Floats, Mask, strips

SIGMA = 1.4
"""Standard deviation of Grad's Gaussian, pixels: the paper's."""
_TAIL = 1e-2
"""The filter ends where the Gaussian falls below this, as evaluation scripts commonly take it."""


@dataclass(frozen=True)
class Differences:
    """Sums over a region of a prediction p against the ground truth g.

    Attributes:
        absolute: Σ |p − g|.
        squared: Σ (p − g)².
        pixels: Number of pixels.
    """

    absolute: float
    squared: float
    pixels: int


def differences(pred: Floats, truth: Floats, region: Mask | None = None) -> Differences:
    """Absolute and squared differences in one pass: SAD is `absolute`, MAD and MSE are the sums divided by `pixels`.

    Args:
        pred: (H, W) float32 in [0, 1].
        truth: The same, the ground truth.
        region: (H, W) bool, or None for the whole picture.
    """
    absolute = squared = 0.0
    pixels = 0
    for rows in strips(pred.shape[0]):
        error = np.subtract(pred[rows], truth[rows], dtype=np.float64)
        if region is not None:
            error = error[region[rows]]
        absolute += float(np.abs(error).sum())
        squared += float(np.square(error).sum())
        pixels += error.size
    return Differences(absolute, squared, pixels)


def gradient_error(pred: Floats, truth: Floats, region: Mask | None = None, sigma: float = SIGMA) -> float:
    """Grad, Σ (|∇p| − |∇g|)², with ∇ by first derivatives of a Gaussian of unit energy; the border is repeated.

    Args:
        pred: (H, W) float32 in [0, 1].
        truth: The same, the ground truth.
        region: (H, W) bool, or None for the whole picture.
        sigma: Of the Gaussian, pixels.

    Returns:
        Sum over the region.
    """
    smooth, slope = _kernels(sigma)
    total = 0.0
    for rows in strips(pred.shape[0]):
        inside = None if region is None else region[rows]
        if inside is not None and not inside.any():
            continue
        error = _magnitude(pred, rows, smooth, slope) - _magnitude(truth, rows, smooth, slope)
        total += float(np.square(error if inside is None else error[inside]).sum())
    return total


def _kernels(sigma: float) -> tuple[Floats, Floats]:
    """Gaussian and its derivative; their outer product has unit energy, as the definition's filter has."""
    half = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * _TAIL)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    smooth = np.exp(-np.square(x) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    slope = -x * smooth / sigma**2
    return smooth / np.linalg.norm(smooth), slope / np.linalg.norm(slope)


def _magnitude(alpha: Floats, rows: slice, smooth: Floats, slope: Floats) -> Floats:
    """|∇α| of some rows."""
    reach = len(smooth) // 2
    start, stop = max(rows.start - reach, 0), min(rows.stop + reach, alpha.shape[0])
    strip = alpha[start:stop].astype(np.float64)
    across = cv2.sepFilter2D(strip, -1, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(strip, -1, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.magnitude(across, down)[rows.start - start : rows.stop - start])
