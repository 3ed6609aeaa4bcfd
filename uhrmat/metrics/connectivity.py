"""Conn, the connectivity error: how loosely each pixel is connected to what is opaque in both mattes.

Rhemann, Rother, Wang, Gelautz, Kohli, Rott: "A Perceptually Motivated Online Benchmark for Image Matting", CVPR 2009,
https://doi.org/10.1109/CVPR.2009.5206503. At each level t = 0.1, 0.2 … 1.0, Ω_t is the largest 4-connected component
of {p ≥ t and g ≥ t}. l(x) is the last level before the first that x does not belong to. φ(a) = 1 − d where d = a − l(x)
is at least 0.15, else 1.

    Conn = Σ |φ(p) − φ(g)|
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from uhrmat.metrics.arrays import Floats, Mask, strips

LEVELS = 10
"""Levels of alpha, 0.1 apart, as evaluation scripts commonly take them."""
THETA = 0.15
"""Difference of alpha from the last level below which a pixel counts as connected (θ of the paper)."""
Bytes = NDArray[np.uint8]


def connectivity_error(pred: Floats, truth: Floats, region: Mask | None = None) -> float:
    """Conn, unscaled.

    Of components of one size the first in reading order counts as the largest. Beside the arguments it holds about 2
    bytes per pixel, and 6 per pixel of the bounding box of what is at least 0.1 in both.

    Args:
        pred: (H, W) float32 in [0, 1].
        truth: The same, the ground truth.
        region: (H, W) bool, or None for the whole picture.

    Returns:
        Sum over the region.
    """
    connected = _connected_levels(_common_level(pred, truth))
    total = 0.0
    for rows in strips(pred.shape[0]):
        last = connected[rows].astype(np.float32) / np.float32(LEVELS)
        error = np.abs(_detached(pred[rows], last) - _detached(truth[rows], last))
        total += float((error if region is None else error[region[rows]]).sum(dtype=np.float64))
    return total


def _detached(alpha: Floats, last: Floats) -> Floats:
    """1 - φ of each pixel."""
    distance = alpha - last
    distance[distance < np.float32(THETA)] = 0
    return distance


def _common_level(pred: Floats, truth: Floats) -> Bytes:
    """The number of levels that both alphas reach, 0..10. Levels are rounded as the alphas are: 153/255 reaches 0.6."""
    steps = np.arange(1, LEVELS + 1, dtype=np.float32) / np.float32(LEVELS)
    common = np.empty(pred.shape, np.uint8)
    for rows in strips(pred.shape[0]):
        both = np.minimum(pred[rows], truth[rows])
        count = np.zeros(both.shape, np.uint8)
        for step in steps:
            count += both >= step
        common[rows] = count
    return common


def _connected_levels(common: Bytes) -> Bytes:
    """For each pixel the number of consecutive levels from the first on whose largest component holds it, 0..10."""
    connected = np.zeros(common.shape, np.uint8)
    inside = _bounds(common, 1)
    for level in range(1, LEVELS + 1):
        largest = _largest(common[inside], level)
        if largest is None:
            break
        box, mask = largest
        part = connected[inside][box]
        part[mask & (part == level - 1)] = level
    return connected


def _bounds(common: Bytes, level: int) -> tuple[slice, slice]:
    """Bounding box of the pixels that reach a level; empty where none does."""
    reached = common >= level
    rows, columns = np.flatnonzero(reached.any(1)), np.flatnonzero(reached.any(0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _largest(common: Bytes, level: int) -> tuple[tuple[slice, slice], Mask] | None:
    """Bounding box and mask within it of the largest component of {common ≥ level}; None where nothing reaches it."""
    reached = (common >= level).view(np.uint8)
    if not reached.any():
        return None
    _, labels, stats, _ = cv2.connectedComponentsWithStats(reached, connectivity=4, ltype=cv2.CV_32S)
    label = _first_of_largest(labels, stats)
    left, top, width, height = stats[label, : cv2.CC_STAT_AREA]
    box = slice(int(top), int(top + height)), slice(int(left), int(left + width))
    return box, np.asarray(labels[box] == label)


def _first_of_largest(labels: NDArray[np.int32], stats: NDArray[np.int32]) -> int:
    """Label of the largest component; of several of one size the first in reading order."""
    areas = stats[1:, cv2.CC_STAT_AREA]
    tied = 1 + np.flatnonzero(areas == areas.max())
    # OpenCV's order of labels is not specified: the first in reading order decides.
    tops = stats[tied, cv2.CC_STAT_TOP]
    first = tied[tops == tops.min()]
    return min((_first_column(labels, stats[label], int(label)), int(label)) for label in first)[1]


def _first_column(labels: NDArray[np.int32], stat: NDArray[np.int32], label: int) -> int:
    """The component's first column in its top row."""
    left, top, width = (int(v) for v in stat[: cv2.CC_STAT_HEIGHT])
    return left + int(np.argmax(labels[top, left : left + width] == label))
