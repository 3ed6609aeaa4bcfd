"""The matched filter of the chroma key: exact where the model holds, and blind to what the subject varies by."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.prior.chroma_key.matched_filter import covariance, diagonal, local_statistics, matched_alpha, sample

SCREEN, HAIR = np.float32([0.15, 0.7, 0.2]), np.float32([0.4, 0.25, 0.15])
FLOOR = diagonal(1e-6)


def spread_along(colour: np.ndarray, deviation: float) -> np.ndarray:
    """(6,) covariance of colours that vary along one direction."""
    return covariance(np.float32([deviation * colour, -deviation * colour]))


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.7, 1.0])
def test_alpha_is_exact_whatever_the_brightness_of_the_hair(alpha: float) -> None:
    shades = np.float32([0.5, 1.0, 1.6])[:, None] * HAIR
    pixels = alpha * shades + (1 - alpha) * SCREEN
    rest = np.broadcast_to(SCREEN, (3, 3)), np.broadcast_to(HAIR, (3, 3))
    spread = np.broadcast_to(spread_along(HAIR, 3.0) + FLOOR, (3, 6))
    start = np.full(3, 0.5, np.float32)
    assert matched_alpha(pixels, *rest, spread, FLOOR, start, 3)[0] == pytest.approx(alpha, abs=0.01)
    if alpha > 0:
        stiff, _ = matched_alpha(pixels, *rest, np.broadcast_to(FLOOR, (3, 6)), FLOOR, start, 3)
        assert np.abs(stiff - alpha).max() > 0.03 * alpha


def test_the_channel_with_the_least_noise_counts_most() -> None:
    noise = covariance(np.float32([[0.2, 0, 0], [0, 0.2, 0], [0, 0, 1e-3]]) * 3**0.5) + FLOOR
    mean = np.float32([[0.1, 0.1, 0.8]])
    pixel = 0.3 * mean + 0.7 * SCREEN + np.float32([0.1, -0.1, 0])
    none = np.zeros((1, 6), np.float32)
    alpha, _ = matched_alpha(pixel, SCREEN[None], mean, none, noise, np.float32([0.5]), 1)
    assert alpha[0] == pytest.approx(0.3, abs=0.005)
    even, _ = matched_alpha(pixel, SCREEN[None], mean, none, diagonal(0.01), np.float32([0.5]), 1)
    assert abs(even[0] - 0.3) > 0.05


def test_a_colour_of_neither_screen_nor_subject_does_not_fit() -> None:
    pixels = np.float32([0.5 * HAIR + 0.5 * SCREEN, [0.2, 0.3, 0.9]])
    rest = np.broadcast_to(SCREEN, (2, 3)), np.broadcast_to(HAIR, (2, 3))
    spread = np.broadcast_to(spread_along(HAIR, 0.3) + FLOOR, (2, 6))
    _, misfit = matched_alpha(pixels, *rest, spread, diagonal(1e-3), np.full(2, 0.5, np.float32), 3)
    assert misfit[0] < 1 and misfit[1] > 50


def test_statistics_are_those_of_the_chosen_pixels_nearby() -> None:
    rng = np.random.default_rng(0)
    picture = np.empty((64, 96, 3), np.float32)
    picture[:, :48] = rng.normal([0.2, 0.3, 0.4], 0.05, (64, 48, 3))
    picture[:, 48:] = rng.normal([0.7, 0.5, 0.1], 0.01, (64, 48, 3))
    where = np.zeros((64, 96), bool)
    where[:, :32] = where[:, 64:] = True
    picture[~where] = 1
    mean, spread = local_statistics(picture, where, 4, 1.5)
    assert mean.shape == (16, 24, 3) and spread.shape == (16, 24, 6)
    left, right = np.zeros_like(where), np.zeros_like(where)
    left[32, 10] = right[32, 85] = True
    assert sample(mean, (64, 96), left)[0] == pytest.approx([0.2, 0.3, 0.4], abs=0.03)
    assert sample(mean, (64, 96), right)[0] == pytest.approx([0.7, 0.5, 0.1], abs=0.01)
    variances = spread[..., [0, 3, 5]]
    assert variances[8, 2] == pytest.approx(0.0025, rel=0.5) and variances[8, 21] == pytest.approx(1e-4, rel=0.5)
    gap = np.zeros_like(where)
    gap[32, 36] = True
    assert sample(mean, (64, 96), gap)[0] == pytest.approx([0.2, 0.3, 0.4], abs=0.06)


def test_covariance_of_nothing_is_zero() -> None:
    assert (covariance(np.zeros((0, 3), np.float32)) == 0).all()
    assert covariance(np.float32([[1, 2, 0], [-1, -2, 0]])) == pytest.approx([1, 2, 0, 4, 0, 0])
