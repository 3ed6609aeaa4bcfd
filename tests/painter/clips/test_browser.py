"""A clip's page in a real browser: frames by mouse and keys, strokes on them, and what is there when it is reopened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.painter.clips.conftest import COUNT
from tests.painter.serving import running
from tests.painter.test_browser import Page
from tests.report.page.browser import chromium
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.clips.server import ClipServer
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.strokes import parse_stroke


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as made:
        made.set_window_size(1280, 900)
        yield made


class ClipPage(Page):
    """An open page of a clip."""

    def at(self, frame: int) -> None:
        """Waits until a frame is shown."""
        self.until(lambda: self.data("frame") == str(frame) and self.data("current") == "true")

    def keys(self, *frames: int) -> None:
        """Waits until these are the key frames."""
        self.until(lambda: self.data("keys") == " ".join(map(str, frames)))


@pytest.fixture
def server(session: ClipSession) -> Iterator[ClipServer]:
    made = ClipServer(session)
    with running(made):
        yield made


def test_frames_are_chosen_by_mouse_and_keys(driver: Any, server: ClipServer) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page = ClipPage(driver, server.address)
    page.at(0)
    page.canvas.send_keys("p")
    page.until(lambda: page.data("thumbnails") == str(COUNT))
    zoom = float(page.data("zoom"))
    place = round((30 - 48) * zoom), 0  # the middle of the disc of frame 0
    disc = page.pixel(*place)
    assert disc[0] > disc[2] + 50
    slider = driver.find_element("id", "scrub")
    ActionChains(driver).move_to_element_with_offset(slider, slider.size["width"] // 2 - 2, 0).click().perform()
    page.at(COUNT - 1)
    assert page.pixel(*place)[0] < disc[0] - 50  # the disc has moved away
    slider.send_keys(Keys.HOME)
    page.at(0)
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.at(2)
    page.canvas.send_keys(".")
    page.at(3)
    page.canvas.send_keys(",", ",")
    page.at(1)
    page.canvas.send_keys(Keys.END)
    page.at(COUNT - 1)
    page.canvas.send_keys(".")  # there is none
    number = driver.find_element("id", "frame")
    assert number.get_attribute("value") == str(COUNT - 1)
    number.clear()
    number.send_keys("1", Keys.ENTER)  # and "1" is no zoom here
    page.at(1)
    assert float(page.data("zoom")) == zoom
    page.press("#next")
    page.at(2)
    assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_frames_are_painted_by_mouse_and_keys_and_are_there_when_the_page_is_reopened(
    driver: Any, session: ClipSession, server: ClipServer, opened: Callable[..., ClipSession]
) -> None:
    from selenium.webdriver.common.keys import Keys

    page = ClipPage(driver, server.address)
    page.canvas.send_keys(Keys.END)
    page.at(6)
    page.drag((-40, 0), (40, 0))
    page.keys(6)
    last = page.sent()
    page.canvas.send_keys(",,,x")
    page.at(3)
    page.canvas.send_keys(Keys.ENTER, Keys.ARROW_RIGHT * 5, Keys.ENTER)
    page.keys(3, 6)
    middle = page.sent()
    assert middle["tool"] == "remove"
    page.canvas.send_keys(">")
    page.at(6)
    page.canvas.send_keys("<")
    page.at(3)
    page.revision(1)
    assert "key frame" in driver.find_element("id", "place").text
    trimaps = {}
    for frame, stroke in ((3, middle), (6, last)):
        copy = Canvas(np.full(session.frames.size, 128, np.uint8))
        assert copy.paint(parse_stroke(stroke))
        trimaps[frame] = copy.trimap
        assert (session.keys.trimap(frame) == copy.trimap).all()
    again = opened()  # another program, on the same clip
    made = ClipServer(again)
    with running(made):
        page = ClipPage(driver, made.address)
        page.keys(3, 6)
        page.canvas.send_keys(">")
        page.at(3)
        assert all((again.keys.trimap(frame) == trimap).all() for frame, trimap in trimaps.items())
        page.canvas.send_keys(Keys.DELETE)
        page.keys(6)
        page.press("#undo")
        page.keys(3, 6)
        assert (again.keys.trimap(3) == trimaps[3]).all()
