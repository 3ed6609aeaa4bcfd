"""The page in a real browser: what is pressed, and what is seen then. One browser serves all, for it starts slowly."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.report.page.browser import PATIENCE, chromium
from uhrmat.media import Picture
from uhrmat.report.page import ClipFigures, Exhibit, Side, encode, encode_thumbnail, write_page

SIZE = (1300, 2000)
NAME = '<img src=x onerror="document.title=1"> & "q".png'


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with chromium() as made:
        yield made


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A comparison of two mattes larger than the small copy with their truth, and a clip of three frames."""
    folder = tmp_path_factory.mktemp("pages")
    photo = np.zeros((*SIZE, 3), np.uint8)
    photo[..., 2] = 200
    info = Picture.from_array(photo).info
    half = np.zeros(SIZE, np.float32)
    half[:, 1000:] = 1
    half[600:700, 900:1000] = 0.5
    less = half.copy()
    less[:, 1500:] = 0
    active = (half > 0) & (half < 1)
    red = np.full((*SIZE, 3), (220, 0, 0), np.uint8)
    sides = (Side(NAME, half, red, active, info), Side("other.png", less))
    pair = Exhibit(title=NAME, sides=sides, photo=photo, info=info, table=[["", NAME, "other.png"], ["SAD", "1", "2"]])
    judged = Exhibit(title="judged", sides=sides, photo=photo, info=info, truth=np.ones(SIZE, np.float32))
    frames = [Exhibit(title=f"frame {n}", sides=sides[:1], photo=photo, info=info, frame=n) for n in (0, 4, 9)]
    figures = ClipFigures(list(range(10)), {"active share": [0.1 * n for n in range(10)]}, [5])
    small = {number: encode_thumbnail(frames[number % 3]) for number in range(10)}
    doubts = replace(figures, doubtful=[2, 3, 4], lost=[7], best=3, thumbnails=small)
    return {
        "pair": write_page(folder / "pair.html", NAME, [encode(pair)]),
        "judged": write_page(folder / "judged.html", "judged", [encode(judged)]),
        "clip": write_page(folder / "clip.html", "a clip", [encode(f, whole=False) for f in frames], figures),
        "doubts": write_page(folder / "doubts.html", "doubts", [encode(f, whole=False) for f in frames], doubts),
    }


