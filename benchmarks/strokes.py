"""The strokes that a person would paint on a picture whose true matte is known.

    python -m benchmarks.strokes --pictures DIR --trimaps DIR --truth DIR [--rounds 0]

Each side gets strokes through the middle of what is plainly its own, the widest place first, as wide as a thin brush.
With `--rounds N`, up to N more follow, each through the middle of the largest mistake of the matte so far. Every row is
a picture: SAD (thousands, over the trimap's unknown region, 8 bits) from the trimap, from the strokes; how many there
were, what share of the picture they leave unknown, and the seconds of the prior.
"""

from __future__ import annotations

import argparse
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.quality import Set, measure
from uhrmat.hints.files import read_matte
from uhrmat.media import Picture, read_picture
from uhrmat.media.resample import area_average
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
    """One stroke: value 0 or 255, (x, y) and radius in pixels of the picture."""

    value: int
    points: list[Point]
    radius: float


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


def next_stroke(matte: np.ndarray, truth: np.ndarray) -> Stroke | None:
    """A stroke through the middle of a matte's largest mistake; None where there is none worth a stroke."""
    (have, scale), want = _small(matte), _small(truth)[0]
    best: tuple[float, int, np.ndarray] | None = None
    for value, region in ((255, (want > 0.95) & (have < 0.8)), (0, (want < 0.05) & (have > 0.2))):
        count, labels = cv2.connectedComponents(region.astype(np.uint8))
        for label in range(1, count):
            part = labels == label
            wrong = float(np.abs(have - want)[part].sum())
            if best is None or wrong > best[0]:
                best = wrong, value, part
    if best is None:
        return None
    path = _middle_path(best[2], least=0.5)
    return None if path is None else _stroke(best[1], path, scale)


def draw(strokes: list[Stroke], size: tuple[int, int]) -> np.ndarray:
    """The trimap (H, W) {0, 128, 255} of strokes, later ones over earlier ones."""
    trimap = np.full(size, 128, np.uint8)
    for stroke in strokes:
        line = np.rint(np.array(stroke.points)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(trimap, [line], False, stroke.value, max(1, round(2 * stroke.radius)))
    return trimap


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


def measured(
    pipeline: StillPipeline, picture: Picture, truth: np.ndarray, per_side: int, rounds: int
) -> tuple[np.ndarray, int, float, float]:
    """The matte from strokes, their number, the share that they leave unknown, and the last prior's seconds."""
    strokes, size = first_strokes(truth, per_side), (picture.height, picture.width)
    rough = StillPipeline(refiner="bilinear", precision="fp32")  # enough to see where the next stroke is needed
    for _ in range(rounds):
        seen = rough.matte(picture, trimap=draw(strokes, size), foreground=False).alpha
        more = next_stroke(seen, truth)
        if more is None:
            break
        strokes.append(more)
    trimap = draw(strokes, size)
    result = pipeline.matte(picture, trimap=trimap, foreground=False)
    return result.alpha, len(strokes), float((trimap == 128).mean()), result.stats.seconds["prior"]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("pictures", "trimaps", "truth"):
        options.add_argument(f"--{name}", type=Path, required=True)
    options.add_argument("--per-side", type=int, default=5)
    options.add_argument("--rounds", type=int, default=0)
    chosen = options.parse_args()
    folder = Set(chosen.pictures, chosen.trimaps, chosen.truth)
    pipeline = StillPipeline(precision="fp32")
    ratios = []
    print(f"{'picture':12}{'trimap':>8}{'strokes':>9}{'ratio':>7}{'count':>7}{'unknown':>9}{'prior s':>9}")
    for name in folder.names:
        files = folder.files(name)
        picture, truth = read_picture(files[0]), read_matte(files[2])
        drawn = measure(pipeline.matte(picture, trimap=files[1], foreground=False).alpha, files)["sad"]
        alpha, count, unknown, seconds = measured(pipeline, picture, truth, chosen.per_side, chosen.rounds)
        painted = measure(alpha, files)["sad"]
        ratios.append(painted / drawn)
        row = f"{name:12}{drawn:8.2f}{painted:9.2f}{ratios[-1]:7.2f}{count:7}{unknown:9.3f}{seconds:9.1f}"
        print(row, flush=True)
    within = sum(ratio <= 1.15 for ratio in ratios)
    print(f"median ratio {np.median(ratios):.2f}; within 15 % of the trimap's SAD: {within} of {len(ratios)}")


if __name__ == "__main__":
    main()
