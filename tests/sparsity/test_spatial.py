"""Sparsity masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from uhrmat.sparsity.spatial import (
    SPATIAL_SPARSITY,
    SpatialSparsityParams,
    dilate,
    nonempty_strips,
    spatial_mask,
    trimap_from_scribbles,
    trimap_mask,
    upsampled_rows,
)


def test_one_unknown_pixel_opens_a_square_of_k() -> None:
    trimap = np.zeros((40, 40), np.uint8)
    trimap[20, 10] = 128
    band = trimap_mask(trimap)
    assert band.sum() == SPATIAL_SPARSITY.kernel**2 and band[13:28, 3:18].all()


def test_dilation_is_max_pooling() -> None:
    mask = np.random.default_rng(0).random((37, 29)) < 0.02
    pooled = F.max_pool2d(torch.from_numpy(mask)[None, None].float(), 9, 1, 4)[0, 0].numpy() > 0
    assert (dilate(mask, 9) == pooled).all() and (dilate(mask, 1) == mask).all()


@pytest.mark.parametrize("size", [(64, 48), (45, 77)])
def test_spatial_mask_in_strips_is_that_of_the_whole(size: tuple[int, int]) -> None:
    alpha = np.random.default_rng(1).random((16, 12), np.float32).round()
    whole = F.interpolate(torch.from_numpy(alpha)[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()
    assert np.abs(upsampled_rows(alpha, size, 0, size[0]) - whole).max() < 1e-5
    expected = dilate((whole > SPATIAL_SPARSITY.low) & (whole < SPATIAL_SPARSITY.high), 5)
    assert (spatial_mask(alpha, size, SpatialSparsityParams(kernel=5), rows=7) == expected).mean() > 0.999


def test_a_prior_of_ones_has_no_active_pixels() -> None:
    assert not spatial_mask(np.ones((8, 8), np.float32), (32, 32)).any()


def test_empty_strips_are_left_out() -> None:
    mask = np.zeros((10, 3), bool)
    mask[4, 1] = mask[9, 2] = True
    assert list(nonempty_strips(mask, 4)) == [slice(4, 8), slice(8, 10)]
    assert list(nonempty_strips(mask[:4], 4)) == []


def test_strokes_stay_known_and_the_prior_decides_the_rest() -> None:
    alpha = np.full((8, 8), 0.5, np.float32)
    alpha[:, :3], alpha[:, 5:] = 0, 1
    scribbles = np.full((64, 64), 128, np.uint8)
    scribbles[10, 32], scribbles[50, 2] = 255, 0
    trimap = trimap_from_scribbles(alpha, scribbles)
    assert trimap[10, 32] == 255 and trimap[50, 2] == 0
    assert (trimap[:, :16] == 0).all() and (trimap[:, 48:] == 255).all() and trimap[30, 32] == 128


def test_what_a_stroke_contradicts_is_unknown_around_it() -> None:
    scribbles = np.full((64, 64), 128, np.uint8)
    scribbles[30, 30] = 255
    trimap = trimap_from_scribbles(np.zeros((8, 8), np.float32), scribbles)
    assert trimap[30, 30] == 255 and (trimap == 128).sum() == SPATIAL_SPARSITY.kernel**2 - 1
    assert trimap[37, 37] == 128 and trimap[38, 38] == 0
