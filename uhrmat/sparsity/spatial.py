"""Which pixels are computed: spatial sparsity, as pure functions.

SparseMat §3.2: a pixel is active where the prior is neither sure of foreground nor of background, widened by a max
pooling of K pixels. With a trimap its unknown region is active, widened likewise so that the refiner sees known colours
beside it.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

LOW, HIGH = 0.01, 0.99
"""A prior alpha between these is open (SparseMat, Eq. 1)."""
K = 15
"""Side of the max pooling, in full-resolution pixels: +-7."""


def trimap_band(trimap: np.ndarray, k: int = K) -> np.ndarray:
    """(H, W) bool: the unknown region (128) of a trimap {0, 128, 255}, widened by k // 2 pixels."""
    return widen(trimap == 128, k)


def widen(mask: np.ndarray, k: int = K) -> np.ndarray:
    """(H, W) bool: max pooling of a bool mask over k x k pixels, k odd; at the border over what there is."""
    if k <= 1:
        return mask.astype(bool)
    flags = mask.view(np.uint8) if mask.dtype == bool else mask.astype(np.uint8)
    return cv2.dilate(flags, np.ones((k, k), np.uint8), borderValue=0).view(bool)


def open_prior(alpha: np.ndarray, size: tuple[int, int], k: int = K, rows: int = 1024) -> np.ndarray:
    """(H, W) bool: where the prior (h, w) float32, upsampled to `size`, lies in (LOW, HIGH), widened by k // 2.

    Works in strips of `rows` rows: the upsampled prior is never held whole.
    """
    height, width = size
    found = np.zeros(size, bool)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = upsampled_rows(alpha, size, top, bottom)
        found[top:bottom] = (strip > LOW) & (strip < HIGH)
    return widen(found, k)


def still_open(active: np.ndarray, prior: np.ndarray, refined: bool) -> np.ndarray:
    """(H, W) bool: all of `active` where the prior (h, w) is only a prior; where it is a refined result, what that left
    open."""
    return active & open_prior(prior, active.shape[:2]) if refined else active


def upsampled_rows(alpha: np.ndarray, size: tuple[int, int], top: int, bottom: int) -> np.ndarray:
    """Rows top to bottom of a map (h, w) enlarged bilinearly to `size` (pixel centres aligned, edges repeated)."""
    height, width = size
    place = np.clip((np.arange(top, bottom) + 0.5) * alpha.shape[0] / height - 0.5, 0, alpha.shape[0] - 1)
    low = place.astype(np.int64)
    share = (place - low).astype(np.float32)[:, None]
    high = np.minimum(low + 1, alpha.shape[0] - 1)
    rows = alpha[low] * (1 - share) + alpha[high] * share
    return cv2.resize(rows.astype(np.float32), (width, bottom - top), interpolation=cv2.INTER_LINEAR)


def filled_strips(mask: np.ndarray, rows: int = 256) -> Iterator[slice]:
    """Strips of a mask's (H, W) rows, top to bottom, that hold something."""
    for top in range(0, len(mask), rows):
        strip = slice(top, min(top + rows, len(mask)))
        if mask[strip].any():
            yield strip
