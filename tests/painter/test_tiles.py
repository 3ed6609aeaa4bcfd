"""Tiles: which there are, and what they show."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.media import Picture
from uhrmat.painter.tiles import (
    PhotoTiles,
    crop_low_res,
    encode_alpha,
    encode_strokes,
    full_box,
    level_sizes,
    tile_box,
)

SIZE = (1111, 1503)


def decoded(data: bytes) -> np.ndarray:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]


def test_levels_are_halved_down_to_one_tile() -> None:
    assert level_sizes(SIZE) == [(1111, 1503), (556, 752), (278, 376)]
    assert level_sizes((512, 100)) == [(512, 100)]


def test_boxes_end_at_the_border() -> None:
    assert tile_box(SIZE, 0, 2, 2) == (1024, 1024, 1503, 1111)
    assert full_box(tile_box(SIZE, 1, 1, 1), 1, SIZE) == (1024, 1024, 1503, 1111)
    for place in ((0, 3, 0), (0, 0, -1), (3, 0, 0), (-1, 0, 0)):
        with pytest.raises(InputError, match="no tile"):
            tile_box(SIZE, *place)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_photograph_is_shown_at_every_level(dtype: type) -> None:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    smooth = np.stack([x / SIZE[1], y / SIZE[0], np.full(SIZE, 0.5)], axis=2)
    tiles = PhotoTiles(Picture.from_array(np.rint(smooth * np.iinfo(dtype).max).astype(dtype)))
    for level, place in ((0, (2, 1)), (1, (1, 0)), (2, (0, 0))):
        left, top, right, bottom = full_box(tile_box(SIZE, level, *place), level, SIZE)
        shown = decoded(tiles.encode(level, *place)).astype(np.float32).mean((0, 1))
        wanted = smooth[top:bottom, left:right].mean((0, 1)) * 255
        assert np.abs(shown - wanted).max() < 2


def test_what_is_painted_is_tinted_and_the_rest_is_transparent() -> None:
    trimap = np.full(SIZE, 128, np.uint8)
    trimap[:100], trimap[100:200] = 255, 0
    shown = decoded(encode_strokes(trimap, 0, 0, 0))
    assert shown[50, 50].tolist() == [40, 120, 255, 110] and shown[150, 50].tolist() == [255, 120, 0, 110]
    assert (shown[200:, :, 3] == 0).all()
    trimap[:], trimap[0:2, 0:2] = 128, 255
    small = decoded(encode_strokes(trimap, 2, 0, 0))
    assert small[0, 0, 3] in (27, 28) and small[0, 1, 3] == 0  # a quarter of the pixel


def test_alpha_is_white_with_that_alpha() -> None:
    alpha = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (decoded(encode_alpha(alpha)) == np.dstack([np.full((16, 16, 3), 255), alpha])).all()


def test_a_part_of_a_low_resolution_map_is_in_its_place() -> None:
    y, x = np.mgrid[:60, :80].astype(np.float32)
    low, size, box = x + 100 * y, (600, 800), (200, 100, 400, 260)
    fine = crop_low_res(low, size, box, (160, 200))
    at = (np.array([200.5, 399.5]) / 10 - 0.5), (np.array([100.5, 259.5]) / 10 - 0.5)
    assert fine[0, 0] == pytest.approx(at[0][0] + 100 * at[1][0], abs=0.1)
    assert fine[-1, -1] == pytest.approx(at[0][1] + 100 * at[1][1], abs=0.1)
    coarse = crop_low_res(low, size, box, (4, 5))
    assert coarse[0, 0] == pytest.approx(low[10:14, 20:24].mean(), abs=0.01)
