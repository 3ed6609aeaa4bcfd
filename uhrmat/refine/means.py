"""The prior's word against the refiner's: details are the refiner's business, what a whole region is is the prior's.

A network that sees a few dozen pixels cannot know what a region is. Where it moves the mean of one by much, it answers
the small copy's question, and worse; where by little, it cleans what the prior left between 0 and 1. Where the prior is
settled all around, what a network adds is noise.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, nonempty_strips, upsampled_rows

MOVE = 0.015
"""A move of a region's mean that is kept to a share of 1 / e."""
_REGION = 64
"""Side of a region: two of so many parts of the short side."""


def restore_prior_mean(alpha: np.ndarray, active: np.ndarray, trimap: np.ndarray | None, prior: np.ndarray) -> None:
    """Restores the mean of the `prior` in every region, and the prior itself where it is certain. In place.

    `restore_region_means` and `restore_confident_prior` at the `active` pixels, (H, W) bool, that a `trimap`, (H, W)
    {0, 128, 255}, leaves unknown.
    """
    where = active if trimap is None else active & (trimap == 128)
    restore_region_means(alpha, where, prior)
    restore_confident_prior(alpha, where, prior)


def restore_region_means(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> None:
    """Undoes what a refiner did to the means of `alpha`, (H, W) float32, over the pixels `where`, (H, W) bool, in
    regions of the `prior`, (h, w) in [0, 1]: all of a large move, little of one below MOVE. In place, at those pixels.
    """
    side = 2 * max(1, round(min(prior.shape) / _REGION)) + 1
    moves, counts = (cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT) for x in _moves(alpha, where, prior))
    mean = moves / np.maximum(counts, np.float32(1e-6))
    undone = mean * (1 - np.exp(-np.square(mean / MOVE)))
    for rows in nonempty_strips(where):
        inside = where[rows]
        alpha[rows][inside] -= upsampled_rows(undone, alpha.shape, rows.start, rows.stop)[inside]


def restore_confident_prior(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> None:
    """Puts back the `prior`, (h, w), into `alpha`, (H, W) float32, in place, at those of the pixels `where`, (H, W)
    bool, where it is settled and leaves no pixel beside open: wholly within LOW of 0 or 1, less until twice that."""
    for rows in nonempty_strips(where):
        first, last = max(0, rows.start - 1), min(len(alpha), rows.stop + 1)
        word = upsampled_rows(prior, alpha.shape, first, last)
        share = np.clip(np.minimum(word, 1 - word) / SPATIAL_SPARSITY.low - 1, 0, 1)
        inner = slice(rows.start - first, rows.stop - first)
        share = cv2.dilate(share, np.ones((3, 3), np.uint8), borderValue=0)[inner]
        back = where[rows] & (share < 1)
        said = word[inner][back]
        alpha[rows][back] = said + share[back] * (alpha[rows][back] - said)


def _moves(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two of the prior's shape, float32: how far the alpha lies from the upsampled prior, summed over the pixels that
    lie in each small one, and how many they are."""
    (height, width), (h, w) = alpha.shape, prior.shape
    down, across = np.arange(height) * h // height, np.arange(width) * w // width
    moves, counts = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    for rows in nonempty_strips(where):
        inside = where[rows]
        first, last = down[rows.start], down[rows.stop - 1] + 1
        places = ((down[rows] - first) * w)[:, None] + across
        off = alpha[rows][inside].clip(0, 1) - upsampled_rows(prior, alpha.shape, rows.start, rows.stop)[inside]
        for found, weights in ((moves, off), (counts, None)):
            sums = np.bincount(places[inside], weights, (last - first) * w)
            found[first:last] += sums.reshape(-1, w).astype(np.float32)
    return moves, counts
