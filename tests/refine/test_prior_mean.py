"""The prior's mean of a region is restored after large moves; details and small moves are kept."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.refine.prior_mean import MEAN_RESTORATION, restore_confident_prior, restore_prior_mean, restore_region_means
from uhrmat.sparsity.spatial import upsampled_rows

SHAPE, SIZE = (64, 96), (256, 384)


@pytest.fixture
def prior() -> np.ndarray:
    """A soft ramp from 0.2 to 0.8."""
    return np.tile(np.linspace(0.2, 0.8, SHAPE[1], dtype=np.float32), (SHAPE[0], 1))


def refined(prior: np.ndarray, change: np.ndarray | float, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The upsampled prior, and what is left of `change` at the pixels `where` once the means are kept."""
    start = upsampled_rows(prior, SIZE, 0, SIZE[0])
    alpha = np.where(where, start + change, start).astype(np.float32)
    restore_region_means(alpha, where, prior)
    return start, alpha - start


def test_a_region_moved_by_much_is_moved_back(prior: np.ndarray) -> None:
    everywhere = np.ones(SIZE, bool)
    for move in (0.1, -0.15):
        assert np.abs(refined(prior, move, everywhere)[1]).max() < 1e-4


def test_a_region_moved_by_little_stays(prior: np.ndarray) -> None:
    left = refined(prior, MEAN_RESTORATION.move / 5, np.ones(SIZE, bool))[1]
    assert np.allclose(left, MEAN_RESTORATION.move / 5 * np.exp(-1 / 25), atol=1e-4)


def test_details_stay(prior: np.ndarray) -> None:
    stripes = np.where(np.arange(SIZE[1]) // 2 % 2, 0.1, -0.1).astype(np.float32)[None]
    left = refined(prior, stripes, np.ones(SIZE, bool))[1]
    assert np.abs(left - stripes)[20:-20, 20:-20].max() < 1e-3


def test_only_the_selected_pixels_change_and_count(prior: np.ndarray) -> None:
    where = np.zeros(SIZE, bool)
    where[40:60, 50:300] = True
    left = refined(prior, 0.1, where)[1]
    assert (left[~where] == 0).all() and np.abs(left[where]).max() < 0.01
    assert np.array_equal(refined(prior, 0.1, np.zeros(SIZE, bool))[1], np.zeros(SIZE, np.float32))


@pytest.mark.parametrize("shape", [(1, 1), SIZE, (255, 3)])
def test_priors_of_any_size(shape: tuple[int, int]) -> None:
    alpha = np.full(SIZE, 0.9, np.float32)
    restore_region_means(alpha, np.ones(SIZE, bool), np.full(shape, 0.5, np.float32))
    assert np.allclose(alpha, 0.5, atol=1e-4)


def test_the_certain_prior_is_restored_except_beside_uncertain_pixels() -> None:
    prior = np.zeros(SIZE, np.float32)
    prior[:, 200:] = 1
    prior[:, 198:200] = 0.5
    alpha, where = prior + np.float32(0.03), np.ones(SIZE, bool)
    where[:, 300:] = False
    restore_confident_prior(alpha, where, prior)
    changed = alpha != prior
    assert changed[:, 197:201].all() and changed[:, 300:].all()
    assert not changed[:, :197].any() and not changed[:, 201:300].any()


def test_strips_join_without_a_seam() -> None:
    prior = np.random.default_rng(3).random((80, 30), np.float32).round()
    start = upsampled_rows(prior, SIZE, 0, SIZE[0])
    alpha, part = start + np.float32(0.01), start + np.float32(0.01)
    restore_confident_prior(alpha, np.ones(SIZE, bool), prior)
    for rows in range(0, SIZE[0], 10):
        where = np.zeros(SIZE, bool)
        where[rows : rows + 10] = True
        restore_confident_prior(part, where, prior)
    assert np.array_equal(alpha, part) and 0 < (alpha == start).mean() < 1


def test_a_prior_that_changes_little_changes_little() -> None:
    """Between settled and open there is no step."""
    prior = np.linspace(0.005, 0.025, SIZE[1], dtype=np.float32)[None].repeat(SIZE[0], 0)
    alphas = []
    for nudge in (0, 1e-4):
        alphas.append(np.full(SIZE, 0.1, np.float32))
        restore_confident_prior(alphas[-1], np.ones(SIZE, bool), prior + np.float32(nudge))
    assert np.abs(alphas[0] - alphas[1]).max() < 2e-3
    assert np.allclose(alphas[0][:, 0], prior[:, 0]) and np.allclose(alphas[0][:, -1], 0.1)


def test_means_are_restored_in_the_unknown_region_only(prior: np.ndarray) -> None:
    start = upsampled_rows(prior, SIZE, 0, SIZE[0])
    trimap = np.full(SIZE, 128, np.uint8)
    trimap[:, : SIZE[1] // 2] = 255
    alpha = (start + 0.1).astype(np.float32)
    restore_prior_mean(alpha, np.ones(SIZE, bool), trimap, prior)
    left, right = (alpha - start)[:, : SIZE[1] // 2], (alpha - start)[:, SIZE[1] // 2 :]
    assert left == pytest.approx(0.1, abs=1e-5) and np.abs(right[:, 16:]).max() < 0.02
