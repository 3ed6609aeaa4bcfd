"""The mask is combine_with_mask where colours say nothing, the solution where they do."""

from __future__ import annotations

import numpy as np

from uhrmat.video.evidence import colour_support, combine_with_mask

MASK = np.zeros((60, 80), np.float32)
MASK[:, :40] = 1
NOISE = np.random.default_rng(0).normal(0, 0.03, (60, 80, 3)).astype(np.float32)


def test_without_contrast_the_mask_decides() -> None:
    leaked = np.where(np.arange(80) < 30, 1, 0).astype(np.float32) * np.ones((60, 1), np.float32)
    result = combine_with_mask(0.5 + NOISE, leaked, MASK, 0.9)
    assert colour_support(0.5 + NOISE, leaked, MASK)[:, 28:52].max() < 0.5
    assert result[:, 32:38].mean() > 0.8 and (result[:, 32:38] > 0.5).all()


def test_hair_before_the_sky_stays() -> None:
    truth = MASK.copy()
    truth[30, 40:43] = 0.8
    small = 0.9 - 0.7 * truth[..., None] + 0.3 * NOISE
    result = combine_with_mask(small, truth, MASK, 0.9)
    assert np.abs(result - truth)[30, 40:43].max() < 0.15


def test_where_both_agree_nothing_changes() -> None:
    assert np.allclose(combine_with_mask(0.5 + NOISE, MASK, MASK, 0.9), MASK)
