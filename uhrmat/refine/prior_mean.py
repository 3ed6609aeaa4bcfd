"""Mean restoration: a refined alpha keeps the prior's mean in every region, and the prior itself where it is certain.

A network with a receptive field of a few dozen pixels cannot tell what a whole region is; the prior can. Where the
network moves the mean of a region by much it is mostly wrong, where by little it corrects values that the prior left
between 0 and 1. Where the prior is certain all around, what a network adds is noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, nonempty_strips, upsampled_rows


@dataclass(frozen=True, kw_only=True)
class MeanRestorationParams:
    """Parameters of the mean restoration. Outputs depend on them, weights do not.

    Not tuned: `python -m benchmarks.quality` compared results with and without the restoration, not other values.

    Attributes:
        move: Move of a region's mean, in alpha, of which a share of 1 / e is kept; much larger ones are undone wholly.
        regions: Number that divides the prior's short side: a region is about 2 / `regions` of it wide.
    """

    move: float = 0.015
    regions: int = 64


MEAN_RESTORATION = MeanRestorationParams()


def restore_prior_mean(
    alpha: np.ndarray,
    active: np.ndarray,
    trimap: np.ndarray | None,
    prior: np.ndarray,
    params: MeanRestorationParams = MEAN_RESTORATION,
) -> None:
    """Restore the prior's mean in every region, and the prior itself where it is certain, in place.

    Args:
        alpha: Refined alpha, (H, W) float32.
        active: (H, W) bool, the refined pixels.
        trimap: (H, W) uint8 {0, 128, 255}, whose known pixels are left alone, or None.
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        params: How large a move is undone, in how large regions.
    """
    where = active if trimap is None else active & (trimap == 128)
    restore_region_means(alpha, where, prior, params)
    restore_confident_prior(alpha, where, prior)


def restore_region_means(
    alpha: np.ndarray, where: np.ndarray, prior: np.ndarray, params: MeanRestorationParams = MEAN_RESTORATION
) -> None:
    """Undo what a refiner did to the means of regions, in place: all of a large move, little of a small one.

    Args:
        alpha: Refined alpha, (H, W) float32.
        where: (H, W) bool, the pixels that are averaged and corrected.
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        params: How large a move is undone, in how large regions.
    """
    side = 2 * max(1, round(min(prior.shape) / params.regions)) + 1
    moves, counts = (cv2.blur(x, (side, side), borderType=cv2.BORDER_REFLECT) for x in _moves(alpha, where, prior))
    mean = moves / np.maximum(counts, np.float32(1e-6))
    undone = mean * (1 - np.exp(-np.square(mean / params.move)))
    for rows in nonempty_strips(where):
        inside = where[rows]
        alpha[rows][inside] -= upsampled_rows(undone, alpha.shape, rows.start, rows.stop)[inside]


def restore_confident_prior(
    alpha: np.ndarray, where: np.ndarray, prior: np.ndarray, low: float = SPATIAL_SPARSITY.low
) -> None:
    """Put the prior back where it is certain, in place.

    Args:
        alpha: Refined alpha, (H, W) float32.
        where: (H, W) bool, the pixels that may be changed.
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        low: Where the upsampled prior of a pixel and of its 8 neighbours lies within `low` of 0 or 1, the prior
            replaces the alpha wholly; from there to 2 · `low` its share falls to 0.
    """
    for rows in nonempty_strips(where):
        first, last = max(0, rows.start - 1), min(len(alpha), rows.stop + 1)
        upsampled = upsampled_rows(prior, alpha.shape, first, last)
        share = np.clip(np.minimum(upsampled, 1 - upsampled) / low - 1, 0, 1)
        inner = slice(rows.start - first, rows.stop - first)
        share = cv2.dilate(share, np.ones((3, 3), np.uint8), borderValue=0)[inner]
        back = where[rows] & (share < 1)
        certain = upsampled[inner][back]
        alpha[rows][back] = certain + share[back] * (alpha[rows][back] - certain)


def _moves(alpha: np.ndarray, where: np.ndarray, prior: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two of the prior's shape, float32: alpha minus upsampled prior, summed over the pixels that lie in each
    low-resolution pixel, and the number of these pixels."""
    (height, width), (h, w) = alpha.shape, prior.shape
    down, across = np.arange(height) * h // height, np.arange(width) * w // width
    moves, counts = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    for rows in nonempty_strips(where):
        inside = where[rows]
        first, last = down[rows.start], down[rows.stop - 1] + 1
        cells = ((down[rows] - first) * w)[:, None] + across
        off = alpha[rows][inside].clip(0, 1) - upsampled_rows(prior, alpha.shape, rows.start, rows.stop)[inside]
        for total, weights in ((moves, off), (counts, None)):
            sums = np.bincount(cells[inside], weights, (last - first) * w)
            total[first:last] += sums.reshape(-1, w).astype(np.float32)
    return moves, counts
