"""The strokes that the benchmark paints: inside what they mark, and through the largest mistake."""

from __future__ import annotations

import numpy as np

from benchmarks.strokes import draw, first_strokes, next_stroke, outlines


def disc(radius: float) -> np.ndarray:
    y, x = np.mgrid[:320, :480].astype(np.float32)
    return np.clip((radius - np.hypot(y - 160, x - 240)) / 6 + 0.5, 0, 1)


def test_first_strokes_mark_what_is_surely_their_own() -> None:
    truth = disc(90)
    strokes = first_strokes(truth, 3)
    trimap = draw(strokes, truth.shape)
    assert {stroke.value for stroke in strokes} == {0, 255} and len(strokes) <= 6
    assert (truth[trimap == 255] > 0.98).all() and (truth[trimap == 0] < 0.02).all()
    assert 0.85 < (trimap == 128).mean() < 0.99 and (trimap == 255).sum() > 200


def test_the_next_stroke_goes_through_the_largest_mistake() -> None:
    truth, matte = disc(90), disc(90)
    matte[140:180, 180:220] = 0  # a hole, larger than a wrong patch outside
    matte[20:40, 20:40] = 1
    stroke = next_stroke(matte, truth)
    assert stroke is not None and stroke.value == 255
    x, y = np.array(stroke.points).T
    assert ((x > 180) & (x < 220) & (y > 140) & (y < 180)).all()
    matte[140:180, 180:220] = truth[140:180, 180:220]
    stroke = next_stroke(matte, truth)
    assert stroke is not None and stroke.value == 0 and max(stroke.points[0]) < 45
    assert next_stroke(truth, truth) is None


def test_outlines_leave_the_edge_unknown_and_what_a_hand_passes_over() -> None:
    y, x = np.mgrid[:320, :400]
    truth = (np.hypot(x - 200, y - 160) < 110).astype(np.float32)
    truth[np.hypot(x - 200, y - 160) < 12] = 0  # a hole that no outline shows
    strokes = outlines(truth)
    trimap = draw(strokes, truth.shape)
    assert strokes[0].shape == "outline" and strokes[0].value == 255
    assert strokes[-1].shape == "fill" and strokes[-1].value == 128 and len(strokes) <= 12
    known = trimap != 128
    assert np.abs(truth - trimap / 255.0)[known].max() == 0 and 0.05 < (~known).mean() < 0.3
    other = draw(outlines(truth, seed=1), truth.shape)
    assert (other != trimap).any()  # another hand
