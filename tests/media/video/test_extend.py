"""Colour spread to where there is no foreground."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.media.video.extend import extend_colour


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("size", [(40, 60), (33, 47), (1, 9), (7, 1)])
def test_known_colour_stays_and_the_rest_takes_it(dtype: str, size: tuple[int, int]) -> None:
    top = np.iinfo(dtype).max
    rgb = np.full((*size, 3), (top // 2, top // 3, top // 5), dtype)
    known = np.zeros(size, bool)
    known[: (size[0] + 1) // 2, : max(1, size[1] // 3)] = True
    hidden = rgb.copy()
    hidden[~known] = (0, top, 0)
    out = extend_colour(hidden, known)
    assert out.dtype == rgb.dtype
    assert np.array_equal(out[known], hidden[known])
    assert np.abs(out.astype(int) - rgb.astype(int)).max() <= 0.03 * top
    assert hidden[~known].max(initial=0) == top or known.all()


def test_the_nearer_colour_wins() -> None:
    rgb = np.zeros((32, 64, 3), np.uint8)
    rgb[:, :4], rgb[:, -4:] = (250, 0, 0), (0, 0, 250)
    known = np.zeros((32, 64), bool)
    known[:, :4] = known[:, -4:] = True
    out = extend_colour(rgb, known)
    assert out[16, 8, 0] > 150 > out[16, 8, 2]
    assert out[16, -9, 2] > 150 > out[16, -9, 0]


def test_nothing_known_is_black_and_all_known_is_untouched() -> None:
    rgb = np.full((8, 8, 3), 77, np.uint8)
    assert not extend_colour(rgb, np.zeros((8, 8), bool)).any()
    assert extend_colour(rgb, np.ones((8, 8), bool)) is rgb
