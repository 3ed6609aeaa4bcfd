"""How soon a stroke is seen on the page of `uhrmat paint`.

    python -m benchmarks.paint [--megapixels 24] [--strokes 20]

Paints a synthetic picture without a browser: ten strokes first, five on either side, as a person begins; then, while a
window of 1280 × 640 pixels where there is most hair is looked at in full resolution, strokes about that window,
alternately on the subject and on the background. For each of these: the seconds until the first low-resolution alpha of
it is there, until the finest one is, and until the whole window is refined; the processor seconds of all processes,
which on a busy machine say more; and how many of the window's pixels the refiner computed.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it

import cv2
import numpy as np

from benchmarks.strokes import first_strokes
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


def active_share(session: PaintSession) -> float:
    """Share of fractional alphas in the window's refined squares."""
    tiles = [tile.alpha for tile in session.live._tiles.values()]
    return float(np.mean([((alpha > 0) & (alpha < 1)).mean() for alpha in tiles])) if tiles else 0.0


def measured(session: PaintSession, stroke: dict[str, object]) -> tuple[float, ...]:
    """Seconds to the first alpha, to the finest and to the refined window, processor seconds, active share."""
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
                if state["error"]:
                    raise RuntimeError(state["error"])
                return first, finest, now, processor_seconds(session) - used, active_share(session)
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
    fractional = ((alpha > 0.05) & (alpha < 0.95)).astype(np.float32)
    sums = cv2.boxFilter(
        fractional, -1, (WINDOW[0] // 4, WINDOW[1] // 4), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    inside = np.s_[WINDOW[1] // 8 : -(WINDOW[1] // 8), WINDOW[0] // 8 : -(WINDOW[0] // 8)]
    middle = np.array(np.unravel_index(sums[inside].argmax(), sums[inside].shape))
    left, top = int(middle[1]) * 4, int(middle[0]) * 4
    box = [left, top, left + WINDOW[0], top + WINDOW[1]]
    near = np.zeros(alpha.shape, bool)
    near[top // 4 : box[3] // 4, left // 4 : box[2] // 4] = True
    sides = [np.argwhere(near & (alpha > 0.99)), np.argwhere(near & (alpha < 0.01))]
    rows = []
    try:
        for first in first_strokes(alpha, 5):
            points, tool = [[4 * x, 4 * y] for x, y in first.points], "keep" if first.value else "remove"
            measured(session, {"tool": tool, "shape": "brush", "radius": first.radius * 4, "points": points})
        session.show("page", {"box": box, "zoom": 1})
        for number in range(chosen.strokes + 2):
            y, x = sides[number % 2][rng.integers(len(sides[number % 2]))] * 4
            stroke = {"tool": ("keep", "remove")[number % 2], "shape": "brush", "radius": height / 80,
                      "points": [[int(x), int(y)], [int(x) + 60, int(y) + 40]]}  # fmt: skip
            row = measured(session, stroke)
            if number >= 2:  # the first two load and warm up
                rows.append(row)
                print("  ".join(f"{value:6.2f}" for value in row), flush=True)
    finally:
        session.finished.set()
        session.close()
    print("median of", len(rows), "strokes: first alpha {:.2f} s, finest {:.2f} s, window {:.2f} s, "
          "processor {:.2f} s, window active {:.2f}".format(*np.median(rows, axis=0)))  # fmt: skip


if __name__ == "__main__":
    main()
