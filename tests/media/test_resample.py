"""Area averaging: against OpenCV and exact means, in strips and at once, of pictures, trimaps and masks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uhrmat.media import Picture, resample
from uhrmat.media.resample import (
    area_average,
    area_average_strips,
    downsample,
    downsample_mask,
    downsample_picture,
    downsample_trimap,
    halve,
    resize,
)

KINDS = (np.uint8, np.uint16, np.float32)


def pixels_of(kind: type, shape: tuple[int, ...] = (203, 151, 3)) -> np.ndarray:
    """Noise over the whole range of a stored type."""
    top = 1.0 if kind is np.float32 else float(np.iinfo(kind).max)
    return (np.random.default_rng(1).random(shape) * top).astype(kind)


def test_area_average_in_strips_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = pixels_of(np.uint8, (301, 203, 3))
    expected = cv2.resize(pixels.astype(np.float32) / 255, (41, 59), interpolation=cv2.INTER_AREA)
    monkeypatch.setattr(resample, "_STRIP_PIXELS", 203 * 7)
    assert np.abs(area_average(pixels, (59, 41), 255) - expected).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_area_average_is_the_mean_where_it_divides(kind: type) -> None:
    pixels = pixels_of(kind, (64, 96, 3))
    expected = pixels.astype(np.float64).reshape(16, 4, 24, 4, 3).mean((1, 3))
    assert np.allclose(area_average(pixels, (16, 24)), expected, rtol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_area_average_takes_views_and_keeps_channels(kind: type) -> None:
    pixels = pixels_of(kind, (40, 60, 1))
    average = area_average(pixels[::-1, ::2], (10, 15))
    assert average.shape == (10, 15, 1) and average.dtype == np.float32
    assert np.array_equal(average, area_average(np.ascontiguousarray(pixels[::-1, ::2]), (10, 15)))


def test_area_average_interpolates_where_it_enlarges() -> None:
    assert np.array_equal(area_average(np.array([[0.0, 1.0]], np.float32), (1, 4)), [[0, 0.25, 0.75, 1]])


@pytest.mark.parametrize("kind", KINDS)
def test_downsample_keeps_the_type_and_rounds(kind: type) -> None:
    pixels = pixels_of(kind, (64, 96, 3))
    mean = pixels.astype(np.float64).reshape(16, 4, 24, 4, 3).mean((1, 3))
    small = downsample(pixels, (16, 24))
    assert small.dtype == kind and np.abs(small - mean).max() <= (1e-6 if kind is np.float32 else 0.5)


def test_halve_rounds_sizes_up() -> None:
    assert halve(np.zeros((5, 8), np.float32)).shape == (3, 4)


def test_resize_averages_or_interpolates() -> None:
    ramp = np.arange(8, dtype=np.float32)[None]
    assert np.array_equal(resize(ramp, (1, 4)), [[0.5, 2.5, 4.5, 6.5]])
    assert np.array_equal(resize(ramp[:, :2], (1, 4)), [[0, 0.25, 0.75, 1]])
    assert np.array_equal(resize(ramp, (1, 8)), ramp)


def test_strips_cover_the_small_array_in_order() -> None:
    pixels = pixels_of(np.float32, (203, 151))
    strips = list(area_average_strips(lambda y0, y1: pixels[y0:y1], (203, 151), (77, 60)))
    assert [top for top, _ in strips] == [0, 32, 64]
    assert np.abs(np.concatenate([strip for _, strip in strips]) - area_average(pixels, (77, 60))).max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_downsample_picture_is_an_area_average(kind: type) -> None:
    picture = Picture.from_array(pixels_of(kind))
    small = downsample_picture(picture, (77, 60))
    expected = area_average(picture.pixels, (77, 60))
    assert small.pixels.dtype == kind and (small.height, small.width) == (77, 60)
    assert np.abs(small.pixels.astype(np.float64) - expected).max() <= (1e-5 if kind is np.float32 else 0.51)


def test_a_small_pixel_is_known_only_if_all_of_it_is() -> None:
    trimap = np.zeros((16, 16), np.uint8)
    trimap[:, 8:] = 255
    trimap[3, 3] = trimap[5, 12] = 128
    small = downsample_trimap(trimap, (4, 4))
    expected = np.array([[0, 0, 255, 255]] * 4, np.uint8)
    expected[0, 0] = expected[1, 3] = 128
    assert (small == expected).all()


def test_one_unknown_pixel_survives_downsampling() -> None:
    trimap = np.zeros((100, 90), np.uint8)
    trimap[:, 45:] = 255
    trimap[31, 7] = 128
    small = downsample_trimap(trimap, (25, 30))
    assert small[7, 2] == 128 and (np.delete(small, 7, 0)[:, :15] == 0).all() and (small[:, 15:] == 255).all()
    assert np.argwhere(downsample_mask(trimap == 128, (25, 30))).tolist() == [[7, 2]]
