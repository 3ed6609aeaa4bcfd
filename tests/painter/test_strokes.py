"""Which pixels a stroke covers, to the pixel, and what is no stroke."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.painter.strokes import Stroke, covered, parse_stroke

SIZE = (40, 60)


def whole(stroke: Stroke) -> np.ndarray:
    """The pixels of the picture that a stroke covers."""
    (left, top, right, bottom), mask = covered(stroke, SIZE)
    result = np.zeros(SIZE, bool)
    result[top:bottom, left:right] = mask
    return result


def brush(points: list[tuple[float, float]], radius: float) -> Stroke:
    return Stroke(tool="keep", shape="brush", points=np.array(points, np.float64), radius=radius)


def by_hand(points: list[tuple[float, float]], radius: float) -> np.ndarray:
    """Pixel by pixel: the distance of each centre to each segment."""
    result = np.zeros(SIZE, bool)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            at = np.array([x + 0.5, y + 0.5])
            for start, end in zip(points, [*points[1:], points[-1]], strict=True):
                a, along = np.array(start), np.subtract(end, start)
                share = np.clip((at - a) @ along / (along @ along), 0, 1) if along.any() else 0
                result[y, x] |= np.hypot(*(at - a - share * along)) <= radius
    return result


@pytest.mark.parametrize(
    ("points", "radius"),
    [([(20.0, 15.0)], 6.5), ([(5.0, 5.0), (50.25, 30.5), (10.0, 35.0)], 3.0), ([(-4.0, 20.0), (70.0, 21.0)], 2.2)],
)
def test_a_line_covers_what_lies_within_its_radius(points: list[tuple[float, float]], radius: float) -> None:
    assert (whole(brush(points, radius)) == by_hand(points, radius)).all()


def test_half_a_pixel_from_a_corner_covers_four_pixels_and_less_none() -> None:
    assert whole(brush([(10, 10)], 0.71)).sum() == 4
    assert whole(brush([(10, 10)], 0.7)).sum() == 0
    assert whole(brush([(10.5, 10.5)], 0.5))[10, 10] and whole(brush([(10.5, 10.5)], 0.5)).sum() == 1


def test_an_outline_is_filled_by_the_even_odd_rule() -> None:
    square = Stroke(tool="keep", shape="fill", points=np.array([(10, 5), (30, 5), (30, 25), (10, 25)], np.float64))
    expected = np.zeros(SIZE, bool)
    expected[5:25, 10:30] = True
    assert (whole(square) == expected).all()
    star = np.array([(20, 0), (32, 38), (0, 14), (40, 14), (8, 38)], np.float64)
    pentagram = whole(Stroke(tool="keep", shape="fill", points=star))
    assert not pentagram[20, 20] and pentagram[5, 20] and pentagram[16, 6]


def test_an_outline_beyond_the_border_is_cut_off_there() -> None:
    around = np.array([(-10, -10), (100, -10), (100, 20), (-10, 20)], np.float64)
    filled = whole(Stroke(tool="keep", shape="fill", points=around))
    assert filled[:20].all() and not filled[20:].any()


def test_a_stroke_beside_the_picture_covers_nothing() -> None:
    assert not whole(brush([(-30, -30), (-20, 90)], 5)).any()


@pytest.mark.parametrize(
    "data",
    [
        None,
        {"tool": "paint", "shape": "brush", "points": [[1, 1]]},
        {"tool": "keep", "shape": "circle", "points": [[1, 1]]},
        {"tool": "keep", "shape": "brush", "points": []},
        {"tool": "keep", "shape": "brush", "points": [[1, float("nan")]]},
        {"tool": "keep", "shape": "brush", "points": [[1, 1]], "radius": 0},
        {"tool": "keep", "shape": "brush", "points": [["a", 1]]},
        {"tool": "keep", "shape": "fill", "points": [[1, 1], [2, 2]]},
    ],
)
def test_what_is_no_stroke_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="no stroke"):
        parse_stroke(data)
