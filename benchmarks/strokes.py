"""The strokes that a person would paint on a picture whose true matte is known.

    python -m benchmarks.strokes --pictures DIR --trimaps DIR --truth DIR [--outline] [--rounds 0]

Each side gets strokes through the middle of what is plainly its own, the widest place first, as wide as a thin brush.
With `--outline` the person begins with the tool of that name instead: one outline around each of at most three parts,
along the half-transparent edge and shaken by hand, then lassos of the unknown over hair that reaches beyond its line.
With `--rounds N`, up to N more strokes follow, each through the middle of the largest mistake of the matte so far.
Every row is a picture: SAD (thousands, over the trimap's unknown region, 8 bits) from the trimap, from the strokes; how
many there were, what share of the picture they leave unknown, and the seconds of the prior.
"""

from __future__ import annotations

import argparse
import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command sets it

import cv2
import numpy as np

from benchmarks.quality import Set, measure
from uhrmat.hints.files import read_matte
from uhrmat.media import Picture, read_picture
from uhrmat.media.resample import area_average
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.strokes import Stroke as PaintStroke
from uhrmat.pipeline import StillPipeline

SIDE = 160
"""Short side, in pixels, of the small copy on which strokes are planned."""
RADIUS = 1.2
"""Half a stroke's width there."""
APART = 0.14
"""Least distance of two strokes of one side, as a share of the short side."""
OUTLINE_RADIUS = 4.0
"""Half the width of an outline there: 2.5 % of the picture's short side."""
MOST_STROKES = 12
SHAKE = 1.0
"""Standard deviation of the hand along an outline there, pixels, smoothed over a tenth of its length."""
LEAST_PART = 0.003
"""Share of the picture from which on a part gets an outline of its own."""
LEAST_MISSED = 0.0005
"""Share of the picture from which on wrongly known pixels get a lasso of the unknown."""
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
    canvas = Canvas(np.full(size, 128, np.uint8))
    tools = {0: "remove", 128: "unknown", 255: "keep"}
    for stroke in strokes:
        points = np.array(stroke.points, np.float64)
        canvas.paint(PaintStroke(tool=tools[stroke.value], shape=stroke.shape, points=points, radius=stroke.radius))
    return canvas.trimap


def outlines(truth: np.ndarray, seed: int = 0) -> list[Stroke]:
    """The outlines of a matte (H, W), the largest part first, then of holes, then lassos over what they miss."""
    alpha, scale = _small(truth)
    rng = np.random.default_rng(seed)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))  # a hand follows no twig
    inside = cv2.morphologyEx((alpha > 0.5).astype(np.uint8), cv2.MORPH_CLOSE, disc)
    inside = cv2.morphologyEx(inside, cv2.MORPH_OPEN, disc[1:-1, 1:-1])
    strokes = [_shaken(part, 255, OUTLINE_RADIUS, scale, rng, "outline") for part in _parts(inside, LEAST_PART)[:3]]
    filled = cv2.morphologyEx(inside, cv2.MORPH_DILATE, np.ones((3, 3), np.uint8))
    holes = (filled == 0) & ~_reaches_border(filled == 0) & (cv2.dilate(alpha, np.ones((3, 3), np.uint8)) < 0.05)
    strokes += [_shaken(part, 0, OUTLINE_RADIUS / 2, scale, rng, "outline") for part in _parts(holes, LEAST_PART)[:2]]
    for _ in range(5):
        known = cv2.resize(draw(strokes, truth.shape), alpha.shape[::-1], interpolation=cv2.INTER_NEAREST)
        missed = ((known == 255) & (alpha < 0.9)) | ((known == 0) & (alpha > 0.1))
        near = cv2.dilate(missed.astype(np.uint8), disc, iterations=2)  # neighbours get one lasso
        parts = [part & (cv2.dilate((part & missed).astype(np.uint8), disc) > 0) for part in _parts(near, 0)]
        parts = [part for part in parts if (part & missed).mean() > LEAST_MISSED]
        if not parts:
            break
        wide = max(parts, key=lambda part: float(np.abs(alpha - known / 255.0)[part & missed].sum()))
        wide = cv2.morphologyEx(wide.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((25, 25), np.uint8))
        strokes.append(_shaken(_parts(wide, 0)[0], 128, 1, scale, rng, "fill"))
    return strokes


def _parts(mask: np.ndarray, least: float) -> list[np.ndarray]:
    """Connected parts of a mask with at least a share of its pixels, the largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    order = sorted(range(1, count), key=lambda label: -stats[label, cv2.CC_STAT_AREA])
    return [labels == label for label in order if stats[label, cv2.CC_STAT_AREA] >= least * mask.size]


def _reaches_border(mask: np.ndarray) -> np.ndarray:
    """Parts of a mask that touch the border."""
    labels = cv2.connectedComponents(mask.astype(np.uint8))[1]
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.asarray(np.isin(labels, rim[rim > 0]))


def _shaken(part: np.ndarray, value: int, radius: float, scale: float, rng: np.random.Generator, shape: str) -> Stroke:
    """The outer contour of a part, as a hand draws it. At the border the line runs outside of the picture."""
    padded = np.pad(part, 1).astype(np.uint8)
    contours = cv2.findContours(padded, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    line = max(contours, key=len)[:, 0].astype(np.float64) - 0.5
    n = len(line)
    noise = np.fft.irfft(np.fft.rfft(rng.normal(0, 1, (n, 2)), axis=0)[: 1 + min(10, n // 2)], n, axis=0)
    line += SHAKE * noise / max(1e-9, float(noise.std()))
    size = np.array(part.shape[::-1])
    away = np.where(line < 2, -3 * radius, 0) + np.where(line > size - 2, 3 * radius, 0)
    points = (line + away)[::3] / scale
    return Stroke(value, [(float(x), float(y)) for x, y in points], radius / scale, shape)


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
    pipeline: StillPipeline, picture: Picture, truth: np.ndarray, per_side: int, rounds: int, outline: bool
) -> tuple[np.ndarray, int, float, float]:
    """The matte from strokes, their number, the share that they leave unknown, and the last prior's seconds."""
    size = picture.height, picture.width
    strokes = outlines(truth) if outline else first_strokes(truth, per_side)
    rough = StillPipeline(refiner="bilinear", precision="fp32")  # enough to see where the next stroke is needed
    for _ in range(min(rounds, MOST_STROKES - len(strokes)) if outline else rounds):
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
    options.add_argument("--outline", action="store_true")
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
        alpha, count, unknown, seconds = measured(
            pipeline, picture, truth, chosen.per_side, chosen.rounds, chosen.outline
        )
        painted = measure(alpha, files)["sad"]
        ratios.append(painted / drawn)
        row = f"{name:12}{drawn:8.2f}{painted:9.2f}{ratios[-1]:7.2f}{count:7}{unknown:9.3f}{seconds:9.1f}"
        print(row, flush=True)
    within = sum(ratio <= 1.15 for ratio in ratios)
    print(f"median ratio {np.median(ratios):.2f}; within 15 % of the trimap's SAD: {within} of {len(ratios)}")


if __name__ == "__main__":
    main()
