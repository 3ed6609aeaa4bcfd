"""How long the page of a 4K picture takes to open in a headless Chromium, from navigation to the first view painted.

Run from the repository: `python -m benchmarks.page`; it needs Chromium with its driver and selenium, and writes
results/page.json. The scene is rendered; its exact alpha stands for the mattes, so nothing is matted here. `image` is
the page that `uhrmat image --report` writes, `compare` one of two mattes, their truth and the photograph. The first
opening of each is in a browser that has just started; the page itself takes the time (`data-shown`).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from benchmarks.shot import hair
from tests.report.page.browser import chromium
from uhrmat.media import Picture
from uhrmat.report.page import Exhibit, Side, encode, write_page

SIZE, TINY = (2160, 3840), (128, 160)
GOAL = 2.0


def pages(folder: Path, size: tuple[int, int]) -> dict[str, Path]:
    """An image page and a comparison of a rendered scene of that size."""
    scene = hair(*size)
    pixels = np.rint(scene.image * 255).astype(np.uint8)
    info = Picture.from_array(pixels).info
    softer = cv2.GaussianBlur(scene.alpha, (0, 0), 1.5)
    side = Side("uhrmat", scene.alpha, pixels, scene.trimap == 128, info)
    one = Exhibit(title="scene", sides=(side,), photo=pixels, info=info)
    sides = (Side("a", scene.alpha), Side("b", softer))
    two = Exhibit(title="scene", sides=sides, photo=pixels, info=info, truth=scene.alpha)
    return {
        name: write_page(folder / f"{name}.html", name, [encode(each)])
        for name, each in (("image", one), ("compare", two))
    }


def opened(driver: Any, page: Path) -> float:
    """Seconds from navigation until both panes are painted."""
    driver.get("about:blank")
    driver.get(page.as_uri())
    end = time.monotonic() + 120
    while (shown := driver.execute_script("return document.documentElement.dataset.shown")) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{page} was not painted in two minutes")
        time.sleep(0.02)
    return float(shown) / 1000


def main(argv: list[str] | None = None) -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=7)
    wanted = options.parse_args(argv)
    result: dict[str, Any] = header(wanted.threads, wanted.quick) | {"goal_s": GOAL, "rows": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, page in pages(Path(folder), TINY if wanted.quick else SIZE).items():
            with chromium() as driver:
                times = [opened(driver, page) for _ in range(1 if wanted.quick else wanted.repeats)]
                browser = driver.capabilities["browserVersion"]
            row: dict[str, Any] = {
                "page": name,
                "bytes": page.stat().st_size,
                "first_s": times[0],
                "median_s": median(times),
            }
            result["rows"].append(row | {"largest_s": max(times), "browser": browser})
            print(
                f"{name}: {row['bytes'] / 1e6:.1f} MB; first opening {times[0]:.2f} s, median {median(times):.2f} s, "
                f"largest {max(times):.2f} s (goal {GOAL} s)"
            )
    print(write(wanted.results, "page", result))


if __name__ == "__main__":
    main()
