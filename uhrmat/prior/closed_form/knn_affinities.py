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
_NONE = np.empty(0)


@dataclass(frozen=True)
class Affinities:
    """Affinities of the m unknown pixels that are solved; those of all others are held. Of n pixels, k are held.

    Attributes:
        inner: (m, m) scipy matrix in CSR, symmetric: to each other.
        outer: (m, k) scipy matrix in CSR: to those that are held.
    """

    inner: Any
    outer: Any


def knn_affinities(
    image: np.ndarray, unknown: np.ndarray, params: KnnParams = KNN_DEFAULTS, solved: np.ndarray | None = None
) -> Affinities:
    """Affinities between each unknown pixel that is solved and its nearest neighbours in colour and position.

    Args:
        image: (h, w, 3) float in [0, 1].
        unknown: (h, w) bool, with n ≥ 1 pixels set.
        params: number of neighbours and what counts as near.
        solved: (n,) bool, which of the unknown pixels are solved; None: all.

    Returns:
        The affinities to a pixel's neighbours sum to about 1. For a held neighbour they count as if both had chosen
        each other.
    """
    from pymatting.util.kdtree import knn
    from scipy import sparse

    features = knn_features(image, unknown, params.position_weight)
    n = len(features)
    solved = np.ones(n, bool) if solved is None else solved
    m = int(solved.sum())
    count = min(params.neighbours + 1, n)  # the nearest neighbour of a pixel is itself
    _, neighbours = knn(features, features if m == n else np.ascontiguousarray(features[solved]), k=count)
    values = np.full(m * count, 0.5 / params.neighbours)
    affinities = sparse.csr_matrix((values, np.ravel(neighbours), count * np.arange(m + 1)), (m, n))
    inner = affinities if m == n else affinities[:, solved]
    return Affinities((inner + inner.T).tocsr(), (2 * affinities[:, ~solved]).tocsr())


def reweighted_laplacian(
    affinities: Affinities, alpha: np.ndarray, scale: float, held: np.ndarray = _NONE
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """The Laplacian A of affinities that a solution does not contradict: x' A x is half the sum of w (x_i - x_j)².

    One step of iteratively re-weighted least squares with the robust function of Geman and McClure (1987): hair and the
    twigs behind it may have one colour, but not one alpha.

    Args:
        affinities: of `knn_affinities`.
        alpha: (m,) float64, a solution of the pixels that are solved.
        scale: difference of alpha at which an affinity falls to a quarter; infinite leaves all as they are.
        held: (k,) float64, the alpha of those that are held.

    Returns:
        A function that multiplies (m,) or (m, c) by the part of A of the pixels that are solved; and (m,) float64, what
        those that are held add to the right side.
    """
    inner, outer = (
        _reweighted(part, alpha, to, scale) for part, to in ((affinities.inner, alpha), (affinities.outer, held))
    )
    total = np.asarray(inner.sum(1)).ravel() + np.asarray(outer.sum(1)).ravel()
    return lambda x: (total * x.T).T - inner @ x, outer @ held


def _reweighted(affinities: Any, alpha: np.ndarray, to: np.ndarray, scale: float) -> Any:
    """Affinities (m, c) between pixels of solutions (m,) and (c,), each less the more these differ."""
    weights = affinities.copy()
    apart = (np.repeat(alpha, np.diff(weights.indptr)) - to[weights.indices]) / scale
    weights.data /= (1 + apart * apart) ** 2
    return weights


def knn_features(image: np.ndarray, unknown: np.ndarray, position_weight: float) -> np.ndarray:
    """(n, 5) float32: colour and weighted position of every unknown pixel."""
    places = [
        position_weight * i / max(1, side - 1) for i, side in zip(np.nonzero(unknown), unknown.shape, strict=True)
    ]
    return np.column_stack([image[unknown], *places]).astype(np.float32)
