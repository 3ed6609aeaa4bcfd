"""Public array functions of hints, sparsity, prior and foreground: types, memory layout, errors, float64 reference."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.foreground.despill import despill
from uhrmat.foreground.solve import estimate_foreground
from uhrmat.hints.compatibility import check_hint_combination
from uhrmat.hints.key_colour import parse_key
from uhrmat.hints.trimap import trimap_from_mask
from uhrmat.prior.base import constrain_alpha
from uhrmat.prior.chroma_key.screen import find_screen_colour
from uhrmat.prior.clean_plate.plate import colour_line_alpha, difference_trimap
from uhrmat.prior.pull_push import pull_push
from uhrmat.sparsity.spatial import dilate, spatial_mask, trimap_from_alpha, trimap_mask, upsampled_rows
from uhrmat.sparsity.temporal import fuse_temporal, noise_samples, thumbnail

RNG = np.random.default_rng(0)
ALPHA = RNG.random((24, 32), dtype=np.float32)
IMAGE, OTHER = RNG.random((2, 24, 32, 3), dtype=np.float32)
TRIMAP = RNG.choice(np.array([0, 128, 255], np.uint8), (24, 32))
SIZE = (48, 64)

CASES: dict[str, tuple[Callable[..., np.ndarray], tuple[np.ndarray, ...], type]] = {
    "dilate": (dilate, (ALPHA > 0.9,), np.bool_),
    "trimap_mask": (trimap_mask, (TRIMAP,), np.bool_),
    "spatial_mask": (lambda alpha: spatial_mask(alpha, SIZE), (ALPHA.round(),), np.bool_),
    "trimap_from_alpha": (lambda alpha: trimap_from_alpha(alpha, SIZE), (ALPHA,), np.uint8),
    "upsampled_rows": (lambda alpha: upsampled_rows(alpha, SIZE, 5, 20), (ALPHA,), np.float32),
    "thumbnail": (thumbnail, (IMAGE,), np.float32),
    "noise_samples": (noise_samples, (IMAGE,), np.float32),
    "trimap_from_mask": (lambda mask: trimap_from_mask(mask, 2, 3), (ALPHA.round(),), np.uint8),
    "constrain_alpha": (constrain_alpha, (ALPHA, TRIMAP), np.float32),
    "pull_push": (pull_push, (IMAGE, ALPHA), np.float32),
    "difference_trimap": (difference_trimap, (IMAGE, OTHER), np.uint8),
    "colour_line_alpha": (lambda *x: colour_line_alpha(*x)[0], (IMAGE, OTHER, IMAGE[::-1].copy()), np.float32),
    "estimate_foreground": (estimate_foreground, (IMAGE, ALPHA), np.float32),
}


@pytest.mark.parametrize("name", CASES)
def test_dtype_and_memory_layout(name: str) -> None:
    """The result has its type, the inputs stay as they are, and arrays that are not contiguous give the same."""
    function, arrays, dtype = CASES[name]
    before = [array.copy() for array in arrays]
    expected = function(*arrays)
    assert expected.dtype == dtype
    assert all(np.array_equal(a, b) for a, b in zip(arrays, before, strict=True))
    views = [np.repeat(array, 2, axis=1)[:, ::2] for array in arrays]
    assert not any(view.flags.c_contiguous for view in views)
    assert np.array_equal(function(*views), expected)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        (parse_key, ("mauve",)),
        (check_hint_combination, (frozenset({"trimap", "mask"}),)),
        (check_hint_combination, (frozenset({"plate", "key"}),)),
        (find_screen_colour, (np.full((20, 20, 3), 0.5, np.float32), "green")),
        (estimate_foreground, (IMAGE.astype(np.float64), ALPHA)),
        (estimate_foreground, (IMAGE, ALPHA[:-1])),
    ],
)
def test_errors(function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    with pytest.raises(InputError):
        function(*arguments)


def test_float64_reference_of_the_upsampling() -> None:
    rows, columns = (np.clip((np.arange(n) + 0.5) / 2 - 0.5, 0, n // 2 - 1) for n in SIZE)
    (top, left), alpha = (rows.astype(int), columns.astype(int)), ALPHA.astype(np.float64)
    below, right = np.minimum(top + 1, len(alpha) - 1), np.minimum(left + 1, alpha.shape[1] - 1)
    down, across = (rows - top)[:, None], columns - left
    upper = alpha[top][:, left] * (1 - across) + alpha[top][:, right] * across
    lower = alpha[below][:, left] * (1 - across) + alpha[below][:, right] * across
    assert np.abs(upsampled_rows(ALPHA, SIZE, 0, SIZE[0]) - (upper * (1 - down) + lower * down)).max() < 1e-6


def test_float64_reference_of_the_colour_line() -> None:
    picture, front, back = (x.astype(np.float64) for x in (IMAGE, OTHER, IMAGE[::-1]))
    line = front - back
    expected = np.clip(((picture - back) * line).sum(-1) / np.maximum(np.square(line).sum(-1), 1e-6), 0, 1)
    assert np.abs(colour_line_alpha(IMAGE, OTHER, IMAGE[::-1].copy())[0] - expected).max() < 1e-4


def test_float64_reference_of_the_fusion() -> None:
    spatial, active = ALPHA > 0.3, ALPHA > 0.6
    fused = OTHER[..., 0].copy()
    fuse_temporal(fused, IMAGE[..., 0], spatial, active)
    expected = np.where(spatial & ~active, IMAGE[..., 0], OTHER[..., 0]).astype(np.float64)
    assert np.array_equal(fused, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_despill_keeps_the_type_and_frees_every_pixel(dtype: type) -> None:
    full = 1.0 if dtype == np.float32 else float(np.iinfo(dtype).max)
    colours = (IMAGE * full).astype(dtype)
    despill(colours, (0.0, 1.0, 0.0))
    excess = colours[..., 1].astype(np.float64) - colours[..., [0, 2]].max(-1)
    assert colours.dtype == dtype and excess.max() <= max(1e-6, 1.0 * (full > 1))
