"""Strokes beside a trimap: how good is the matte of what a person paints from nothing?

    python -m benchmarks.strokes --pictures DIR --trimaps DIR --truth DIR [--scribbles] [--shake 0.006]

A scripted person (`benchmarks.hand`) draws around the subject, inside of it, and then corrects the live matte where it
is most wrong, twelve strokes at most. With `--scribbles` there are five thin strokes a side instead, through the middle
of what is plainly its own, the widest place first. Every row is a picture: SAD (thousands, over the trimap's unknown
region, 8 bits) from the trimap and from the strokes; how many there were; what share of the picture they leave unknown;
and the seconds of the prior.
"""

from __future__ import annotations

import argparse
import os
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it

import cv2
import numpy as np

from benchmarks.hand import HAND, Hand, HandParams
from benchmarks.quality import Set, measure
from uhrmat.hints.files import read_matte
from uhrmat.media import Picture, read_picture
from uhrmat.media.resample import area_average
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.live import LIVE
from uhrmat.painter.strokes import Stroke as PaintStroke
from uhrmat.pipeline import StillPipeline

SIDE = 160
"""Short side, in pixels, of the small copy on which strokes are planned."""
RADIUS = 1.2
"""Half a stroke's width there."""
APART = 0.14
"""Least distance of two strokes of one side, as a share of the short side."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """One stroke: value 0, 128 or 255, (x, y) and radius in pixels of the picture."""

    value: int
    points: list[Point]
    radius: float
    shape: str = "brush"


def first_strokes(truth: np.ndarray, per_side: int) -> list[Stroke]:
    """Up to `per_side` strokes on either side of a matte (H, W) in [0, 1]."""
    alpha, scale = _small(truth)
    kernel = np.ones((5, 5), np.uint8)
    sides = (255, cv2.erode(alpha, kernel) > 0.98), (0, cv2.dilate(alpha, kernel) < 0.02)
    strokes = []
    for value, region in sides:
        for _ in range(per_side):
            path = _middle_path(region)
            if path is None:
                break
            strokes.append(_stroke(value, path, scale))
            region = region & (_distance_to(path, region.shape) > APART * SIDE)
    return strokes


def draw(strokes: list[Stroke], size: tuple[int, int]) -> np.ndarray:
    """The trimap (H, W) {0, 128, 255} of strokes, later ones over earlier ones."""
    canvas = Canvas(np.full(size, 128, np.uint8))
    tools = {0: "remove", 128: "unknown", 255: "keep"}
    for stroke in strokes:
        points = np.array(stroke.points, np.float64)
        canvas.paint(PaintStroke(tool=tools[stroke.value], shape=stroke.shape, points=points, radius=stroke.radius))
    return canvas.trimap


def _small(alpha: np.ndarray) -> tuple[np.ndarray, float]:
    scale = SIDE / min(alpha.shape)
    return area_average(alpha, (round(alpha.shape[0] * scale), round(alpha.shape[1] * scale))), scale


def _stroke(value: int, path: list[tuple[int, int]], scale: float) -> Stroke:
    return Stroke(value, [((x + 0.5) / scale, (y + 0.5) / scale) for y, x in [*path[::3], path[-1]]], RADIUS / scale)


def _distance_to(path: list[tuple[int, int]], shape: tuple[int, ...]) -> np.ndarray:
    away = np.ones(shape, np.uint8)
    away[tuple(np.array(path).T)] = 0
    return cv2.distanceTransform(away, cv2.DIST_L2, 5)


def _middle_path(region: np.ndarray, least: float = 1.5) -> list[tuple[int, int]] | None:
    """Pixels of a line through the middle of a region's widest part; None where no part is `least` pixels wide."""
    region = np.pad(region[1:-1, 1:-1], 1)
    depth = cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 5)
    if depth.max() < least:
        return None
    start = tuple(int(i) for i in np.unravel_index(depth.argmax(), depth.shape))
    core = region & (depth >= min(0.35 * depth.max(), 6))
    core = cv2.connectedComponents(core.astype(np.uint8))[1]
    core = core == core[start]
    end, _ = _farthest(core, (start[0], start[1]))
    other, before = _farthest(core, end)
    path = [other]
    while path[-1] != end:
        path.append(before[path[-1]])
    middle = max(0, (len(path) - SIDE) // 2)
    return path[middle : middle + SIDE]


def _farthest(
    region: np.ndarray, start: tuple[int, int]
) -> tuple[tuple[int, int], dict[tuple[int, int], tuple[int, int]]]:
    """The pixel of a region with the longest way from `start`, and each pixel's predecessor on its way."""
    before, queue, last = {start: start}, deque([start]), start
    while queue:
        last = queue.popleft()
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                beside = last[0] + dy, last[1] + dx
                if region[beside] and beside not in before:  # the region does not touch the border
                    before[beside] = last
                    queue.append(beside)
    return last, before


def by_hand(picture: Picture, truth: np.ndarray, params: HandParams) -> tuple[np.ndarray, int]:
    """The trimap (H, W) that a scripted person paints, who sees what the page shows; and the number of strokes."""
    seen = StillPipeline(refiner="bilinear", precision="fp32", working_size=LIVE.working_size)
    hand = Hand(truth, lambda trimap: seen.matte(picture, trimap=trimap, foreground=False).alpha, params=params)
    hand.paint()
    return hand.canvas.trimap, hand.strokes


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pictures", "trimaps", "truth"):
        options.add_argument(f"--{name}", type=Path, required=True)
    options.add_argument("--scribbles", action="store_true")
    options.add_argument("--per-side", type=int, default=5, help="scribbles")
    options.add_argument("--shake", type=float, default=HAND.shake, help="of the hand, share of the short side")
    chosen = options.parse_args()
    folder = Set(chosen.pictures, chosen.trimaps, chosen.truth)
    pipeline = StillPipeline(precision="fp32")
    ratios = []
    print(f"{'picture':12}{'trimap':>8}{'strokes':>9}{'ratio':>7}{'count':>7}{'unknown':>9}{'prior s':>9}")
    for name in folder.names:
        files = folder.files(name)
        picture, truth = read_picture(files[0]), read_matte(files[2])
        drawn = measure(pipeline.matte(picture, trimap=files[1], foreground=False).alpha, files)["sad"]
        if chosen.scribbles:
            strokes = first_strokes(truth, chosen.per_side)
            trimap, count = draw(strokes, truth.shape), len(strokes)
        else:
            trimap, count = by_hand(picture, truth, replace(HAND, shake=chosen.shake))
        result = pipeline.matte(picture, trimap=trimap, foreground=False)
        alpha, unknown, seconds = result.alpha, float((trimap == 128).mean()), result.stats.seconds["prior"]
        painted = measure(alpha, files)["sad"]
        ratios.append(painted / drawn)
        row = f"{name:12}{drawn:8.2f}{painted:9.2f}{ratios[-1]:7.2f}{count:7}{unknown:9.3f}{seconds:9.1f}"
        print(row, flush=True)
    within = sum(ratio <= 1.15 for ratio in ratios)
    print(f"median ratio {np.median(ratios):.2f}; within 15 % of the trimap's SAD: {within} of {len(ratios)}")


if __name__ == "__main__":
    main()
