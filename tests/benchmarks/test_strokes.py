"""The strokes that the benchmark paints: inside what they mark, along the edge, and where the matte is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.hand import HAND, Hand
from benchmarks.strokes import draw, first_strokes


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


def test_lines_leave_the_edge_between_them_whatever_the_hand() -> None:
    truth = disc(90)
    painted = []
    for seed in range(2):
        hand = Hand(truth, lambda trimap: truth, seed)
        hand.paint()
        trimap = hand.canvas.trimap
        known = trimap != 128
        assert hand.strokes == 2 and (np.abs(truth - trimap / 255)[known] > 0.1).mean() < 0.005
        assert 0.03 < (~known).mean() < 0.2 and (trimap == 255).mean() > 0.7 * (truth == 1).mean()
        painted.append(trimap.copy())
    assert (painted[0] != painted[1]).any()
    still = Hand(truth, lambda trimap: truth, params=replace(HAND, shake=0.0))
    still.paint()
    assert (still.canvas.trimap == 128).sum() < min((trimap == 128).sum() for trimap in painted)


def test_what_is_visibly_wrong_is_painted_over() -> None:
    truth = disc(90)
    truth[20:60, 20:90] = 1  # a part that the matte leaves half transparent until it is kept
    look = lambda trimap: np.where((trimap == 128) & (np.arange(480) < 100), 0.5 * truth, truth)  # noqa: E731
    hand = Hand(truth, look, params=replace(HAND, outlines=(3, 1)))
    hand.paint()
    assert 3 < hand.strokes <= HAND.most_strokes and (hand.canvas.trimap[30:50, 30:80] == 255).mean() > 0.9
    assert np.abs(look(hand.canvas.trimap) - truth).sum() < 0.3 * np.abs(look(np.full_like(truth, 128)) - truth).sum()


def test_hair_that_a_line_cut_off_becomes_unknown_again() -> None:
    truth = disc(90)
    truth[100:220:6, 330:420] = 0.6  # strands, too thin for the line around the subject
    hand = Hand(truth, lambda trimap: np.where(trimap == 128, truth, trimap / 255).astype(np.float32))
    hand.paint()
    assert (hand.canvas.trimap[100:220:6, 345:410] == 128).mean() > 0.8


def test_a_stroke_that_makes_it_worse_is_undone_and_counted() -> None:
    truth, looks = disc(90), list[int]()

    def look(trimap: np.ndarray) -> np.ndarray:
        looks.append(1)
        return 1 - truth if len(looks) > 1 else np.where((truth > 0.5) & (trimap == 128), 0.8, truth)

    lines, hand = Hand(truth, lambda trimap: truth), Hand(truth, look)
    lines.paint()
    hand.paint()
    assert hand.strokes == len(looks) + 1 > 3 and (hand.canvas.trimap == lines.canvas.trimap).all()
