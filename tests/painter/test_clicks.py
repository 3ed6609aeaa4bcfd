"""Points: the mask of what they mark lies below all strokes, and each click is a step that can be undone."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.painter.conftest import SIZE
from tests.painter.test_canvas import outline, square
from tests.painter.test_session import idle, until
from uhrmat.core.errors import InputError
from uhrmat.hints.prompts import Point
from uhrmat.media import Picture
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.clicks import Clicks, Points
from uhrmat.painter.session import PaintSession


def half(column: int) -> np.ndarray:
    """Foreground left of a column."""
    trimap = np.zeros((12, 20), np.uint8)
    trimap[:, :column] = 255
    return trimap


def test_strokes_stay_above_a_mask_and_the_eraser_brings_the_mask_back() -> None:
    canvas = Canvas(np.full((12, 20), 128, np.uint8))
    canvas.paint(square("remove", 0, 0))
    canvas.paint_over(half(10), (Point(5, 5),))
    assert canvas.trimap[0, [0, 3, 4, 9, 10]].tolist() == [0, 0, 255, 255, 0] and canvas.trimap[4, 0] == 255
    canvas.paint_over(half(2), (Point(5, 5), Point(8, 5, False)))
    assert canvas.trimap[0, [0, 1, 2]].tolist() == [0, 0, 0] and canvas.trimap[4, [1, 2]].tolist() == [255, 0]
    canvas.paint(square("eraser", 0, 0))
    assert (canvas.trimap == half(2)).all() and len(canvas.points) == 2


def test_masks_are_undone_and_redone_as_strokes_are() -> None:
    canvas = Canvas(np.full((12, 20), 128, np.uint8))
    steps: list[Callable[[], object]] = [
        lambda: canvas.paint(square("remove", 0, 0)),
        lambda: canvas.paint_over(half(10), (Point(5, 5),)),
        lambda: canvas.paint(square("keep", 14, 4)),
        lambda: canvas.paint_over(half(6), (Point(5, 5), Point(8, 8, False))),
        lambda: canvas.paint(square("eraser", 13, 3, 6)),
    ]
    states = [(canvas.trimap.copy(), canvas.points)]
    for step in steps:
        step()
        states.append((canvas.trimap.copy(), canvas.points))
    assert [len(points) for _, points in states] == [0, 0, 1, 1, 2, 2]
    for trimap, points in states[-2::-1]:
        assert canvas.undo() and (canvas.trimap == trimap).all() and canvas.points == points
    canvas.paint(square("eraser", 0, 0, 12))  # over the first start again
    assert canvas.depth == (0, 5)  # it changed nothing
    for trimap, points in states[1:]:
        assert canvas.redo() and (canvas.trimap == trimap).all() and canvas.points == points
    canvas.undo()
    canvas.paint(square("eraser", 14, 4))
    assert (canvas.trimap[4:8, 14:18] == 0).all()  # the second mask's background


def test_an_outline_that_removed_the_rest_does_so_over_a_mask_too() -> None:
    canvas = Canvas(np.full((40, 60), 128, np.uint8))
    canvas.paint(outline("keep", 10, 30))
    mask = np.full((40, 60), 128, np.uint8)
    mask[:3] = 0
    canvas.paint_over(mask, (Point(20, 20),))
    assert canvas.trimap[20, [4, 20, 45]].tolist() == [0, 255, 0]


def test_what_an_earlier_session_painted_stays_above_a_mask() -> None:
    painted = np.full((12, 20), 128, np.uint8)
    painted[:4, :4], painted[8:, 16:] = 0, 255
    canvas = Canvas(np.full((12, 20), 128, np.uint8), painted)
    assert (canvas.trimap == painted).all() and canvas.depth == (0, 0)
    canvas.paint(square("keep", 0, 8))
    canvas.paint_over(half(10), (Point(5, 5),))
    assert canvas.trimap[0, [0, 4, 10]].tolist() == [0, 255, 0]
    assert canvas.trimap[10, [0, 10, 17]].tolist() == [255, 0, 255]
    assert canvas.undo() and canvas.trimap[0, 4] == 128 and canvas.trimap[10, 17] == 255
    canvas.paint(square("eraser", 0, 0, 20))
    assert (canvas.trimap == 128).all()  # the eraser takes it away, as before


def test_an_assigned_trimap_takes_the_place_of_mask_points_and_strokes() -> None:
    canvas = Canvas(np.full((12, 20), 128, np.uint8))
    canvas.paint(square("remove", 0, 0))
    canvas.paint_over(half(10), (Point(5, 5),))
    assigned = np.full((12, 20), 128, np.uint8)
    assigned[:, 15:] = 255
    assert canvas.assign(assigned) and canvas.points == () and (canvas.trimap == assigned).all()
    canvas.paint(square("eraser", 4, 4))
    assert canvas.trimap[5, 5] == 128  # not the mask below, which is gone
    canvas.paint_over(half(3), (Point(1, 1),))
    assert canvas.trimap[0].tolist() == [255] * 3 + [0] * 12 + [255] * 5 and canvas.points == (Point(1, 1),)
    while canvas.points != (Point(5, 5),):
        assert canvas.undo()
    assert canvas.trimap[0, 0] == 0 and canvas.trimap[5, 5] == 255
    canvas.paint(square("eraser", 0, 0))
    assert canvas.trimap[0, 0] == 255  # the mask below is back


def test_the_latest_points_count_and_a_search_can_be_given_up() -> None:
    canvas = Canvas(np.full((12, 20), 128, np.uint8))
    begun, go, asked = threading.Event(), threading.Event(), list[Points]()

    def find(points: Points) -> np.ndarray:
        asked.append(points)
        begun.set()
        assert go.wait(120)
        return half(4 * len(points))

    told: list[bool] = []
    clicks = Clicks(canvas, find, told.append)
    clicks.add(Point(1, 1))
    assert begun.wait(120)
    clicks.add(Point(2, 2))
    clicks.add(Point(2, 2))  # the same again is none
    assert clicks.busy and len(clicks.points) == 2 and canvas.points == ()
    go.set()
    until(lambda: not clicks.busy)
    assert [len(points) for points in asked] == [1, 2] and (canvas.trimap == half(8)).all()
    assert canvas.depth == (1, 0)
    until(lambda: told[-1])
    go.clear()
    begun.clear()
    clicks.add(Point(3, 3, False))
    assert begun.wait(120) and clicks.cancel() and not clicks.cancel()
    go.set()
    clicks.close()
    assert (canvas.trimap == half(8)).all() and len(clicks.points) == 2


def test_a_search_without_result_changes_nothing_and_says_why() -> None:
    canvas = Canvas(np.full((12, 20), 128, np.uint8))
    results = iter([half(0), half(20)])
    clicks = Clicks(canvas, lambda points: next(results), lambda changed: None)
    for _ in range(2):
        clicks.add(Point(1, 1))
        until(lambda: not clicks.busy)
        assert "Nothing is found" in clicks.error and clicks.points == () and canvas.revision == 0
    clicks.add(Point(1, 1))  # an error that nobody expects
    until(lambda: not clicks.busy)
    assert "StopIteration" in clicks.error


def test_contradictions_and_points_outside_are_refused_at_once(session: PaintSession) -> None:
    for data in (
        {"x": 320, "y": 5},
        {"x": -1, "y": 5},
        {"x": 5},
        {"x": "left", "y": 5},
        [5, 5],
        {"x": 5, "y": float("nan")},
    ):
        with pytest.raises(InputError):
            session.click(data)
    session.click({"x": 160, "y": 120})
    with pytest.raises(InputError, match="as subject and as background"):
        session.click({"x": 160, "y": 120, "foreground": False})
    until(lambda: idle(session))
    assert session.state()["points"] == [[160, 120, True]]


def test_clicks_find_the_disc(session: PaintSession, monkeypatch: pytest.MonkeyPatch) -> None:
    go, find = threading.Event(), session._pipeline.find_points

    def waiting(picture: Picture, points: Points) -> np.ndarray:
        assert go.wait(120)
        return find(picture, points)

    monkeypatch.setattr(session._pipeline, "find_points", waiting)
    session.click({"x": 150, "y": 110})
    assert session.state()["busy"] == "points"
    go.set()
    until(lambda: idle(session))
    session.change("stroke", {"tool": "keep", "shape": "brush", "radius": 3, "points": [[10, 10], [20, 10]]})
    session.click({"x": 300, "y": 20, "foreground": False})
    until(lambda: idle(session))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    away = np.hypot(y - 120, x - 160)
    trimap = session.canvas.trimap
    assert (trimap[away < 60] == 255).mean() > 0.97 and (trimap[away > 80] == 0).mean() > 0.97
    assert (trimap[9:11, 10:20] == 255).all() and session.canvas.depth == (3, 0)
    assert session.state()["points"] == [[150, 110, True], [300, 20, False]]
