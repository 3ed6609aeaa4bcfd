"""The foreground's colour: exact where it is known, spill-free in the band, the same for every grid of blocks."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.foreground.solve import ForegroundParams, estimate_foreground


def blurred(array: np.ndarray, radius: int) -> np.ndarray:
    kernel = np.ones(2 * radius + 1) / (2 * radius + 1)
    for axis in (0, 1):
        array = np.apply_along_axis(np.convolve, axis, array, kernel, "same")
    return array


def scene(height: int = 150, width: int = 170, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A textured orange disc with a wide soft, streaky edge over a textured blue ground: (picture, alpha, true F)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = min(height, width)
    reach = np.hypot(y - height / 2, x - width / 2) + 0.05 * radius * np.sin(
        np.arctan2(y - height / 2, x - width / 2) * 40
    )
    alpha = np.clip((0.38 * radius - reach) / (0.12 * radius) + 0.5, 0, 1).astype(np.float32)
    texture = blurred(rng.normal(size=(height, width)), 3)[..., None]
    fore = np.clip(np.array([0.9, 0.55, 0.1]) + 0.3 * texture, 0, 1).astype(np.float32)
    back = np.clip(np.array([0.1, 0.2, 0.8]) - 0.3 * texture[::-1], 0, 1).astype(np.float32)
    a = alpha[..., None]
    return (a * fore + (1 - a) * back).astype(np.float32), alpha, fore


def band_error(result: np.ndarray, truth: np.ndarray, alpha: np.ndarray) -> float:
    band = (alpha > 0) & (alpha < 1)
    return float((np.abs(result - truth).mean(2) * alpha)[band].mean())


@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535), ("float32", 1)])
def test_every_depth_comes_back_solid_exact_and_without_spill(dtype: str, top: int) -> None:
    image, alpha, fore = scene()
    pixels = (np.rint(image * top) if top > 1 else image).astype(dtype)
    result = estimate_foreground(pixels, alpha)
    assert result.dtype == pixels.dtype and result.shape == pixels.shape
    assert np.array_equal(result[alpha == 1], pixels[alpha == 1])
    assert band_error(result / top, fore, alpha) < 0.25 * band_error(image, fore, alpha)


def test_transparent_pixels_carry_the_foreground_near_the_band_and_nothing_elsewhere() -> None:
    image, alpha, _ = scene()
    result = estimate_foreground(image, alpha, spread=5)
    coloured = result.any(2) & (alpha == 0)
    assert coloured.any() and np.all(result[coloured][:, 0] > result[coloured][:, 2])  # orange, not blue
    rows, columns = np.nonzero(coloured)
    soft = np.argwhere((alpha > 0) & (alpha < 1))
    reach = [np.abs(soft - point).max(1).min() for point in np.stack([rows, columns], 1)[::17]]
    assert 0 < max(reach) <= 5
    assert not result[0, 0].any()


def test_active_pixels_get_a_colour_too() -> None:
    image, alpha, _ = scene()
    active = np.zeros(alpha.shape, bool)
    active[:20, :20] = True
    result = estimate_foreground(image, alpha, active)
    assert result[:20, :20].any(2).all() and not result[:20, -20:].any()
    assert np.array_equal(result[40:], estimate_foreground(image, alpha)[40:])


SMALL = ForegroundParams(whole_pixels=1000)
"""Finer levels than this are solved in blocks."""


@pytest.mark.parametrize("shape", [(150, 170), (149, 173)])
def test_blocks_leave_no_trace(shape: tuple[int, int]) -> None:
    """Three levels in blocks: any grid gives the same colours, and they stay close to a solve of the whole picture."""
    image, alpha, fore = scene(*shape)
    whole = estimate_foreground(image, alpha)
    fine = estimate_foreground(image, alpha, tile=16, params=SMALL)
    coarse = estimate_foreground(image, alpha, tile=512, threads=1, params=SMALL)
    assert np.abs(fine - coarse).max() < 1e-5
    band = (alpha > 0) & (alpha < 1)
    assert np.abs(fine - whole)[band].mean() < 2 / 255
    assert band_error(fine, fore, alpha) < 1.2 * band_error(whole, fore, alpha)


def test_no_step_at_the_border_of_blocks() -> None:
    alpha = np.full((128, 128), 0.5, np.float32)
    alpha[:8] = 1
    ramp = np.linspace(0.2, 0.8, 128, dtype=np.float32)
    image = np.broadcast_to(ramp[None, :, None], (128, 128, 3)).copy()
    steps = np.abs(np.diff(estimate_foreground(image, alpha, tile=32, params=SMALL)[..., 0], axis=1))
    borders = steps[:, 31::32]
    assert borders.max() <= np.delete(steps, np.s_[31::32], axis=1).max() + 1e-6


def test_highlights_above_one_survive() -> None:
    image, alpha, fore = scene()
    bright = estimate_foreground(image * np.float32(20), alpha)
    assert bright.max() > 15
    assert np.abs(bright / 20 - estimate_foreground(image, alpha))[alpha > 0].max() < 1e-3


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (3, 2)])
def test_tiny_and_uniform_pictures(shape: tuple[int, int], value: float) -> None:
    pixels = np.full((*shape, 3), 77, np.uint8)
    result = estimate_foreground(pixels, np.full(shape, value, np.float32))
    assert np.all(result == (0 if value == 0 else 77))


def test_views_are_read_and_not_changed() -> None:
    image, alpha, _ = scene()
    pixels = np.rint(image * 255).astype(np.uint8)
    before = pixels.copy()
    turned = estimate_foreground(pixels.transpose(1, 0, 2), alpha.T)
    assert np.array_equal(pixels, before)
    straight = estimate_foreground(np.ascontiguousarray(pixels.transpose(1, 0, 2)), np.ascontiguousarray(alpha.T))
    assert np.array_equal(turned, straight)


@pytest.mark.parametrize(
    ("pixels", "alpha", "active", "says"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32), None, "4, 4"),
        (np.zeros((4, 4, 3), np.int32), np.zeros((4, 4), np.float32), None, "int32"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.float32), None, "alpha"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.float32), np.zeros((5, 4), bool), "active"),
    ],
)
def test_what_does_not_fit_is_refused(
    pixels: np.ndarray, alpha: np.ndarray, active: np.ndarray | None, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        estimate_foreground(pixels, alpha, active)
