"""Scribbles: which trimaps are, and how thin strokes survive downsampling."""

from __future__ import annotations

import numpy as np

from uhrmat.hints.scribbles import are_scribbles, downsample_scribbles
from uhrmat.media.resample import downsample_trimap


def test_more_than_half_unknown_is_scribbles_and_half_is_not() -> None:
    trimap = np.zeros((4, 5), np.uint8)
    trimap.flat[:10] = 128
    assert not are_scribbles(trimap)
    trimap.flat[10] = 128
    assert are_scribbles(trimap)


def test_a_thin_stroke_is_kept_where_an_ordinary_trimap_loses_it() -> None:
    trimap = np.full((40, 40), 128, np.uint8)
    trimap[:, 12:15], trimap[5:8, :] = 255, 0  # three of ten pixels wide, crossing
    small = downsample_scribbles(trimap, (4, 4))
    assert (downsample_trimap(trimap, (4, 4)) == 128).all()
    assert small[1:, 1].tolist() == [255, 255, 255] and small[0].tolist() == [0, 0, 0, 0]
    assert (small[1:, [0, 2, 3]] == 128).all()


def test_less_than_a_quarter_of_a_pixel_is_not_enough() -> None:
    trimap = np.full((40, 40), 128, np.uint8)
    trimap[:, 12:14] = 255
    assert (downsample_scribbles(trimap, (4, 4)) == 128).all()
