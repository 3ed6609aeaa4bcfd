"""Non-local affinities between unknown pixels that look alike: number, symmetry, what they join, re-weighting."""

from __future__ import annotations

import numpy as np

from uhrmat.prior.closed_form.knn_affinities import KNN_DEFAULTS, KnnParams, knn_affinities, reweighted_laplacian


def _stripes() -> tuple[np.ndarray, np.ndarray]:
    """Two colours in alternating columns, with a little noise; all but the rim unknown."""
    rng = np.random.default_rng(1)
    image = np.zeros((24, 30, 3), np.float32)
    image[:, 1::2] = 0.8
    unknown = np.zeros(image.shape[:2], bool)
    unknown[2:-2, 2:-2] = True
    return image + rng.uniform(0, 0.05, image.shape).astype(np.float32), unknown


def _matrix(image: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """The Laplacian of the affinities, in full."""
    n = int(unknown.sum())
    return reweighted_laplacian(knn_affinities(image, unknown), np.zeros(n), np.inf)[0](np.eye(n))


def test_a_symmetric_laplacian() -> None:
    image, unknown = _stripes()
    result = _matrix(image, unknown)
    assert result.shape == (unknown.sum(),) * 2
    assert np.abs(result - result.T).max() < 1e-12
    assert np.abs(result.sum(1)).max() < 1e-12
    affinities = np.diag(np.diag(result)) - result
    assert affinities.min() >= 0 and abs(affinities.sum() / len(affinities) - 1) < 1e-6


def test_like_pixels_have_affinities_and_others_have_none() -> None:
    image, unknown = _stripes()
    bright = image[unknown][:, 0] > 0.4
    result = _matrix(image, unknown)
    assert not result[bright][:, ~bright].any()
    columns = np.nonzero(unknown)[1][bright]
    here, there = np.nonzero(result[bright][:, bright])
    assert np.abs(columns[here] - columns[there]).max() > 2  # another stripe of the colour, beyond one of the other


def test_fewer_pixels_than_neighbours() -> None:
    image, unknown = _stripes()
    unknown[:] = False
    unknown[5, 5:7] = True
    assert KNN_DEFAULTS.neighbours > 2
    result = _matrix(image, unknown)
    assert np.allclose(result, np.array([[1, -1], [-1, 1]]) * result[0, 0]) and result[0, 0] > 0
    unknown[5, 6] = False
    assert _matrix(image, unknown) == [[0]]


def test_affinities_that_a_solution_contradicts_fall() -> None:
    """Half the pixels of either colour at 0 and half at 1: affinities within a half stay, those between them go."""
    image, unknown = _stripes()
    affinities = knn_affinities(image, unknown)
    alpha = (np.arange(int(unknown.sum())) // 2 % 2).astype(np.float64)
    plain, held = (reweighted_laplacian(affinities, alpha, scale)[0](np.eye(len(alpha))) for scale in (np.inf, 0.1))
    assert np.abs(held - held.T).max() < 1e-12
    assert np.abs(held.sum(1)).max() < 1e-12
    joined = (plain != 0) & ~np.eye(len(alpha), dtype=bool)
    apart = joined & (alpha[:, None] != alpha)
    assert apart.sum() > 100 and (joined & ~apart).sum() > 100
    assert np.allclose(held[joined & ~apart], plain[joined & ~apart])
    assert np.abs(held[apart] / plain[apart]).max() < 0.01


def test_held_pixels_act_through_the_right_side() -> None:
    """The rows of the whole Laplacian, where all neighbours are mutual: pairs of pixels of one colour each."""
    image = np.repeat(np.linspace(0, 1, 12, dtype=np.float32), 2).reshape(2, 12, 1).repeat(3, 2)
    unknown, params = np.ones((2, 12), bool), KnnParams(neighbours=1)
    alpha = np.random.default_rng(2).random(24)
    solved = np.arange(24) % 2 == 0
    whole = reweighted_laplacian(knn_affinities(image, unknown, params), alpha, 0.3)[0](np.eye(24))
    part, from_held = reweighted_laplacian(
        knn_affinities(image, unknown, params, solved), alpha[solved], 0.3, alpha[~solved]
    )
    assert np.allclose(part(np.eye(12)), whole[solved][:, solved], atol=1e-9)
    assert np.allclose(from_held, -whole[solved][:, ~solved] @ alpha[~solved], atol=1e-9) and from_held.max() > 0.01
