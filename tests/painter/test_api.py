"""`uhrmat.paint`: what is painted comes back; notebooks show a frame."""

from __future__ import annotations

import sys
import threading
import types
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uhrmat
from tests.painter.conftest import SIZE
from tests.painter.serving import Client
from tests.painter.test_session import KEEP, REMOVE
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.strokes import parse_stroke

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


def painted(start: np.ndarray) -> np.ndarray:
    canvas = Canvas(start)
    for stroke in (KEEP, REMOVE):
        canvas.paint(parse_stroke(stroke))
    return canvas.trimap


def run(visitor: Visitor, image: Any, **options: Any) -> np.ndarray:
    with ThreadPoolExecutor(1) as pool:
        visiting: Future[None] = pool.submit(visitor.paint)
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
