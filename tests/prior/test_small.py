"""Small copies and trimaps from masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uhrmat.hints.trimap import default_radius, trimap_from_mask
from uhrmat.media.shrink import small_trimap
from uhrmat.prior import base
from uhrmat.prior.base import area_average, working_shape


@pytest.mark.parametrize(
    ("size", "side", "shape"),
    [
        ((2160, 3840), None, (768, 1365)),
        ((1152, 2000), None, (1152, 2000)),
        ((1153, 2000), None, (768, 1332)),
        ((768, 1024), 512, (512, 683)),
        ((600, 800), 2000, (600, 800)),
        ((1, 1), None, (1, 1)),
        ((2, 9000), None, (2, 9000)),
    ],
)
def test_working_shape(size: tuple[int, int], side: int | None, shape: tuple[int, int]) -> None:
    assert working_shape(*size, side) == shape


def test_area_average_in_strips_is_area_average(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (301, 203, 3), dtype=np.uint8)
    expected = cv2.resize(pixels.astype(np.float32) / 255, (41, 59), interpolation=cv2.INTER_AREA)
    monkeypatch.setattr(base, "_STRIP", 203 * 7)
    assert np.abs(area_average(pixels, (59, 41), 255) - expected).max() < 1e-5


def test_area_average_keeps_the_mean_where_it_divides() -> None:
    pixels = np.random.default_rng(2).random((64, 96, 3), np.float32)
    assert np.allclose(area_average(pixels, (16, 24)), pixels.reshape(16, 4, 24, 4, 3).mean((1, 3)), atol=1e-6)


def test_a_small_pixel_is_known_only_if_all_of_it_is() -> None:
    trimap = np.zeros((16, 16), np.uint8)
    trimap[:, 8:] = 255
    trimap[3, 3] = trimap[5, 12] = 128
    small = small_trimap(trimap, (4, 4))
    expected = np.array([[0, 0, 255, 255]] * 4, np.uint8)
    expected[0, 0] = expected[1, 3] = 128
    assert (small == expected).all()


def test_trimap_from_mask_widens_by_the_radii() -> None:
    mask = np.zeros((41, 41), np.float32)
    mask[:, 20:] = 1
    row = trimap_from_mask(mask, erode=5, dilate=3)[20]
    assert (row[:17] == 0).all() and (row[17:25] == 128).all() and (row[25:] == 255).all()


def test_soft_pixels_of_a_coarse_alpha_are_unknown() -> None:
    mask = np.zeros((9, 9), np.float32)
    mask[4, 4] = 0.5
    assert trimap_from_mask(mask, 0, 0)[4, 4] == 128 and default_radius(10, 9000) == 2
