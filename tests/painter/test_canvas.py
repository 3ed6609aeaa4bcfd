"""The painted trimap: tools, undo and redo."""

from __future__ import annotations

import numpy as np

from uhrmat.painter.canvas import Canvas
from uhrmat.painter.strokes import Stroke


def square(tool: str, left: int, top: int, side: int = 4) -> Stroke:
    right, bottom = left + side, top + side
    points = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    return Stroke(tool=tool, shape="fill", points=points)


def test_each_tool_sets_its_value_and_the_eraser_the_first_one() -> None:
    start = np.full((12, 20), 128, np.uint8)
    start[:, :2] = 0
    canvas = Canvas(start)
    for tool, left in (("keep", 0), ("remove", 6), ("unknown", 12)):
        assert canvas.paint(square(tool, left, 0)) is (tool != "unknown")
    assert canvas.trimap[0, [0, 4, 6, 10, 12]].tolist() == [255, 128, 0, 128, 128]
    canvas.paint(square("eraser", 0, 0, 12))
    assert (canvas.trimap == start).all() and start[0, 0] == 0


def test_undo_and_redo_go_back_and_forth_without_end() -> None:
    canvas = Canvas(np.full((30, 30), 128, np.uint8))
    states = [canvas.trimap.copy()]
    for number in range(40):
        canvas.paint(square(("keep", "remove")[number % 2], number % 20, number % 13, 3 + number % 5))
        states.append(canvas.trimap.copy())
    assert canvas.depth == (40, 0)
    for before in states[-2::-1]:
        assert canvas.undo() and (canvas.trimap == before).all()
    assert not canvas.undo() and canvas.depth == (0, 40)
    for after in states[1:]:
        assert canvas.redo() and (canvas.trimap == after).all()
    assert not canvas.redo() and canvas.revision == 120


def test_a_stroke_after_undo_forgets_what_was_taken_back() -> None:
    canvas = Canvas(np.full((12, 12), 128, np.uint8))
    canvas.paint(square("keep", 0, 0))
    canvas.undo()
    canvas.paint(square("remove", 6, 6))
    assert not canvas.redo() and canvas.depth == (1, 0) and canvas.trimap[0, 0] == 128


def test_a_stroke_that_changes_nothing_is_nothing_to_undo() -> None:
    canvas = Canvas(np.full((12, 12), 128, np.uint8))
    canvas.paint(square("keep", 0, 0))
    assert not canvas.paint(square("keep", 1, 1, 2)) and not canvas.paint(square("keep", 40, 40))
    assert canvas.depth == (1, 0) and canvas.revision == 1


def outline(tool: str, low: float, high: float, radius: float = 2) -> Stroke:
    points = np.array([[low, low], [high, low], [high, high], [low, high]])
    return Stroke(tool=tool, shape="outline", points=points, radius=radius)


def test_the_first_outline_makes_a_whole_trimap_and_is_undone_at_once() -> None:
    canvas = Canvas(np.full((40, 50), 128, np.uint8))
    canvas.paint(Stroke(tool="keep", shape="brush", points=np.array([[46.0, 36.0]]), radius=1))
    assert canvas.paint(outline("keep", 10, 30))
    row = canvas.trimap[20]
    assert (row[:8] == 0).all() and (row[8:12] == 128).all() and (row[12:28] == 255).all()
    assert (row[28:32] == 128).all() and (row[32:] == 0).all()
    assert canvas.trimap[36, 46] == 255  # painted before
    assert canvas.changed_rows(1) == (0, 40)
    canvas.undo()
    assert np.count_nonzero(canvas.trimap != 128) == 4 and canvas.redo() and canvas.trimap[0, 0] == 0


def test_a_further_outline_leaves_the_rest_alone() -> None:
    canvas = Canvas(np.full((40, 50), 128, np.uint8))
    canvas.paint(outline("keep", 10, 30))
    first = canvas.trimap.copy()
    canvas.paint(outline("remove", 16, 24, radius=1))  # a hole
    assert (canvas.trimap[18:22, 18:22] == 0).all() and canvas.trimap[20, 16] == 128 and canvas.trimap[20, 13] == 255
    changed = np.argwhere(canvas.trimap != first)
    assert changed.min() == 15 and changed.max() == 24 and canvas.changed_rows(1) == (15, 25)


def test_an_outline_to_remove_comes_first_and_removes_its_inside_only() -> None:
    canvas = Canvas(np.full((40, 50), 128, np.uint8))
    canvas.paint(outline("remove", 10, 30))
    assert canvas.trimap[20, 20] == 0 and canvas.trimap[0, 0] == 128
