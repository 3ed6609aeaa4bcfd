"""The painted trimap at working size is the one that a whole downsampling gives."""

from __future__ import annotations

import numpy as np
import pytest

from tests.painter.conftest import SIZE
from uhrmat.hints.scribbles import downsample_scribbles
from uhrmat.painter import small
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.small import SmallTrimap
from uhrmat.painter.strokes import parse_stroke

SHAPE = (37, 50)  # of no whole ratio


def stroke(tool: str, *points: tuple[float, float], radius: float = 5) -> dict[str, object]:
    return {"tool": tool, "shape": "brush", "radius": radius, "points": points}


def test_after_every_change_it_is_the_whole_canvas_downsampled() -> None:
    canvas = Canvas(np.full(SIZE, 128, np.uint8))
    kept = SmallTrimap(canvas, SHAPE)
    changes = [
        lambda: canvas.paint(parse_stroke(stroke("keep", (100, 100), (160, 120)))),
        lambda: canvas.paint(parse_stroke(stroke("remove", (10, 10), (300, 230), radius=9))),
        canvas.undo, canvas.redo, lambda: (canvas.undo(), canvas.undo()),
        lambda: canvas.paint(parse_stroke(stroke("keep", (319, 239)))),
    ]  # fmt: skip
    for change in changes:
        change()
        revision, trimap = kept.update()
        assert revision == canvas.revision and (trimap == downsample_scribbles(canvas.trimap, SHAPE)).all()
    assert set(np.unique(trimap)) == {128, 255}


def test_only_changed_rows_are_averaged_again(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, seen, average = Canvas(np.full(SIZE, 128, np.uint8)), [], small.area_average
    monkeypatch.setattr(small, "area_average", lambda a, shape: (seen.append(a.shape), average(a, shape))[1])
    kept = SmallTrimap(canvas, SHAPE)
    kept.update()
    seen.clear()
    canvas.paint(parse_stroke(stroke("keep", (100, 100))))
    kept.update()
    assert [shape for shape in seen if shape[1] == SIZE[1]] == [(10, SIZE[1])] * 2  # rows 95 to 104
    seen.clear()
    kept.update()
    assert all(shape[1] != SIZE[1] for shape in seen)
