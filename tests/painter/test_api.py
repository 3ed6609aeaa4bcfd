"""`uhrmat.paint`: what is painted comes back; notebooks show a frame."""

from __future__ import annotations

import json
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uhrmat
from tests.painter.clips.conftest import KEEP as CLIP_KEEP
from tests.painter.clips.conftest import SIZE as CLIP_SIZE
from tests.painter.clips.conftest import TINY, moving_disc
from tests.painter.conftest import SIZE
from tests.painter.serving import Client
from tests.painter.test_session import KEEP, REMOVE
from tests.video.helpers import write_stream
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.strokes import parse_stroke
from uhrmat.video.iterate import iterate_clip

OPTIONS = {"device": "cpu", "precision": "fp32", "refiner": "guided"}


class Visitor:
    """Takes the place of the browser: paints and presses Done."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.policy = ""
        self.came = threading.Event()

    def open(self, address: str) -> bool:
        self.addresses.append(address)
        self.came.set()
        return True

    def paint(self) -> None:
        assert self.came.wait(120)
        (address,) = self.addresses
        where, _, token = address.partition("#")
        client = Client(types.SimpleNamespace(port=int(where.rsplit(":", 1)[1].strip("/"))))  # type: ignore[arg-type]
        client.enter(types.SimpleNamespace(address=f"#{token}"))  # type: ignore[arg-type]
        self.policy = client.ask("GET", "/")[2]["content-security-policy"]
        for stroke in (KEEP, REMOVE):
            assert client.ask("POST", "/api/stroke", stroke)[0] == 200
        assert client.ask("POST", "/api/done", {})[0] == 200

    def paint_clip(self) -> None:
        """Paints frames 0 and 3 of a clip, and finds that nothing is matted from this page."""
        assert self.came.wait(120)
        where, _, token = self.addresses[0].partition("#")
        client = Client(types.SimpleNamespace(port=int(where.rsplit(":", 1)[1].strip("/"))))  # type: ignore[arg-type]
        client.enter(types.SimpleNamespace(address=f"#{token}"))  # type: ignore[arg-type]
        assert json.loads(client.ask("GET", "/api/state?frame=0")[1])["saves"] is False
        for frame in (0, 3):
            assert client.ask("POST", "/api/stroke", {**CLIP_KEEP, "frame": frame})[0] == 200
        for action, data in (("save", {}), ("rerun", {"first": 0, "last": 2})):
            status, content, _ = client.ask("POST", f"/api/{action}", data)
            assert status == 400 and "hints go back to the program" in json.loads(content)["error"]
        assert client.ask("POST", "/api/done", {})[0] == 200


def painted(start: np.ndarray) -> np.ndarray:
    canvas = Canvas(start)
    for stroke in (KEEP, REMOVE):
        canvas.paint(parse_stroke(stroke))
    return canvas.trimap


def run(visitor: Visitor, image: Any, visit: Callable[[], None] | None = None, **options: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        visiting: Future[None] = pool.submit(visit or visitor.paint)
        result = uhrmat.paint(image, **OPTIONS, **options)
        visiting.result()
    return result


def test_what_is_painted_comes_back(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor()
    monkeypatch.setattr("webbrowser.open", visitor.open)
    hints = run(visitor, photo)
    assert hints.dtype == np.uint8 and (hints == painted(np.full(SIZE, 128, np.uint8))).all()
    assert "frame-ancestors 'none'" in visitor.policy


def test_an_array_with_a_trimap_to_go_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    visitor = Visitor()
    monkeypatch.setattr("webbrowser.open", visitor.open)
    start = np.full(SIZE, 128, np.uint8)
    start[-10:] = 0
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)
    assert (run(visitor, image, trimap=start) == painted(start)).all()


def test_a_notebook_shows_a_frame(photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    visitor, frames = Visitor(), []
    display = types.ModuleType("IPython.display")
    display.IFrame = lambda address, width, height: (address, width, height)  # type: ignore[attr-defined]
    display.display = lambda frame: (frames.append(frame), visitor.open(frame[0]))  # type: ignore[attr-defined]
    ipython = types.ModuleType("IPython")
    ipython.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr("webbrowser.open", lambda _: pytest.fail("no browser in a notebook"))
    run(visitor, photo, height=500)
    assert frames == [(visitor.addresses[0], "100%", 500)]
    assert "frame-ancestors http://localhost:* http://127.0.0.1:*" in visitor.policy


def test_two_hints_and_unknown_options_are_refused(photo: Path) -> None:
    with pytest.raises(uhrmat.InputError, match="Both a trimap and a mask"):
        uhrmat.paint(photo, trimap=np.zeros(SIZE), mask=np.zeros(SIZE))
    with pytest.raises(TypeError, match="brush"):
        uhrmat.paint(photo, brush=3)


def test_painted_frames_of_a_clip_come_back_by_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip, visitor = write_stream(tmp_path / "take.mkv", moving_disc()), Visitor()
    monkeypatch.setattr("webbrowser.open", visitor.open)
    mask = moving_disc()[2].alpha
    keys = run(visitor, clip, visitor.paint_clip, mask={2: mask})
    assert sorted(keys) == [0, 2, 3] and all(trimap.shape == CLIP_SIZE for trimap in keys.values())
    assert keys[0][36, 30] == 255 and not (keys[0] == 0).any() and (keys[3] == keys[0]).all()
    assert keys[2][36, 38] == 255 and keys[2][2, 90] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["take.mkv"]  # nothing is left beside it
    with uhrmat.MattingPipeline(device="cpu", refiner="guided", precision="fp32") as pipeline:
        frames = iterate_clip(pipeline._open(), clip, {"trimap": keys}, training=TINY, foreground=False)
        assert next(frames).alpha[36, 30] == 1


def test_hints_of_a_clip_that_cannot_be_are_refused(tmp_path: Path) -> None:
    clip = write_stream(tmp_path / "take.mkv", moving_disc())
    with pytest.raises(uhrmat.InputError, match="Both a trimap and a mask"):
        uhrmat.paint(clip, trimap={0: np.zeros(CLIP_SIZE)}, mask=np.zeros(CLIP_SIZE))
    with pytest.raises(uhrmat.InputError, match="both mask and the network"):
        uhrmat.paint(clip, mask={0: moving_disc()[0].alpha}, find_subject=True)
    with pytest.raises(uhrmat.InputError, match="no frame 7"):
        uhrmat.paint(clip, mask={7: moving_disc()[0].alpha})
