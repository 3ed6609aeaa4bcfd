"""The page in a real browser: strokes by mouse and keys, undo, zoom, save, two pages, a server that has gone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.painter.conftest import MODEL
from tests.painter.serving import serving
from tests.report.page.browser import PATIENCE, chromium
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.run import StartHints, make_session, open_session
from uhrmat.painter.server import PaintServer
from uhrmat.painter.session import PaintSession
from uhrmat.painter.strokes import parse_stroke


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as made:
        made.set_window_size(1280, 800)
        yield made


class Page:
    """An open page."""

    def __init__(self, driver: Any, address: str) -> None:
        self.driver = driver
        driver.get("about:blank")
        driver.get(address)
        self.until(lambda: self.data("revision") is not None and self.data("current") == "true")
        self.canvas = driver.find_element("id", "canvas")

    def js(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def data(self, name: str) -> Any:
        return self.js("return document.documentElement.dataset[arguments[0]]", name)

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.js("return JSON.stringify({...document.documentElement.dataset})")
            time.sleep(0.05)

    def revision(self, number: int) -> None:
        """Waits until the page knows and shows a revision."""
        self.until(lambda: self.data("revision") == str(number) and self.data("current") == "true")

    def press(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def drag(self, *points: tuple[int, int]) -> None:
        """Presses the mouse at the first point and leaves it at the last; pixels from the canvas's middle."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder

        actions = ActionBuilder(self.driver, duration=20)
        pointer = actions.pointer_action
        pointer.move_to(self.canvas, *points[0])
        pointer.pointer_down()
        for point in points[1:]:
            pointer.move_to(self.canvas, *point)
        pointer.pointer_up()
        actions.perform()

    def pixel(self, dx: int, dy: int) -> list[int]:
        """The canvas's colour at pixels from its middle."""
        return self.js(
            "const c = document.getElementById('canvas'), d = window.devicePixelRatio;"
            "return [...c.getContext('2d').getImageData(c.width / 2 + arguments[0] * d,"
            " c.height / 2 + arguments[1] * d, 1, 1).data]", dx, dy,
        )  # fmt: skip

    def sent(self) -> Any:
        return json.loads(self.data("sent"))


@pytest.fixture
def server(session: PaintSession) -> Iterator[PaintServer]:
    with serving(session) as made:
        yield made


def test_strokes_by_mouse_undo_zoom_and_save(
    driver: Any, server: PaintServer, session: PaintSession, tmp_path: Path
) -> None:
    page = Page(driver, server.address)
    assert "#" not in driver.current_url  # the token is out of the address
    copy = Canvas(np.full(session.canvas.size, 128, np.uint8))
    zoom = float(page.data("zoom"))
    page.drag((-40, 0), (40, 0))
    page.revision(1)
    stroke = page.sent()
    assert stroke["tool"] == "keep" and stroke["points"][0] == pytest.approx([160 - 40 / zoom, 120], abs=1 / zoom)
    assert stroke["points"][-1] == pytest.approx([160 + 40 / zoom, 120], abs=1 / zoom)
    copy.paint(parse_stroke(stroke))
    page.canvas.send_keys("x]")
    assert float(page.data("radius")) == pytest.approx(stroke["radius"] * 1.25)
    page.drag((-300, -200), (-300, 200), (300, 200))
    page.revision(2)
    copy.paint(parse_stroke(page.sent()))
    page.press("[data-shape=fill]")
    page.drag((200, -250), (300, -250), (300, -100), (210, -200))
    page.revision(3)
    assert page.sent()["shape"] == "fill" and page.sent()["tool"] == "remove"
    copy.paint(parse_stroke(page.sent()))
    assert (session.canvas.trimap == copy.trimap).all() and len(np.unique(copy.trimap)) == 3
    page.press("[data-view=photo]")
    before = page.pixel(270, -220)
    page.canvas.send_keys("z")
    page.revision(4)
    copy.undo()
    page.until(lambda: page.pixel(270, -220) != before)  # no tint any more
    page.press("#redo")
    page.revision(5)
    copy.redo()
    page.canvas.send_keys("1")
    assert float(page.data("zoom")) == 1
    page.canvas.send_keys("++")
    assert float(page.data("zoom")) == pytest.approx(2.25)
    page.press("[data-tool=keep]")
    page.canvas.send_keys("b")
    page.drag((0, 0))
    page.revision(6)
    copy.paint(parse_stroke(page.sent()))
    page.until(lambda: page.data("solved") == "6" and page.data("busy") == "")
    page.press("#save")
    page.until(lambda: page.data("save") == "saved")
    assert "uhrmat image" in driver.find_element("id", "saved-command").text
    page.press("#saved .close")
    saved = np.asarray(Image.open(tmp_path / "out" / "a photo_trimap.png"))
    assert (saved == copy.trimap).all() and (tmp_path / "out" / "a photo_alpha.png").exists()
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_everything_by_keys(driver: Any, server: PaintServer, session: PaintSession) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Page(driver, server.address)
    right, down = Keys.ARROW_RIGHT, Keys.ARROW_DOWN
    page.canvas.send_keys(Keys.ENTER, right * 6, Keys.ENTER)
    page.revision(1)
    line = page.sent()["points"]
    assert line[0] == [160.5, 120.5] and len(line) == 7 and line[-1][0] > line[0][0] and line[-1][1] == 120.5
    page.canvas.send_keys("xl", Keys.ENTER, right * 4, Keys.ENTER, down * 8, Keys.ENTER, Keys.ENTER)
    page.revision(2)
    corners = page.sent()["points"]
    assert page.sent()["tool"] == "remove" and len(corners) == 3 and corners[1][1] == corners[0][1]
    page.canvas.send_keys("b", Keys.ENTER, Keys.ARROW_UP, Keys.ESCAPE)  # given up
    page.canvas.send_keys("u", Keys.SHIFT, right, Keys.NULL, Keys.ENTER, Keys.ENTER)
    page.revision(3)
    assert page.sent()["tool"] == "unknown" and session.canvas.depth == (3, 0)
    page.canvas.send_keys("zzz")
    page.revision(6)
    assert (session.canvas.trimap == 128).all()
    page.canvas.send_keys("y")
    page.revision(7)
    page.canvas.send_keys("a")
    assert page.data("view") == "alpha"
    page.canvas.send_keys("?")
    assert page.js("return document.getElementById('keys').open") is True
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    assert page.js("return document.getElementById('keys').open") is False


