"""Distances to the edge of a region."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.media.distance import distance_to_edge


def test_distances_are_exact_and_the_same_at_every_call() -> None:
    region = np.random.default_rng(2).uniform(0, 1, (61, 83)) < 0.995
    ys, xs = np.mgrid[:61, :83]
    squares = np.min([(ys - y) ** 2 + (xs - x) ** 2 for y, x in np.argwhere(~region)], axis=0)
    assert squares.max() > 200
    for shift in range(8):  # wherever the array lies in memory
        space = np.empty(region.size + shift, bool)[shift:].reshape(region.shape)
        space[:] = region
        assert np.array_equal(distance_to_edge(space), np.sqrt(squares))


@pytest.mark.parametrize(("value", "expected"), [(True, np.inf), (False, 0.0)])
def test_a_region_without_an_edge(value: bool, expected: float) -> None:
    assert (distance_to_edge(np.full((3, 4), value)) == expected).all()