class Page:
    """A page that is open."""

    def __init__(self, driver: Any, path: Path) -> None:
        self.driver = driver
        driver.get(path.as_uri())
        self.until(lambda: self.js("return document.documentElement.dataset.zoom") is not None)

    def js(self, script: str, *values: Any) -> Any:
        return self.driver.execute_script(script, *values)

    def press(self, selector: str) -> None:
        self.driver.find_element("css selector", selector).click()

    def key(self, keys: str) -> None:
        self.driver.find_element("id", "canvas").send_keys(keys)

    def until(self, true: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, "the page did not get there"
            time.sleep(0.1)

    def colour(self, x: float, y: float = 0.25) -> tuple[int, ...]:
        """Of the canvas, at shares of its width and height."""
        box = self.js(
            "const c = document.getElementById('canvas');"
            "return [...c.getContext('2d').getImageData(c.width * arguments[0], c.height * arguments[1], 1, 1).data];",
            x, y,
        )  # fmt: skip
        return tuple(box[:3])

    def becomes(self, x: float, colour: tuple[int, int, int], y: float = 0.25) -> None:
        self.until(lambda: max(abs(a - b) for a, b in zip(self.colour(x, y), colour, strict=True)) <= 6)

    def presses(self, selector: str) -> None:
        """Presses a button, and waits until it says that it is pressed."""
        self.press(selector)
        script = "return document.querySelector(arguments[0]).getAttribute('aria-pressed') === 'true'"
        self.until(lambda: bool(self.js(script, selector)))

    def divide(self, thousandths: int) -> None:
        self.js(
            "const s = document.getElementById('split'); s.value = arguments[0]; s.dispatchEvent(new Event('input'))",
            thousandths,
        )

    def zoom(self) -> float:
        return float(self.js("return document.documentElement.dataset.zoom"))


@pytest.fixture
def pair(driver: Any, pages: dict[str, Path]) -> Page:
    return Page(driver, pages["pair"])


def test_views_and_backgrounds(pair: Page) -> None:
    """Left of the divider is A, right of it B; the subject's own colours where known, else the photograph's."""
    pair.divide(500)
    pair.presses("[data-background=black]")
    pair.becomes(0.3, (0, 0, 0))
    pair.becomes(0.6, (0, 0, 200))
    pair.press("[data-background=green]")
    pair.becomes(0.3, (31, 168, 60))
    pair.presses("[data-view=alpha]")
    assert len(pair.js("return document.querySelectorAll('#views [aria-pressed=true]')")) == 1
    pair.becomes(0.3, (0, 0, 0))
    pair.becomes(0.6, (255, 255, 255))
    pair.press("[data-view=difference]")
    pair.becomes(0.8, (255, 150, 40))
    pair.becomes(0.6, (0, 0, 0))
    pair.press("[data-view=photo]")
    pair.becomes(0.3, (0, 0, 200))


def test_the_divider_moves(pair: Page) -> None:
    """At first it goes through the subject's middle, three quarters of the way; then it stays where it was put."""
    pair.press("[data-background=white]")
    wide = pair.js("return current().width * stage.zoom / canvas.width")
    assert pair.js("return stage.split") == pytest.approx(0.5 + 0.25 * wide, abs=0.001)
    pair.becomes(0.6, (220, 0, 0))
    pair.divide(500)
    pair.becomes(0.6, (0, 0, 200))
    pair.divide(800)
    pair.becomes(0.6, (220, 0, 0))
    pair.key("[[[[[[0")
    pair.becomes(0.6, (0, 0, 200))


def test_the_truth_can_be_seen(driver: Any, pages: dict[str, Path]) -> None:
    page = Page(driver, pages["judged"])
    page.divide(500)
    page.presses("[data-view=truth]")
    page.becomes(0.3, (0, 0, 0))  # A's alpha
    page.becomes(0.8, (255, 255, 255))
    page.key("d")
    page.becomes(0.3, (60, 140, 255))  # A is less than the truth
    assert not page.js("return document.querySelector('[data-view=truth]').hidden")
    page = Page(driver, pages["pair"])
    assert page.js("return document.querySelector('[data-view=truth]').hidden")


def test_it_says_when_the_first_view_is_painted(pair: Page) -> None:
    pair.until(lambda: bool(pair.js("return document.documentElement.dataset.shown")))
    assert 0 < float(pair.js("return document.documentElement.dataset.shown")) < 1000 * PATIENCE


def test_zoom_tiles_and_side_by_side(pair: Page) -> None:
    pair.press("[data-view=alpha]")
    fitted = pair.zoom()
    pair.press("#one")
    pair.until(lambda: pair.zoom() == 1)
    pair.press("#in")
    pair.until(lambda: pair.zoom() == 1.25)
    assert pair.js("return document.getElementById('zoom').textContent") == "125 %"
    pair.presses("#layout")
    pair.until(lambda: pair.js("return [...kept.keys()].some((name) => !name.endsWith('small'))"))
    pair.key("0")
    pair.until(lambda: pair.zoom() < fitted)
    pair.press("#places button")
    pair.until(lambda: pair.zoom() == 1)
    x, y, w, h = pair.js("return DATA.exhibits[0].places[0]")
    assert pair.js("return [stage.x, stage.y]") == [x + w / 2, y + h / 2]
    pair.key("01\ue012")  # the whole, then 1:1 in the middle, then arrow left: the half transparent square
    pair.becomes(0.25, (128, 128, 128), 0.5)
    pair.becomes(0.75, (128, 128, 128), 0.5)
    pair.key("\ue014" * 3)  # arrow right: both panes go along
    pair.becomes(0.25, (255, 255, 255), 0.5)
    pair.becomes(0.75, (255, 255, 255), 0.5)


def test_dragging_and_the_wheel(pair: Page) -> None:
    from selenium.webdriver import ActionChains

    canvas = pair.driver.find_element("id", "canvas")
    before = pair.js("return [stage.x, stage.y, stage.zoom]")
    ActionChains(pair.driver).move_to_element_with_offset(canvas, -200, 60).click_and_hold().move_by_offset(
        -90, 0
    ).release().perform()
    pair.until(lambda: pair.js("return stage.x") > before[0])
    pair.js("document.getElementById('canvas').dispatchEvent(new WheelEvent('wheel', {deltaY: -400, bubbles: true}))")
    pair.until(lambda: pair.zoom() > before[2])


def test_a_picture_as_background(pair: Page, tmp_path: Path) -> None:
    Image.new("RGB", (40, 30), (250, 120, 10)).save(tmp_path / "behind.png")
    pair.driver.find_element("id", "file").send_keys(str(tmp_path / "behind.png"))
    pair.becomes(0.3, (250, 120, 10))
    pair.presses("[data-background=picture]")
    pair.js("const c = document.getElementById('colour'); c.value = '#112233'; c.dispatchEvent(new Event('input'))")
    pair.becomes(0.3, (0x11, 0x22, 0x33))


def test_names_are_text(pair: Page) -> None:
    assert pair.driver.title == NAME
    assert pair.js("return document.querySelector('h1').textContent") == NAME
    assert pair.js("return document.querySelectorAll('img').length") == 0
    assert pair.js("return [...document.querySelectorAll('#table th')].map(t => t.textContent)")[1] == NAME


def test_themes_width_and_silence(pair: Page) -> None:
    """Both themes differ; at phone width nothing sticks out; nothing is fetched and nothing complains."""

    def paper() -> str:
        return str(pair.js("return getComputedStyle(document.body).backgroundColor"))

    first = paper()
    pair.press("#theme")
    assert paper() != first
    pair.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    )
    assert pair.js("return document.documentElement.scrollWidth") <= 390
    pair.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    fetched = pair.js("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith(("data:", "blob:")) for name in fetched)
    assert [line for line in pair.driver.get_log("browser") if line["level"] == "SEVERE"] == []


def test_a_clip_has_a_scrubber(driver: Any, pages: dict[str, Path]) -> None:
    page = Page(driver, pages["clip"])
    assert len(page.js("return document.querySelectorAll('#plots svg .cut')")) == 1
    page.js("const s = document.getElementById('scrub'); s.value = 8; s.dispatchEvent(new Event('input'))")
    page.until(lambda: page.js("return document.getElementById('frame').textContent") == "8 (shown: 9)")
    assert page.js("return document.getElementById('exhibit').value") == "2"
    assert page.js("return document.querySelector('#plots output').textContent") == "80.0 %"
    page.presses("[data-view=active]")
    page.js("stage.beside = true; fit()")
    page.becomes(0.74, (178, 18, 78), 0.5)  # red over the half transparent square
    page.becomes(0.9, (0, 0, 200), 0.5)
    page.key("n")
    page.until(lambda: page.js("return document.getElementById('frame').textContent") == "4")
    assert page.js("return document.getElementById('scrub').value") == "4", "the scrubber goes along"
    assert page.js("return document.getElementById('doubts').hidden && document.getElementById('strip').hidden")


def test_doubtful_frames_are_marked_and_reached(driver: Any, pages: dict[str, Path]) -> None:
    page = Page(driver, pages["doubts"])

    def scrubber() -> str:
        return str(page.js("return document.getElementById('scrub').value"))

    assert page.js("return document.getElementById('doubts').innerText").startswith(
        "The subject is lost in 1 of 10 frames (red). 3 of 10 frames are doubtful (amber)."
    )
    path = "return document.querySelector('#plots svg .doubtful').getAttribute('d')"
    assert page.js(path) == "M2 100V0H3V100ZM3 100V0H4V100ZM4 100V0H5V100Z"
    assert page.js("return document.querySelector('#plots svg .lost').getAttribute('d')") == "M7 100V0H8V100Z"
    assert float(page.js("return document.querySelector('#plots svg .best').getAttribute('x1')")) == 3.45
    thumbs = "return [...document.querySelectorAll('#strip div')].map(one => one.className)"
    assert page.js(thumbs) == ["", "", "doubtful", "doubtful", "doubtful", "", "", "lost", "", ""]
    page.press("#best")
    page.until(lambda: page.js("return document.getElementById('frame').textContent") == "3 (shown: 4)")
    chosen = "return [...document.querySelectorAll('#strip [aria-selected=true]')].map(one => one.dataset.frame)"
    assert page.js(chosen) == ["3"]
    strip = page.driver.find_element("id", "strip")
    strip.send_keys("\ue014\ue014")  # arrow right, twice
    page.until(lambda: scrubber() == "5" and page.js(chosen) == ["5"])
    strip.send_keys("\ue012")
    page.until(lambda: scrubber() == "4")
    strip.send_keys("\ue010")  # end
    page.until(lambda: scrubber() == "9")
    page.key(",,")
    page.until(lambda: scrubber() == "7")
    page.key(".")
    page.until(lambda: scrubber() == "8")
    page.driver.find_elements("css selector", "#strip div")[1].click()
    page.until(lambda: scrubber() == "1" and page.js("return document.getElementById('exhibit').value") == "0")
    page.js(
        "const s = document.querySelector('#plots svg'), b = s.getBoundingClientRect();"
        "s.dispatchEvent(new PointerEvent('pointerdown', {clientX: b.left + 0.75 * b.width, clientY: b.top + 5}))"
    )
    page.until(lambda: scrubber() == "7")
    wait = "return [...document.querySelectorAll('#strip img')].slice(0, 3).every(one => one.naturalWidth === 160)"
    page.until(lambda: bool(page.js(wait)))
    fetched = page.js("return performance.getEntriesByType('resource').map(e => e.name)")
    assert all(name.startswith(("data:", "blob:")) for name in fetched)
    assert [line for line in page.driver.get_log("browser") if line["level"] == "SEVERE"] == []