def test_outlines_by_mouse_and_by_keys(driver: Any, server: PaintServer, session: PaintSession) -> None:
    from selenium.webdriver.common.keys import Keys

    page = Page(driver, server.address)
    copy = Canvas(np.full(session.canvas.size, 128, np.uint8))
    page.press("[data-shape=outline]")
    page.drag((-150, -120), (150, -120), (150, 120), (-150, 120))
    page.revision(1)
    drawn = page.sent()
    assert drawn["shape"] == "outline" and drawn["tool"] == "keep"
    copy.paint(parse_stroke(drawn))
    assert session.canvas.trimap[120, 160] == 255 and session.canvas.trimap[2, 2] == 0
    right, down = Keys.ARROW_RIGHT, Keys.ARROW_DOWN
    page.canvas.send_keys("bxd")
    page.canvas.send_keys(Keys.ENTER, right * 9, Keys.ENTER, down * 9, Keys.ENTER, Keys.ENTER)
    page.revision(2)
    hole = page.sent()
    assert hole["shape"] == "outline" and hole["tool"] == "remove" and len(hole["points"]) == 3
    copy.paint(parse_stroke(hole))
    assert (session.canvas.trimap == copy.trimap).all()
    page.canvas.send_keys("zz")
    page.revision(4)
    assert (session.canvas.trimap == 128).all()


def test_points_by_mouse_and_by_keys(driver: Any, server: PaintServer, session: PaintSession) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page = Page(driver, server.address)
    zoom = float(page.data("zoom"))
    page.press("[data-shape=point]")
    assert page.data("tool") == "keep"
    page.drag((0, 0))
    clicked = json.loads(page.data("clicked"))
    assert clicked["foreground"] is True and [clicked["x"], clicked["y"]] == pytest.approx([160, 120], abs=1 / zoom)
    page.until(lambda: page.data("points") == "1")
    page.revision(1)
    trimap = session.canvas.trimap.copy()
    assert (trimap[100:140, 140:180] == 255).mean() > 0.97 and (trimap[:30] == 0).mean() > 0.97
    page.until(lambda: page.pixel(-5, -5) == [40, 120, 255, 255])  # the point itself
    page.drag((0, 0), (60, 30))  # no click
    with_shift = ActionChains(driver).key_down(Keys.SHIFT).move_to_element_with_offset(page.canvas, -300, -200)
    with_shift.click().key_up(Keys.SHIFT).perform()
    assert json.loads(page.data("clicked"))["foreground"] is False
    page.revision(2)
    page.canvas.send_keys("x", Keys.ARROW_UP * 3, Keys.ENTER)  # on from where the mouse was
    keyed = json.loads(page.data("clicked"))
    assert keyed["foreground"] is False and keyed["y"] < 120 - 200 / zoom
    page.revision(3)
    assert [point.foreground for point in session.canvas.points] == [True, False, False]
    page.canvas.send_keys("zzz")
    page.revision(6)
    assert (session.canvas.trimap == 128).all() and page.data("points") == "0"
    page.canvas.send_keys("km", Keys.SHIFT, Keys.ENTER, Keys.NULL)
    page.until(lambda: page.data("points") == "1")
    assert json.loads(page.data("clicked"))["foreground"] is False
    page.canvas.send_keys("u")
    assert page.data("shape") == "brush" and page.data("tool") == "unknown"


