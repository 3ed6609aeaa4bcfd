"""A clip's page in a real browser: frames by mouse and keys, strokes on them, and what is there when it is reopened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.painter.clips.conftest import COUNT, REMOVE, STEP
from tests.painter.clips.test_open import large_disc
from tests.painter.clips.test_runs import paint_frames, stuck_runs
from tests.painter.conftest import MODEL
from tests.painter.serving import running
from tests.painter.test_browser import Page
from tests.report.page.browser import chromium
from tests.video.helpers import write_stream
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.clips.open import open_clip_session
from uhrmat.painter.clips.server import ClipServer
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.run import StartHints
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
    page.until(lambda: page.pixel(*place)[0] > page.pixel(*place)[2] + 50)
    disc = page.pixel(*place)
    slider = driver.find_element("id", "scrub")
    ActionChains(driver).move_to_element_with_offset(slider, slider.size["width"] // 2 - 2, 0).click().perform()
    page.at(COUNT - 1)
    page.until(lambda: page.pixel(*place)[0] < disc[0] - 50)  # the disc has moved away
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


def test_masks_of_neighbours_appear_and_doubtful_frames_are_marked(
    driver: Any, session: ClipSession, server: ClipServer
) -> None:
    page = ClipPage(driver, server.address)
    paint_frames(session, [0])
    page.keys(0)
    page.until(lambda: page.data("masked") == f"[[0,{COUNT - 1}]]" and page.data("ahead") == "")
    page.canvas.send_keys("...a")
    page.at(3)
    assert "key frame" not in driver.find_element("id", "place").text
    zoom = float(page.data("zoom"))
    disc, scene = (round((30 + 3 * STEP - 48) * zoom), 0), (round(40 * zoom), round(-30 * zoom))
    page.until(lambda: page.pixel(*disc)[0] > 200 and page.pixel(*scene)[0] < 60)
    session.ahead.hold(True)
    doubtful, sure = {"confidence": 0.2, "propagation": "doubtful"}, {"confidence": 0.9, "propagation": "sure"}
    session._take_figures([{"number": at, **(doubtful if at in (2, 3, 5) else sure)} for at in range(COUNT)])
    session.notify()
    page.until(lambda: page.data("doubtful") == "[[2,3],[5,5]]" and page.data("best") == "3")
    amber = page.js(
        "const c = document.querySelector('.strip canvas'), p = c.getContext('2d'), d = window.devicePixelRatio;"
        "const at = (f) => [...p.getImageData((1 + f / 6 * (c.width / d - 2)) * d - 12 * d, 50 * d, 1, 1).data];"
        "return [at(2), at(4)]"
    )
    assert amber[0][0] > 200 and amber[0][2] < 60 and amber[1] != amber[0]
    assert "doubtful" in driver.find_element("id", "place").text
    page.canvas.send_keys("n")
    page.at(5)
    page.canvas.send_keys("N")
    page.at(3)
    page.press("#doubtful")
    page.at(5)
    page.canvas.send_keys("h")
    page.at(3)
    page.canvas.send_keys("v")  # go on from the mask
    page.keys(0, 3)
    trimap = session.keys.trimap(3)
    assert trimap[36, 30 + 3 * STEP] == 255 and trimap[4, 90] == 0


def test_a_click_on_a_frame_makes_its_first_mask(driver: Any, tmp_path: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    clip = write_stream(tmp_path / "big.mkv", large_disc())
    session = open_clip_session(clip, StartHints(), MODEL, tmp_path / "out")
    try:
        session.ahead.hold(True)
        made = ClipServer(session)
        with running(made):
            page = ClipPage(driver, made.address)
            page.canvas.send_keys(".m")
            page.at(1)
            page.drag((0, 0))
            page.keys(1)
            page.until(lambda: page.data("points") == "1" and page.data("busy") != "points")
            trimap = session.keys.trimap(1)
            assert (trimap[100:140, 140:180] == 255).mean() > 0.97 and (trimap[:30] == 0).mean() > 0.97
            page.canvas.send_keys(",")
            page.at(0)
            page.until(lambda: page.data("points") == "0")
            page.canvas.send_keys(".")
            page.at(1)
            page.until(lambda: page.data("points") == "1")
            with_shift = ActionChains(driver).key_down(Keys.SHIFT).move_to_element_with_offset(page.canvas, -200, -150)
            with_shift.click().key_up(Keys.SHIFT).perform()
            page.until(lambda: page.data("points") == "2" and page.data("busy") != "points")
            page.canvas.send_keys("zz")
            page.keys()
            page.until(lambda: page.data("points") == "0")
            assert (session.keys.trimap(1) == 128).all()
    finally:
        session.finished.set()
        session.close()


def test_the_clip_and_a_range_of_it_are_matted_from_the_page(
    driver: Any, session: ClipSession, server: ClipServer, clip: Path
) -> None:
    page, result = ClipPage(driver, server.address), clip.with_name("a take_alpha.mov")
    page.press("#save")
    page.until(lambda: "No frame is painted yet" in driver.find_element("id", "problem").text)
    paint_frames(session, range(COUNT))
    page.keys(*range(COUNT))
    page.press("#save")
    page.until(lambda: page.data("save") == "saved")
    command = driver.find_element("id", "saved-command").text
    assert command.startswith(f"uhrmat video '{clip}' --trimap '{session.keys.folder}'")
    assert command.endswith("--overwrite")
    assert str(result) in driver.find_element("id", "saved-files").text
    page.press("#saved .close")
    page.until(lambda: page.data("finished") == "true")
    assert "finished matte" in driver.find_element("id", "place").text
    whole = result.read_bytes()
    assert session.change(5, "stroke", {**REMOVE, "radius": 12})
    page.until(lambda: page.data("finished") == "false")
    page.canvas.send_keys("....i")
    page.at(4)
    page.canvas.send_keys(".j")
    page.at(5)
    assert [driver.find_element("id", name).get_attribute("value") for name in ("first", "last")] == ["4", "5"]
    page.press("#rerun")
    page.until(lambda: driver.find_element("id", "saved-command").text.endswith("--redo 4-5"))
    assert page.data("save") == "saved"
    page.press("#saved .close")
    assert result.read_bytes() != whole
    page.press("#save")  # the result is there
    page.until(lambda: page.data("save") == "exists")
    with stuck_runs():
        page.press("#replace")
        page.until(lambda: page.data("save") == "saving")
        page.press("#cancel")
        page.until(lambda: page.data("save") == "cancelled")
    assert "goes on from there" in driver.find_element("id", "place").text
    assert result.read_bytes() != whole  # the result of before is there still
