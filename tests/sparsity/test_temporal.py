"""Temporal sparsity as pure functions."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.sparsity.temporal import (
    TEMPORAL_SPARSITY,
    changed_pixels,
    fuse_temporal,
    is_cut,
    noise_level,
    noise_samples,
    noise_scale,
    temporal_mask,
    thresholds,
    thumbnail,
)

SIZE = (24, 40)


def grey(level: float, dtype: type = np.uint8) -> np.ndarray:
    return np.full((*SIZE, 3), level, dtype)


def everywhere(value: bool = True) -> np.ndarray:
    return np.full(SIZE, value)


def test_a_change_of_one_channel_counts_from_the_threshold_on() -> None:
    now, then = grey(100), grey(100)
    now[3, 4, 1], now[5, 6, 2] = 112, 113  # 0.05 of 255 is 12.75
    result = changed_pixels(now, then, 0.025, 0.05, everywhere(False), everywhere())
    assert np.argwhere(result).tolist() == [[5, 6]]


def test_changes_to_the_dark_count_like_changes_to_the_light() -> None:
    assert changed_pixels(grey(80), grey(100), 0.05, 0.05, everywhere(False), everywhere()).all()


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_every_stored_type_has_the_same_threshold(dtype: type, full: float) -> None:
    then = grey(0.4 * full, dtype)
    for step, expected in ((0.03, False), (0.07, True)):
        now = grey((0.4 + step) * full, dtype)
        assert changed_pixels(now, then, 0.05, 0.05, everywhere(False), everywhere()).all() == expected


def test_scene_linear_pixels_are_compared_as_a_screen_shows_them() -> None:
    dark, bright = grey(0.001, np.float32), grey(0.01, np.float32)
    assert changed_pixels(dark, bright, 0.05, 0.05, everywhere(False), everywhere(), linear=True).all()
    assert not changed_pixels(dark, bright, 0.05, 0.05, everywhere(False), everywhere()).any()


def test_hysteresis_holds_what_was_computed_in_the_frame_before() -> None:
    held = everywhere(False)
    held[:, :10] = True
    result = changed_pixels(grey(108), grey(100), 0.025, 0.05, held, everywhere())
    assert (result == held).all()
    assert not changed_pixels(grey(106), grey(100), 0.025, 0.05, held, everywhere()).any()


def test_nothing_is_looked_at_outside_the_band() -> None:
    band = everywhere(False)
    band[2:5, 2:5] = True
    assert (changed_pixels(grey(200), grey(0), 0.05, 0.05, everywhere(), band) == band).all()


def test_thresholds_lie_above_the_noise() -> None:
    assert thresholds(0.05, 0.0)[1] < 1 / 255, "without noise every change is the subject's"
    assert thresholds(0.05, 0.5 / 255) == pytest.approx((0.0133, 0.0265), abs=1e-4)
    assert thresholds(0.05, 1.1 / 255) == pytest.approx((0.0259, 0.05), abs=1e-4)
    assert thresholds(0.09, 2 / 255)[1] == 0.09, "a higher one that the user gave"
    low, high = thresholds(0.05, 0.02)
    assert low == high == pytest.approx(TEMPORAL_SPARSITY.sigmas * 0.02)


def test_small_limits_fall_with_the_noise() -> None:
    assert noise_scale(0.0) == pytest.approx(0.06) and noise_scale(1.1 / 255) == 1
    assert 0.1 < noise_scale(0.25 / 255) < noise_scale(0.8 / 255) < 1


def test_what_moved_is_widened_within_the_band_and_the_new_is_always_active() -> None:
    moved, band, never = everywhere(False), everywhere(), everywhere(False)
    moved[10, 20] = never[0, 0] = True
    band[:, 22:] = False
    result = temporal_mask(band, moved, never, kernel=5)
    expected = everywhere(False)
    expected[8:13, 18:22] = expected[0, 0] = True
    assert (result == expected).all()


def test_fusion_is_equation_two() -> None:
    rng = np.random.default_rng(0)
    prior, last, new = rng.random((3, *SIZE), dtype=np.float32)
    spatial = rng.random(SIZE) < 0.5
    active = spatial & (rng.random(SIZE) < 0.5)
    alpha = np.where(active, new, prior)
    fuse_temporal(alpha, last, spatial, active)
    m, s = active.astype(np.float32), spatial.astype(np.float32)
    assert np.allclose(alpha, (1 - m) * (1 - s) * prior + (1 - m) * s * last + m * new)


@pytest.mark.parametrize("sigma", [0.0, 1.0, 2.0, 4.0])
def test_noise_is_measured_on_a_still_scene(sigma: float) -> None:
    rng = np.random.default_rng(1)
    scene = rng.uniform(40, 200, (96, 128, 3))
    pair = [np.rint(scene + sigma * rng.standard_normal(scene.shape)).astype(np.uint8) for _ in range(2)]
    result = 255 * noise_level(*(noise_samples(frame) for frame in pair))
    assert result == pytest.approx(sigma, abs=0.1 + 0.1 * sigma)


def test_motion_is_not_taken_for_noise() -> None:
    rng = np.random.default_rng(2)
    ramp = np.broadcast_to(np.linspace(0, 200, 256)[None, :, None], (96, 256, 3))
    pair = [np.rint(ramp[:, x : x + 192] + rng.standard_normal((96, 192, 3))).astype(np.uint8) for x in (0, 40)]
    assert 255 * noise_level(*(noise_samples(frame) for frame in pair)) == pytest.approx(1.0, abs=0.3)


def test_noise_of_tiny_pictures() -> None:
    assert noise_level(*(noise_samples(np.full((1, 2, 3), v, np.uint8)) for v in (10, 10))) == 0


def test_a_cut_is_a_large_and_unusual_change() -> None:
    rng = np.random.default_rng(3)
    one, other = (
        thumbnail(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)) for _ in range(2)
    )
    assert is_cut(one, other, 0.0) and not is_cut(one, one, 0.0)
    assert not is_cut(one, other, 0.1)  # the whole clip jumps about like this
    assert not is_cut(one, one * 0.95, 0.0)
