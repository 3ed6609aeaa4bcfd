"""Colours over colours, in every bit depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.media import Picture, PictureInfo, srgb_decode
from uhrmat.media.composite import composite, composite_alpha, is_opaque, need_opaque, parse_background
from uhrmat.media.icc import REC709, convert, make_profile, matrix_to_rec709

LINEAR = Picture.from_array(np.zeros((3, 4, 3), np.float32), linear=True).info
HALF = np.full((3, 4), 0.5, np.float32)


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_half_over_a_colour(dtype: Any, full: float) -> None:
    colour = np.zeros((3, 4, 3), dtype)
    result = composite(colour, HALF, (1.0, 0.5, 0.0))
    assert result.dtype == dtype
    np.testing.assert_allclose(result[0, 0], [full / 2, full / 4, 0], atol=0.51 if full > 1 else 1e-6)


def test_ends_are_exact() -> None:
    rng = np.random.default_rng(1)
    colour = rng.integers(0, 256, (300, 5, 3), dtype=np.uint8)
    assert np.array_equal(composite(colour, np.ones((300, 5), np.float32), (0.3, 0.3, 0.3)), colour)
    assert (composite(colour, np.zeros((300, 5), np.float32), (1.0, 0.0, 0.2)) == [255, 0, 51]).all()


def test_linear_pictures_are_mixed_in_linear_light() -> None:
    result = composite(np.zeros((3, 4, 3), np.float32), HALF, (0.5, 0.5, 0.5), LINEAR)
    np.testing.assert_allclose(result, 0.5 * srgb_decode(np.float32([0.5]))[0], rtol=1e-5)


def test_a_picture_covers_and_is_centred() -> None:
    """A background twice as wide as it is high, behind a square: its middle half is seen."""
    behind = np.zeros((10, 20, 3), np.uint8)
    behind[:, 5:15] = 200
    result = composite(np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), np.float32), Picture.from_array(behind))
    assert (result == 200).all()


def test_a_picture_of_another_depth() -> None:
    behind = Picture.from_array(np.full((4, 4, 3), 128, np.uint8))
    result = composite(np.zeros((2, 2, 3), np.uint16), np.zeros((2, 2), np.float32), behind)
    assert (result == 128 * 257).all()


@pytest.mark.parametrize(
    ("text", "colour"), [("white", (1, 1, 1)), ("#ff0000", (1, 0, 0)), ("rgb(0,0,255)", (0, 0, 1))]
)
def test_colours(text: str, colour: tuple[float, ...]) -> None:
    assert parse_background(text) == colour


ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
ACES = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)
WIDE, WIDER = make_profile(ADOBE, gamma=2.2), make_profile(REC709, gamma=1.8)
BEACH = (200, 90, 70)


def shown(colour: np.ndarray, info: PictureInfo) -> np.ndarray:
    """What a viewer that minds profiles shows of stored pixels: sRGB in [0, 1]."""
    picture = Picture(colour, None, info)
    return picture.to_float() if info.icc is None else convert(picture.to_float(), info.icc, None)


def info_of(dtype: Any, **rest: Any) -> PictureInfo:
    return PictureInfo(
        path=None, width=4, height=3, dtype=np.dtype(dtype).name, bit_depth=8 * np.dtype(dtype).itemsize, **rest
    )


@pytest.mark.parametrize("ours", [None, WIDE])
@pytest.mark.parametrize("theirs", [None, WIDE, WIDER])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_background_looks_the_same_in_another_colour_space(
    ours: bytes | None, theirs: bytes | None, dtype: Any
) -> None:
    behind = Picture.from_array(np.full((3, 4, 3), BEACH, np.uint8), icc=theirs)
    info = info_of(dtype, icc=ours)
    result = composite(np.zeros((3, 4, 3), dtype), np.zeros((3, 4), np.float32), behind, info)
    assert result.dtype == dtype
    np.testing.assert_allclose(shown(result, info), shown(behind.pixels, behind.info), atol=2.5 / 255)
    if ours == theirs and dtype == np.uint8:
        assert (result == BEACH).all()


@pytest.mark.parametrize("ours", [None, ACES])
@pytest.mark.parametrize("theirs", [None, WIDE])
def test_the_background_of_linear_light_with_other_primaries(
    ours: tuple[float, ...] | None, theirs: bytes | None
) -> None:
    behind = Picture.from_array(np.full((3, 4, 3), BEACH, np.uint8), icc=theirs)
    info = info_of(np.float32, linear=True, chromaticities=ours)
    result = composite(np.zeros((3, 4, 3), np.float32), np.zeros((3, 4), np.float32), behind, info)
    np.testing.assert_allclose(shown(result, info), shown(behind.pixels, behind.info).clip(0, 1), atol=2e-3)
    bright = Picture.from_array(np.full((3, 4, 3), 4, np.float32), linear=True)
    result = composite(np.zeros((3, 4, 3), np.float32), np.zeros((3, 4), np.float32), bright, info)
    light = result if ours is None else result @ matrix_to_rec709(ours).T
    np.testing.assert_allclose(light, 4, rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_colour_is_srgb_in_whatever_space_the_photograph_is(dtype: Any) -> None:
    info = info_of(dtype, icc=WIDE)
    result = composite(np.zeros((3, 4, 3), dtype), np.zeros((3, 4), np.float32), (1.0, 0.5, 0.25), info)
    np.testing.assert_allclose(shown(result, info)[1, 1], [1, 0.5, 0.25], atol=2 / 255)


def test_transparent_backgrounds_leave_an_alpha() -> None:
    colour = np.full((3, 4, 3), 200, np.uint8)
    nothing = Picture.from_array(np.dstack([np.full((3, 4, 3), 255, np.uint8), np.zeros((3, 4, 1), np.uint8)]))
    assert np.array_equal(composite_alpha(HALF, nothing), HALF)
    assert (composite(colour, HALF, nothing) == 200).all(), "straight: nothing of the hidden white"
    over = composite(colour, HALF, (0.0, 0.0, 0.0, 0.5))
    alpha = composite_alpha(HALF, (0.0, 0.0, 0.0, 0.5))
    assert alpha is not None and np.allclose(alpha, 0.75)
    assert np.allclose(over, 200 * 0.5 / 0.75, atol=0.51)


@pytest.mark.parametrize("background", [(1.0, 1.0, 1.0), Picture.from_array(np.full((5, 5, 4), 255, np.uint8))])
def test_opaque_backgrounds_leave_none(background: Any) -> None:
    assert composite_alpha(HALF, background) is None and is_opaque(background)
    need_opaque(background)


def test_the_edge_of_a_transparent_picture_is_not_mixed_with_what_it_hides() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, :4] = (250, 250, 250, 255)
    behind = Picture.from_array(rgba)
    alpha = np.zeros((5, 5), np.float32)
    made, opacity = composite(np.zeros((5, 5, 3), np.uint8), alpha, behind), composite_alpha(alpha, behind)
    assert opacity is not None and (made[opacity > 0.01] == 250).all() and 0 < opacity[2, 2] < 1


def test_a_premultiplied_picture_is_divided_once() -> None:
    pixels, alpha = np.full((3, 4, 3), 0.25, np.float32), np.full((3, 4), 0.5, np.float32)
    info = info_of(np.float32, linear=True, has_alpha=True, premultiplied=True)
    made = composite(np.zeros((3, 4, 3), np.float32), alpha * 0, Picture(pixels, alpha, info), info)
    np.testing.assert_allclose(made, 0.5, rtol=1e-5)


def test_colours_may_have_an_alpha() -> None:
    assert parse_background("#ff000080") == (1, 0, 0, 128 / 255) and parse_background("#ff0000ff") == (1, 0, 0)
    with pytest.raises(InputError, match="transparent in places"):
        need_opaque(parse_background("#ff000080"))


def test_a_path_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (7, 5), "red").save(tmp_path / "red.png")
    behind = parse_background(str(tmp_path / "red.png"))
    assert isinstance(behind, Picture) and (behind.width, behind.height) == (7, 5)


def test_neither_colour_nor_path() -> None:
    with pytest.raises(InputError, match="neither a colour"):
        parse_background("whitish")
