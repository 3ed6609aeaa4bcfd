"""Clicks on frames of a clip: what they mark becomes a key frame, and what was painted stays above it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
import pytest

from tests.painter.clips.conftest import KEEP, SIZE
from tests.painter.test_session import until
from uhrmat.core.errors import InputError
from uhrmat.media import Picture
from uhrmat.painter.clicks import Points
from uhrmat.painter.clips import keys
from uhrmat.painter.clips.session import ClipSession

CLICK = {"x": 60, "y": 20}


class Finder:
    """Takes the place of the search: marks what lies left of the last point, when it may."""

    def __init__(self) -> None:
        self.go, self.asked = threading.Event(), list[tuple[np.ndarray, Points]]()

    def __call__(self, picture: Picture, points: Points) -> np.ndarray:
        self.asked.append((picture.pixels, points))
        assert self.go.wait(120)
        trimap = np.zeros(SIZE, np.uint8)
        trimap[:, : int(points[-1].x)] = 255
        return trimap


@pytest.fixture
def finder(session: ClipSession, monkeypatch: pytest.MonkeyPatch) -> Finder:
    made = Finder()
    monkeypatch.setattr(session._pipeline, "find_points", made)
    return made


def test_a_click_makes_a_key_frame_of_the_frame_that_it_is_on(session: ClipSession, finder: Finder) -> None:
    finder.go.set()
    session.click(2, CLICK)
    until(lambda: session.keys.indices() == [2])
    until(lambda: session.state(2)["busy"] != "points")
    assert session.keys.trimap(2)[40, [59, 60]].tolist() == [255, 0]
    assert session.state(2)["points"] == [[60, 20, True]] and session.state(1)["points"] == []
    assert np.array_equal(finder.asked[0][0], session.frames.picture(2).pixels)
    session.click(2, {"x": 30, "y": 20, "foreground": False})
    until(lambda: len(session.state(2)["points"]) == 2 and session.keys.trimap(2)[40, 40] == 0)
    assert [point.foreground for point in finder.asked[1][1]] == [True, False]
    assert session.change(2, "undo", None) and session.keys.trimap(2)[40, 40] == 255
    assert session.change(2, "clear", None) and session.keys.indices() == [] and session.state(2)["points"] == []
    assert session.change(2, "undo", None) and session.state(2)["points"] == [[60, 20, True]]


def test_what_was_painted_in_an_earlier_session_stays(
    opened: Callable[..., ClipSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened()
    assert first.change(0, "stroke", KEEP)
    painted = first.keys.trimap(0)
    again, finder = opened(), Finder()
    monkeypatch.setattr(again._pipeline, "find_points", finder)
    finder.go.set()
    again.click(0, {"x": 10, "y": 5})
    until(lambda: again.keys.trimap(0)[40, 5] == 255)
    trimap = again.keys.trimap(0)
    assert (trimap[painted == 255] == 255).all() and trimap[60, 60] == 0


def test_a_search_goes_on_while_other_frames_are_painted_and_undo_gives_it_up(
    session: ClipSession, finder: Finder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "_KEPT", 1)
    session.click(0, CLICK)
    until(lambda: len(finder.asked) == 1)
    for frame in (1, 2, 3):
        assert session.change(frame, "stroke", KEEP)
    session.keys.flush()
    session.keys.canvas(4)  # others are given up now
    assert session.state(0)["busy"] == "points" and session.state(1)["busy"] != "points"
    finder.go.set()
    until(lambda: session.keys.indices() == [0, 1, 2, 3])
    assert session.keys.trimap(0)[40, [59, 60]].tolist() == [255, 0]
    finder.go.clear()
    session.click(5, CLICK)
    until(lambda: len(finder.asked) == 2)
    assert session.change(5, "undo", None) and session.state(5)["busy"] != "points"
    finder.go.set()
    session._clicks[5].close()
    assert 5 not in session.keys.indices()


def test_what_is_no_point_of_the_frame_is_refused(session: ClipSession, finder: Finder) -> None:
    for data in ({"x": 96, "y": 5}, {"x": 5}, {"x": "left", "y": 5}):
        with pytest.raises(InputError, match=r"point"):
            session.click(0, data)
    with pytest.raises(InputError, match="no frame 7"):
        session.click(7, CLICK)
    assert not finder.asked and session.keys.points(0) == ()
