"""The prior's word against the refiner's: details are the refiner's business, what a whole region is is the prior's.

A network that sees a few dozen pixels cannot know what a region is. Where it moves the mean of one by much, it answers
the small copy's question, and worse; where by little, it cleans what the prior left between 0 and 1.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from uhrmat.shrink import shrunk_strips
from uhrmat.sparsity import upsampled_rows

MOVE = 0.015
"""A move of a region's mean that is kept to a share of 1 / e."""
_REGION = 64
"""Side of a region: two of so many parts of the short side."""
_STRIP = 256


def keep_means(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> None:
    """Undoes what a refiner did to the means of `alpha`, (H, W) float32, over the pixels `where`, (H, W) bool, in
    regions of the `prior`, (h, w) in [0, 1]: all of a large move, little of one below MOVE. In place, at those pixels.
    """
    shape = prior.shape[0], prior.shape[1]
    moved, share = _moved(alpha, where, prior), _shrunk(where, lambda first, last: where[first:last], shape)
    side = 2 * max(1, round(min(shape) / _REGION)) + 1
    sums, shares = (cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT) for x in (moved, share))
    mean = sums / np.maximum(shares, np.float32(1e-6))
    undone = mean * (1 - np.exp(-np.square(mean / MOVE)))
    for top in range(0, len(alpha), _STRIP):
        rows, inside = alpha[top : top + _STRIP], where[top : top + _STRIP]
        if inside.any():
            rows[inside] -= upsampled_rows(undone, alpha.shape, top, top + len(rows))[inside]


def _moved(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(h, w) float32: how far the alpha lies from the upsampled prior, 0 elsewhere, averaged over each small pixel."""

    def read(first: int, last: int) -> np.ndarray:
        inside = where[first:last]
        if not inside.any():
            return inside
        off = np.clip(alpha[first:last], 0, 1) - upsampled_rows(prior, alpha.shape, first, last)
        return np.where(inside, off, np.float32(0))

    return _shrunk(where, read, (prior.shape[0], prior.shape[1]))


def _shrunk(like: np.ndarray, read: Callable[[int, int], np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """`shape`, float32: what `read` gives for rows of an array (H, W) `like` this one, averaged."""
    size = like.shape[0], like.shape[1]
    strips = shrunk_strips(lambda first, last: read(first, last).astype(np.float32), size, shape)
    return np.concatenate([strip for _, strip in strips])