def test_touch_paints_with_one_finger_and_zooms_with_two(
    driver: Any, server: PaintServer, session: PaintSession
) -> None:
    page = Page(driver, server.address)
    page.js("""
      const c = document.getElementById('canvas'), box = c.getBoundingClientRect();
      c.setPointerCapture = () => {};
      window.touch = (kind, id, x, y, type = 'touch', buttons = 1) => c.dispatchEvent(new PointerEvent(kind, {
        pointerId: id, pointerType: type, buttons, clientX: box.left + box.width / 2 + x,
        clientY: box.top + box.height / 2 + y, bubbles: true, isPrimary: id === 1 }));
    """)
    page.js("touch('pointerdown', 1, -50, 0); touch('pointermove', 1, 50, 0); touch('pointerup', 1, 50, 0)")
    page.revision(1)
    before = float(page.data("zoom"))
    page.js("touch('pointerdown', 1, -50, 0); touch('pointerdown', 2, 50, 0); touch('pointermove', 2, 150, 0);"
            "touch('pointerup', 1, -50, 0); touch('pointerup', 2, 150, 0)")  # fmt: skip
    page.until(lambda: float(page.data("zoom")) == pytest.approx(2 * before))
    page.js("touch('pointerdown', 3, 0, 60, 'pen', 32); touch('pointerup', 3, 0, 60, 'pen', 0)")  # a pen's other end
    page.until(lambda: page.sent()["tool"] == "eraser")
    assert session.canvas.depth == (1, 0)  # two fingers painted nothing, and there was nothing to erase


def test_two_pages_at_once(driver: Any, server: PaintServer, session: PaintSession) -> None:
    first = Page(driver, server.address)
    one = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        second = Page(driver, f"http://127.0.0.1:{server.port}/")  # the browser has the key
        second.drag((-30, 20), (30, 20))
        second.revision(1)
        driver.switch_to.window(one)
        first.revision(1)
        first.canvas.send_keys("x")
        first.drag((-300, -200), (300, -200))
        first.revision(2)
        driver.switch_to.window(driver.window_handles[-1])
        second.revision(2)
        second.press("#undo")
        second.revision(3)
        driver.switch_to.window(one)
        first.revision(3)
        assert session.canvas.depth == (1, 1)
        driver.switch_to.window(driver.window_handles[-1])
    finally:
        driver.close()
        driver.switch_to.window(one)


def test_the_page_says_that_the_server_has_gone(driver: Any, photo: Path, tmp_path: Path) -> None:
    session = open_session(photo, StartHints(), MODEL, tmp_path)
    try:
        with serving(session) as server:
            page = Page(driver, server.address)
            session.live.notify()
        page.until(lambda: page.data("gone") == "true")
        assert "has ended" in driver.find_element("id", "problem").text
    finally:
        session.close()


def test_without_its_token_the_page_says_what_to_do(driver: Any, server: PaintServer) -> None:
    driver.get(f"http://127.0.0.1:{server.port}/#wrong")
    driver.execute_script("localStorage.clear()")
    driver.get("about:blank")
    driver.get(f"http://127.0.0.1:{server.port}/#wrong")
    problem = driver.find_element("id", "problem")
    end = time.monotonic() + PATIENCE
    while not problem.text and time.monotonic() < end:
        time.sleep(0.05)
    assert "printed" in problem.text


def test_a_hundred_megapixels_down_to_single_pixels(driver: Any) -> None:
    from uhrmat.media import Picture

    row = (np.arange(12500) // 50 % 2 * 160 + 40).astype(np.uint8)
    pixels = np.broadcast_to(row[None, :, None], (8000, 12500, 3)).copy()
    pixels[4000, 6250] = (255, 0, 255)
    session = make_session(Picture.from_array(pixels), StartHints(), MODEL, "large")
    try:
        with serving(session) as server:
            page = Page(driver, server.address)
            page.canvas.send_keys("p")
            page.canvas.send_keys("0")
            for _ in range(16):
                page.canvas.send_keys("+")
            assert float(page.data("zoom")) == 40
            page.until(lambda: page.data("current") == "true")
            page.until(lambda: page.pixel(10, 10)[0] > 200 and page.pixel(10, 10)[1] < 90)  # one pixel is 40 wide
            assert max(page.pixel(-60, 10)[:3]) < 120 and min(page.pixel(100, 10)[:3]) > 150  # two bars
            page.canvas.send_keys("[" * 30)
            page.drag((20, 20))
            page.revision(1)
            assert np.argwhere(session.canvas.trimap != 128).tolist() == [[4000, 6250]]
    finally:
        session.finished.set()
        session.close()
