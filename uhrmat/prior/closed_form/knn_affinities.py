"""Unknown pixels tied to those that look alike, near or far: a matte can cross gaps that stop a local method.

Neighbours in colour and place were used by Chen, Li, Tang, "KNN Matting", CVPR 2012; beside the matting Laplacian of
Levin et al. in one energy, and among unknown pixels only, they are the "intra-U flow" of Aksoy, Aydin, Pollefeys,
CVPR 2017, §3.3. Numbers and weights here were chosen on photographs, see docs/research/prior.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

COUNT = 10
"""Neighbours of a pixel."""
NEAR = 0.03
"""Weight of a place, which goes from 0 to 1 across the picture, against colours in [0, 1]."""


def knn_affinities(image: np.ndarray, unknown: np.ndarray) -> Any:
    """Ties of the n unknown pixels: (n, n) sparse in CSR, symmetric; those to a pixel's neighbours sum to about 1.

    image: (h, w, 3) in [0, 1]; unknown: (h, w) bool, with n ≥ 1 pixels set.
    """
    from pymatting.util.kdtree import knn
    from scipy import sparse

    features = _features(image, unknown)
    n = len(features)
    count = min(COUNT + 1, n)  # a pixel is its own neighbour, which says nothing
    _, found = knn(features, features, k=count)
    ties = sparse.csr_matrix((np.full(n * count, 0.5 / COUNT), np.ravel(found), count * np.arange(n + 1)), (n, n))
    return (ties + ties.T).tocsr()


def reweighted_laplacian(ties: Any, alpha: np.ndarray, spread: float) -> Callable[[np.ndarray], np.ndarray]:
    """What multiplies (n,) or (n, k) by A: x' A x is half the sum of w (x_i - x_j)² over all pairs.

    ties: of `knn_affinities`; alpha: (n,), a solution. The weights w of ties that it contradicts fall as Geman and
    McClure's (1987) do, to a quarter at a difference of `spread`: hair and the twigs behind it may have one colour.
    One step of iteratively reweighted least squares; with an infinite `spread` the ties stay as they are.
    """
    kept = ties.copy()
    apart = (np.repeat(alpha, np.diff(kept.indptr)) - alpha[kept.indices]) / spread
    kept.data /= (1 + apart * apart) ** 2
    total = np.asarray(kept.sum(1)).ravel()
    return lambda x: (total * x.T).T - kept @ x


def _features(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(n, 5) float32: colour and weighted place of every unknown pixel."""
    places = [NEAR * i / max(1, side - 1) for i, side in zip(np.nonzero(unknown), unknown.shape, strict=True)]
    return np.column_stack([image[unknown], *places]).astype(np.float32)
