"""A session without a browser: strokes to a matte, staleness, errors, saving."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.painter.conftest import MODEL, SIZE
from uhrmat.core.errors import InputError, NoSubjectError
from uhrmat.media import read_picture
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.clicks import Clicks
from uhrmat.painter.live import LiveMatte, View
from uhrmat.painter.run import StartHints, make_session, open_session
from uhrmat.painter.session import PaintSession
from uhrmat.painter.strokes import parse_stroke
from uhrmat.refine.base import RefineInput

KEEP = {"tool": "keep", "shape": "brush", "radius": 6, "points": [[130, 120], [190, 120]]}
REMOVE = {"tool": "remove", "shape": "brush", "radius": 6, "points": [[20, 20], [300, 20], [300, 220]]}


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.02)


def idle(session: PaintSession) -> bool:
    state = session.state()
    return state["solved"] == state["revision"] and not state["busy"]


def shown(session: PaintSession) -> np.ndarray:
    data, kind = session.tile("alpha", 0, 0, 0)
    assert kind == "image/png"
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]


def test_two_strokes_find_the_disc_and_undo_takes_them_back(session: PaintSession) -> None:
    session.show("page", {"box": [0, 0, 320, 240], "zoom": 1})
    assert session.change("stroke", KEEP) and session.change("stroke", REMOVE)
    until(lambda: idle(session))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = np.hypot(y - 120, x - 160) < 70
    alpha = shown(session)
    assert (alpha[inside] > 127).mean() > 0.98 and (alpha[~inside] < 128).mean() > 0.98
    assert (alpha[session.canvas.trimap == 255] == 255).all() and (alpha[session.canvas.trimap == 0] == 0).all()
    for _ in range(2):
        assert session.change("undo", None)
    until(lambda: idle(session))
    assert not shown(session).any() and session.state()["redo"] == 2


def test_what_a_page_asks_for_must_be_known(session: PaintSession) -> None:
    for ask in (lambda: session.change("erase all", None), lambda: session.tile("notes", 0, 0, 0),
                lambda: session.show("p", {"box": [1, 2, 3], "zoom": 1})):  # fmt: skip
        with pytest.raises(InputError):
            ask()


def test_a_change_makes_what_is_being_solved_stale(photo: Path) -> None:
    canvas, solved, changed = Canvas(np.full(SIZE, 128, np.uint8)), [], threading.Event()

    def slow(image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        solved.append((canvas.revision, trimap.shape[0]))
        if len(solved) == 1:
            assert changed.wait(120)  # meanwhile the next stroke
        return (trimap == 255).astype(np.float32) * 0.5, []

    for stroke in (KEEP, REMOVE):
        canvas.paint(parse_stroke(stroke))
    session = PaintSession.__new__(PaintSession)
    session.canvas = canvas
    live = LiveMatte(read_picture(photo), canvas, slow, lambda: pytest.fail("nothing is refined"))
    session.live, session.clicks = live, Clicks(canvas, lambda points: canvas.trimap, live.notify)
    until(lambda: len(solved) == 1)
    session.change("stroke", {**KEEP, "points": [[160, 100]]})
    changed.set()
    until(lambda: live.solution is not None and live.solution.revision == 3 and not live.busy)
    live.close()
    assert solved == [(2, 120), (3, 120), (3, 240)]  # the first was given up after its coarsest size


def test_an_error_is_shown_and_the_next_stroke_tries_again(photo: Path) -> None:
    canvas, broken = Canvas(np.full(SIZE, 128, np.uint8)), [True]

    def solver(image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        if broken[0]:
            raise InputError("It is broken.", "Mend it.")
        return (trimap == 255).astype(np.float32), []

    session = PaintSession.__new__(PaintSession)
    session.canvas = canvas
    session.live = live = LiveMatte(read_picture(photo), canvas, solver, lambda: pytest.fail("nothing is refined"))
    session.clicks = Clicks(canvas, lambda points: canvas.trimap, live.notify)
    session.change("stroke", KEEP)
    until(lambda: live.error == "It is broken. Mend it.")
    broken[0] = False
    session.change("stroke", REMOVE)
    until(lambda: live.solution is not None and live.solution.revision == 2 and not live.error)
    live.close()


@pytest.mark.parametrize(("change", "refined"), [(0.001, [0]), (0.02, [0, 256])])
def test_squares_that_nobody_sees_change_are_not_refined_again(photo: Path, change: float, refined: list[int]) -> None:
    canvas, level, places = Canvas(np.full(SIZE, 128, np.uint8)), [0.5], []

    def solver(image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        return np.full(trimap.shape, level[0], np.float32), []

    class Pipeline:
        def refine(self, inputs: RefineInput, alpha: np.ndarray, foreground: bool) -> None:
            places.append(0 if inputs.picture.width > 100 else 256)  # 256 + 32 pixels wide, and 64 + 32

    canvas.paint(parse_stroke({**REMOVE, "points": [[100, 20]]}))
    live = LiveMatte(read_picture(photo), canvas, solver, Pipeline)  # type: ignore[arg-type]
    try:
        live.show("page", View((0, 0, 320, 240), 1.0))
        for x in (20, 60):
            canvas.paint(parse_stroke({**KEEP, "points": [[x, 120]]}))
            live.notify()
            until(lambda: live._wanted() is None and not live.busy)
            assert not live.error
            if x == 20:
                assert sorted(places) == [0, 256]
                places.clear()
                level[0] += change
        assert sorted(places) == refined
    finally:
        live.close()


def test_saved_is_what_was_painted_and_the_command_makes_the_same_bytes(session: PaintSession, tmp_path: Path) -> None:
    session.change("stroke", KEEP)
    session.change("stroke", REMOVE)
    session.start_saving(replace=False)
    until(lambda: session.state()["save"]["state"] not in ("none", "saving"))
    saved = session.state()["save"]
    assert saved["state"] == "saved", saved
    assert sorted(saved["files"]) == ["alpha", "foreground", "trimap"]
    assert (np.asarray(Image.open(saved["files"]["trimap"])) == session.canvas.trimap).all()
    before = {name: Path(path).read_bytes() for name, path in saved["files"].items()}
    words = shlex.split(saved["command"])
    assert words[:2] == ["uhrmat", "image"]
    subprocess.run([sys.executable, "-m", "uhrmat", *words[1:], "--quiet"], check=True, timeout=600)
    assert {name: Path(path).read_bytes() for name, path in saved["files"].items()} == before


def test_files_that_exist_are_replaced_only_when_asked(session: PaintSession, tmp_path: Path) -> None:
    other = tmp_path / "out" / "a photo_trimap.png"
    other.write_bytes(b"mine")
    session.change("stroke", KEEP)
    session.change("stroke", REMOVE)
    session.start_saving(replace=False)
    assert session.state()["save"] == {"state": "exists", "files": [str(other)]}
    assert other.read_bytes() == b"mine"
    session.start_saving(replace=True)
    until(lambda: session.state()["save"]["state"] == "saved")
    assert (np.asarray(Image.open(other)) == session.canvas.trimap).all()


def test_nothing_painted_is_not_saved(session: PaintSession, tmp_path: Path) -> None:
    session.start_saving(replace=False)
    until(lambda: session.state()["save"]["state"] == "failed")
    assert "Nothing is painted" in session.state()["save"]["error"] and not list((tmp_path / "out").iterdir())


def test_it_starts_from_a_mask_a_trimap_a_matte_or_nothing(photo: Path) -> None:
    picture = read_picture(photo)
    mask = np.zeros(SIZE, np.uint8)
    mask[60:180, 90:230] = 255
    small = np.zeros((24, 32), np.float32)
    small[8:16, 10:20], small[7] = 1, 0.5
    trimap = np.where(mask == 255, mask, 128)
    trimap[:10] = 0
    starts = {
        "mask": StartHints(mask=mask), "trimap": StartHints(trimap=trimap), "alpha": StartHints(alpha=small),
        "nothing": StartHints(),
    }  # fmt: skip
    made = {name: start.read(picture, lambda: pytest.fail("no network")) for name, start in starts.items()}
    assert (made["trimap"] == trimap).all() and (made["nothing"] == 128).all()
    assert made["mask"][120, 160] == 255 and made["mask"][0, 0] == 0 and made["mask"][60, 160] == 128
    assert made["alpha"][120, 150] == 255 and made["alpha"][200, 10] == 0 and made["alpha"][75, 300] == 128


def test_it_starts_from_one_hint_only() -> None:
    with pytest.raises(InputError, match="both mask and the network"):
        StartHints(mask=np.ones((2, 2)), find_subject=True)
    with pytest.raises(InputError, match="Both a trimap and a mask"):
        StartHints(mask=np.ones((2, 2)), trimap=np.ones((2, 2)))


def test_a_picture_in_memory_has_nothing_to_save(photo: Path) -> None:
    session = make_session(read_picture(photo), StartHints(), MODEL, "array")
    try:
        with pytest.raises(InputError, match="nothing to save"):
            session.start_saving(replace=False)
        assert session.state()["saves"] is False
    finally:
        session.close()


def test_painting_starts_from_what_the_network_finds(photo: Path, tmp_path: Path) -> None:
    made = open_session(photo, StartHints(find_subject=True), MODEL, tmp_path)
    try:
        y, x = np.mgrid[: SIZE[0], : SIZE[1]]
        away, start = np.hypot(y - 120, x - 160), made.canvas.trimap.copy()
        assert (start[away < 55] == 255).mean() > 0.9 and (start[away > 85] == 0).mean() > 0.9
        made.change("stroke", {"tool": "remove", "shape": "brush", "radius": 8, "points": [[160, 120]]})
        assert made.canvas.trimap[120, 160] == 0
        made.change("stroke", {"tool": "eraser", "shape": "brush", "radius": 9, "points": [[160, 120]]})
        assert (made.canvas.trimap == start).all()
    finally:
        made.close()


def test_a_picture_without_a_subject_is_refused_where_one_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((*SIZE, 3), 128, np.uint8)).save(path)
    with pytest.raises(NoSubjectError):
        open_session(path, StartHints(find_subject=True), MODEL, tmp_path)
    with pytest.raises(InputError, match="both mask and the network"):
        StartHints(mask=path, find_subject=True)
