"""Colours over colours, in every bit depth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from uhrmat.composite import composite, parse_background
from uhrmat.errors import InputError
from uhrmat.media import Picture, srgb_decode

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
    result = composite(np.zeros((3, 4, 3), np.float32), HALF, (0.5, 0.5, 0.5), linear=True)
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


def test_a_path_is_read(tmp_path: Path) -> None:
    Image.new("RGB", (7, 5), "red").save(tmp_path / "red.png")
    behind = parse_background(str(tmp_path / "red.png"))
    assert isinstance(behind, Picture) and (behind.width, behind.height) == (7, 5)


def test_neither_colour_nor_path() -> None:
    with pytest.raises(InputError, match="neither a colour"):
        parse_background("whitish")
