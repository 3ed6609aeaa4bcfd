"""Non-local affinities between unknown pixels that look alike: alpha can cross gaps that stop a local method.

Neighbours in colour and position are those of Chen, Li, Tang, "KNN Matting", TPAMI 2013,
https://doi.org/10.1109/TPAMI.2013.18. Beside the matting Laplacian in one energy, and among unknown pixels only, they
are the "intra-unknown" flow of Aksoy, Aydin, Pollefeys, "Designing Effective Inter-Pixel Information Flow for Natural
Image Matting", CVPR 2017, §3.3, https://arxiv.org/abs/1707.05055. Here they are re-weighted between solutions (IRLS).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class KnnParams:
    """Parameters of the non-local affinities.

    Attributes:
        neighbours: nearest neighbours of a pixel. More cost time. Chosen on photographs (`python -m benchmarks.quality
            low`).
        position_weight: weight of a pixel's position, which goes from 0 to 1 across the picture, against colours in
            [0, 1]. A larger one prefers near pixels. Chosen on photographs by the same command.
    """

    neighbours: int = 10
    position_weight: float = 0.03


KNN_DEFAULTS = KnnParams()


def knn_affinities(image: np.ndarray, unknown: np.ndarray, params: KnnParams = KNN_DEFAULTS) -> Any:
    """Affinities between each unknown pixel and its nearest neighbours in colour and position.

    Args:
        image: (h, w, 3) float in [0, 1].
        unknown: (h, w) bool, with n ≥ 1 pixels set.
        params: number of neighbours and what counts as near.

    Returns:
        (n, n) scipy matrix in CSR, symmetric; the affinities to a pixel's neighbours sum to about 1.
    """
    from pymatting.util.kdtree import knn
    from scipy import sparse

    features = _features(image, unknown, params.position_weight)
    n = len(features)
    count = min(params.neighbours + 1, n)  # the nearest neighbour of a pixel is itself
    _, neighbours = knn(features, features, k=count)
    values = np.full(n * count, 0.5 / params.neighbours)
    affinities = sparse.csr_matrix((values, np.ravel(neighbours), count * np.arange(n + 1)), (n, n))
    return (affinities + affinities.T).tocsr()


def reweighted_laplacian(affinities: Any, alpha: np.ndarray, scale: float) -> Callable[[np.ndarray], np.ndarray]:
    """The Laplacian A of affinities that a solution does not contradict: x' A x is half the sum of w (x_i - x_j)².

    One step of iteratively re-weighted least squares with the robust function of Geman and McClure (1987): hair and the
    twigs behind it may have one colour, but not one alpha.

    Args:
        affinities: of `knn_affinities`.
        alpha: (n,) float64, a solution.
        scale: difference of alpha at which an affinity falls to a quarter; infinite leaves all as they are.

    Returns:
        A function that multiplies (n,) or (n, k) by A.
    """
    weights = affinities.copy()
    apart = (np.repeat(alpha, np.diff(weights.indptr)) - alpha[weights.indices]) / scale
    weights.data /= (1 + apart * apart) ** 2
    total = np.asarray(weights.sum(1)).ravel()
    return lambda x: (total * x.T).T - weights @ x


def _features(image: np.ndarray, unknown: np.ndarray, position_weight: float) -> np.ndarray:
    """(n, 5) float32: colour and weighted position of every unknown pixel."""
    places = [
        position_weight * i / max(1, side - 1) for i, side in zip(np.nonzero(unknown), unknown.shape, strict=True)
    ]
    return np.column_stack([image[unknown], *places]).astype(np.float32)
