"""Ties between unknown pixels that look alike: their number, their symmetry, what they join."""

from __future__ import annotations

import numpy as np

from uhrmat.prior import neighbours
from uhrmat.prior.neighbours import neighbour_laplacian


def _stripes() -> tuple[np.ndarray, np.ndarray]:
    """Two colours in alternating columns, with a little noise; all but the rim unknown."""
    rng = np.random.default_rng(1)
    image = np.zeros((24, 30, 3), np.float32)
    image[:, 1::2] = 0.8
    unknown = np.zeros(image.shape[:2], bool)
    unknown[2:-2, 2:-2] = True
    return image + rng.uniform(0, 0.05, image.shape).astype(np.float32), unknown


def test_a_symmetric_laplacian() -> None:
    image, unknown = _stripes()
    found = neighbour_laplacian(image, unknown)
    assert found.shape == (unknown.sum(),) * 2
    assert abs(found - found.T).max() < 1e-12
    assert np.abs(found @ np.ones(found.shape[0])).max() < 1e-12
    ties = -found.toarray()
    np.fill_diagonal(ties, 0)
    assert ties.min() >= 0 and abs(ties.sum() / len(ties) - 1) < 1e-6


def test_like_pixels_are_tied_and_others_are_not() -> None:
    image, unknown = _stripes()
    bright = image[unknown][:, 0] > 0.4
    found = neighbour_laplacian(image, unknown)
    assert found[bright][:, ~bright].nnz == 0
    rows, columns = np.nonzero(unknown)
    where = found[bright][:, bright].tocoo()
    far = np.abs(columns[bright][where.row] - columns[bright][where.col])
    assert far.max() > 2  # another stripe of the colour, beyond one of the other


def test_fewer_pixels_than_neighbours() -> None:
    image, unknown = _stripes()
    unknown[:] = False
    unknown[5, 5:7] = True
    assert neighbours.COUNT > 2
    found = neighbour_laplacian(image, unknown).toarray()
    assert np.allclose(found, np.array([[1, -1], [-1, 1]]) * found[0, 0]) and found[0, 0] > 0
    unknown[5, 6] = False
    assert neighbour_laplacian(image, unknown).toarray() == [[0]]
