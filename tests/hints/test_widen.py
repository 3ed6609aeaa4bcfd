"""A mask's unknown band that is widened where the subject reaches beyond it."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat import MattingPipeline
from uhrmat.hints.read import read_hints
from uhrmat.hints.trimap import trimap_from_mask
from uhrmat.hints.widen import WideningParams, widen_band, widened_trimap

SIDE, RADIUS = 96, 3


def _scene(moved: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red square before green, its alpha, and a mask of it that is moved to the right: (96, 96, 3), 2 × (96, 96)."""
    alpha = np.zeros((SIDE, SIDE), np.float32)
    alpha[24:72, 24:72] = 1
    noise = np.random.default_rng(1).uniform(0, 0.03, (SIDE, SIDE, 3)).astype(np.float32)
    image = noise + np.where(alpha[..., None] > 0, np.float32([0.8, 0.2, 0.1]), np.float32([0.1, 0.6, 0.2]))
    return image, alpha, np.roll(alpha, moved, axis=1)


def test_a_band_grows_only_where_alpha_at_its_rim_differs() -> None:
    _, alpha, mask = _scene(0)
    trimap = trimap_from_mask(mask, RADIUS, RADIUS)
    assert widen_band(trimap, alpha, RADIUS) is trimap
    beyond = alpha.copy()
    beyond[40:44, 15:24] = 1  # reaches through the background's rim, left of the square
    params = WideningParams(rim=1, tolerance=0.1, share=2.0)
    grown = (widen_band(trimap, beyond, RADIUS, params) == 128) & (trimap != 128)
    ys, xs = np.nonzero(grown)
    assert grown.any() and xs.max() < 24 and ys.min() >= 40 - 7 and ys.max() <= 43 + 7
    hole = alpha.copy()
    hole[40:44, 24:30] = 0.5  # through the foreground's rim
    ys, xs = np.nonzero((widen_band(trimap, hole, RADIUS, params) == 128) & (trimap != 128))
    assert xs.min() > 24 and xs.max() < 48 and ys.min() >= 33 and ys.max() <= 50


@pytest.mark.parametrize("value", [0.09, 0.11])
def test_what_differs_by_no_more_than_the_tolerance(value: float) -> None:
    _, alpha, mask = _scene(0)
    trimap = trimap_from_mask(mask, RADIUS, RADIUS)
    soft = np.where(trimap == 128, np.float32(value), alpha)
    soft[alpha > 0] = 1
    assert (widen_band(trimap, soft, RADIUS) is trimap) == (value < 0.1)


def test_a_known_region_is_not_given_up_altogether() -> None:
    trimap = np.full((20, 20), 128, np.uint8)
    trimap[:, :2], trimap[:, 12:] = 255, 0
    widened = widen_band(trimap, np.full((20, 20), 0.5, np.float32), 2, WideningParams(share=2.0))
    assert (widened[:, :2] == 255).all() and (widened[:, 12:15] == 128).all() and (widened[:, 18:] == 0).all()


def test_a_full_size_trimap_follows_the_small_one() -> None:
    small = np.array([[0, 128], [255, 255]], np.uint8)
    widened = np.array([[128, 128], [255, 128]], np.uint8)
    full = np.kron(small, np.ones((2, 3), np.uint8))
    full[0, 0] = 255
    result = widened_trimap(full, small, widened)
    assert (result[:2] == 128).all() and (result[2:, :3] == 255).all() and (result[2:, 3:] == 128).all()


@pytest.mark.parametrize("prior", ["closed-form+knn", "lpn-trimap"])
def test_a_moved_mask_is_solved_beyond_its_band_and_the_user_is_told(prior: str) -> None:
    image, alpha, mask = _scene(3)
    with MattingPipeline(prior=prior, refiner="bilinear", device="cpu") as pipeline:
        fixed = pipeline(image, mask=mask, radius=2, foreground=False)
        free = pipeline(image, mask=mask, foreground=False)
        exact = pipeline(image, mask=alpha, foreground=False)
    assert not any("widened" in note for note in (*fixed.stats.notes, *exact.stats.notes))
    assert sum("widened" in note for note in free.stats.notes) == 1
    errors = [float(np.abs(one.alpha - alpha).sum()) for one in (fixed, free)]
    assert errors[1] < 0.5 * errors[0]


def test_the_band_may_be_widened_in_stills_without_a_radius_only() -> None:
    _, _, mask = _scene(0)
    bands = [
        read_hints((SIDE, SIDE), mask=mask, **options).band  # type: ignore[arg-type]
        for options in ({"widen": True}, {"widen": True, "radius": "auto"}, {"widen": True, "radius": 4}, {})
    ]
    assert bands == [2, 2, 0, 0]
    trimap = trimap_from_mask(mask, 2, 2)
    assert read_hints((SIDE, SIDE), trimap=trimap, widen=True).band == 0
