"""Measures of each pixel and its gradient: sums of differences, and the Grad of Rhemann et al. 2009.

All take alphas float32 (H, W) in [0, 1] and a bool region (H, W), None for the whole picture; no figure is scaled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.metrics.arrays import Floats, Mask, strips

SIGMA = 1.4
_TAIL = 1e-2  # the filter ends where the Gaussian falls below this


@dataclass(frozen=True)
class Differences:
    """Sums over the region: |p − g|, (p − g)², and the number of pixels."""

    absolute: float
    squared: float
    pixels: int


def differences(pred: Floats, truth: Floats, region: Mask | None = None) -> Differences:
    """Both sums in one pass; SAD is `absolute`, MAD and MSE are the sums by `pixels`."""
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
    """Σ (|∇p| − |∇g|)², ∇ by first derivatives of a Gaussian of `sigma`, normalised to unit energy, border repeated."""
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
    reach = len(smooth) // 2
    start, stop = max(rows.start - reach, 0), min(rows.stop + reach, alpha.shape[0])
    strip = alpha[start:stop].astype(np.float64)
    across = cv2.sepFilter2D(strip, -1, slope, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(strip, -1, smooth, slope, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.magnitude(across, down)[rows.start - start : rows.stop - start])
