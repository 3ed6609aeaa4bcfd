"""How soon a stroke is seen on the page of `uhrmat paint`.

    python -m benchmarks.paint [--megapixels 24] [--strokes 20]

Paints alternately on the subject and on the background of a synthetic picture, without a browser, while a window of
1280 × 640 pixels where there is most hair is looked at in full resolution. For each stroke: the seconds until the first
low-resolution alpha of it is there, until the finest one is, and until the whole window is refined; and the processor
seconds of all processes, which on a busy machine say more.
"""

from __future__ import annotations

import argparse
import os
import time

import cv2
import numpy as np

from uhrmat.core.options import ModelOptions
from uhrmat.media import Picture
from uhrmat.painter.run import StartHints, make_session
from uhrmat.painter.session import PaintSession
from uhrmat.train.synth import render_scene

WINDOW = 1280, 640


def processor_seconds(session: PaintSession) -> float:
    """Of this process and the prior's."""
    own = os.times()
    with open(f"/proc/{session._pipeline.process._process.pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return own.user + own.system + (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measured(session: PaintSession, stroke: dict[str, object]) -> tuple[float, float, float, float]:
    """Seconds to the first alpha, to the finest and to the refined window, and processor seconds."""
    start, used = time.perf_counter(), processor_seconds(session)
    session.change("stroke", stroke)
    revision, first, finest = session.canvas.revision, 0.0, 0.0
    while True:
        state = session.state()
        now = time.perf_counter() - start
        if state["solved"] == revision:
            first = first or now
            finest = finest or (now if state["busy"] != "prior" else 0.0)
            if not state["busy"]:
                return first, finest, now, processor_seconds(session) - used
        session.live.wait(state["version"], 1)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--megapixels", type=float, default=24)
    options.add_argument("--strokes", type=int, default=20)
    chosen = options.parse_args()
    height = round((chosen.megapixels * 1e6 / 1.5) ** 0.5)
    scene = render_scene(11, height // 4, round(height * 1.5) // 4, kind="hair", camera=False)
    pixels = np.rint(scene.image * 255).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    alpha = scene.alpha
    session = make_session(Picture.from_array(pixels), StartHints(), ModelOptions(), "benchmark")
    rng = np.random.default_rng(1)
    sides = [np.argwhere(alpha > 0.99), np.argwhere(alpha < 0.01)]
    fractional = ((alpha > 0.05) & (alpha < 0.95)).astype(np.float32)
    sums = cv2.boxFilter(
        fractional, -1, (WINDOW[0] // 4, WINDOW[1] // 4), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    middle = np.unravel_index(sums.argmax(), sums.shape)
    left, top = int(middle[1]) * 4 - WINDOW[0] // 2, int(middle[0]) * 4 - WINDOW[1] // 2
    session.show("page", {"box": [left, top, left + WINDOW[0], top + WINDOW[1]], "zoom": 1})
    rows = []
    try:
        for number in range(chosen.strokes + 2):
            y, x = sides[number % 2][rng.integers(len(sides[number % 2]))] * 4
            stroke = {"tool": ("keep", "remove")[number % 2], "shape": "brush", "radius": height / 80,
                      "points": [[int(x), int(y)], [int(x) + 100, int(y) + 60]]}  # fmt: skip
            row = measured(session, stroke)
            if number >= 2:  # the first two load and warm up
                rows.append(row)
                print("  ".join(f"{value:6.2f}" for value in row), flush=True)
    finally:
        session.finished.set()
        session.close()
    print("median of", len(rows), "strokes: first alpha {:.2f} s, finest {:.2f} s, window {:.2f} s, "
          "processor {:.2f} s".format(*np.median(rows, axis=0)))  # fmt: skip


if __name__ == "__main__":
    main()
