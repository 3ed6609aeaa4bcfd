"""Unknown pixels tied to those that look alike, near or far: a matte can cross gaps that stop a local method.

Neighbours in colour and place were used by Chen, Li, Tang, "KNN Matting", CVPR 2012; beside the matting Laplacian of
Levin et al. in one energy, and among unknown pixels only, they are the "intra-U flow" of Aksoy, Aydin, Pollefeys,
CVPR 2017, §3.3. Numbers and weights here were chosen on photographs, see docs/quality.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

COUNT = 10
"""Neighbours of a pixel."""
NEAR = 0.03
"""Weight of a place, which goes from 0 to 1 across the picture, against colours in [0, 1]."""


def neighbour_laplacian(image: np.ndarray, unknown: np.ndarray) -> Any:
    """(n, n) sparse: x' A x is half the sum of w (x_i - x_j)² over all pairs (i, j) of the n unknown pixels, where the
    weights w of a pixel's neighbours sum to about 1 and are the same in both directions.

    image: (h, w, 3) in [0, 1]; unknown: (h, w) bool, with n ≥ 1 pixels set.
    """
    from pymatting.util.kdtree import knn
    from scipy import sparse

    features = _features(image, unknown)
    count = min(COUNT + 1, len(features))  # a pixel is its own neighbour, which says nothing
    _, found = knn(features, features, k=count)
    rows = np.repeat(np.arange(len(features)), count)
    ties = sparse.csr_matrix((np.full(len(rows), 1 / COUNT), (rows, found.ravel())), (len(features),) * 2)
    ties = (ties + ties.T) / 2
    return (sparse.diags(np.asarray(ties.sum(1)).ravel()) - ties).tocsr()


def _features(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """(n, 5) float32: colour and weighted place of every unknown pixel."""
    places = [NEAR * i / max(1, side - 1) for i, side in zip(np.nonzero(unknown), unknown.shape, strict=True)]
    return np.column_stack([image[unknown], *places]).astype(np.float32)
