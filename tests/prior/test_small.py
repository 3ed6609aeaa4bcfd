"""Small copies and trimaps from masks."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.hints.trimap import default_radius, trimap_from_mask
from uhrmat.prior.base import working_shape


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


def test_trimap_from_mask_widens_by_the_radii() -> None:
    mask = np.zeros((41, 41), np.float32)
    mask[:, 20:] = 1
    row = trimap_from_mask(mask, erode=5, dilate=3)[20]
    assert (row[:17] == 0).all() and (row[17:25] == 128).all() and (row[25:] == 255).all()


def test_soft_pixels_of_a_coarse_alpha_are_unknown() -> None:
    mask = np.zeros((9, 9), np.float32)
    mask[4, 4] = 0.5
    assert trimap_from_mask(mask, 0, 0)[4, 4] == 128 and default_radius(10, 9000) == 2
