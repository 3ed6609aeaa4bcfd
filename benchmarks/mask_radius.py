"""The unknown band of masks: SAD by its radius, for exact masks and for what is drawn by hand.

Run from the repository: `python -m benchmarks.mask_radius FOLDER [--priors auto closed-form+knn] [--radii widened usual
auto 6 20]`, where FOLDER holds Images and GroundTruth; it writes results/mask_radius.json. From each true alpha five
masks are made: exact (alpha above 0.5), shifted by 1 % of the width, dilated by as much, a polygon (Douglas-Peucker,
1.5 % of the width), and the bounding boxes of its parts. Each goes the whole path of `uhrmat image`, and SAD / 1000
over the whole picture is counted. "widened" is what the command does without --radius; "usual" is the same radius as a
number, so that the band stays as it is.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from uhrmat import MattingPipeline
from uhrmat.hints.radius import Radius
from uhrmat.hints.trimap import default_radius
from uhrmat.media import read_picture

_KINDS = ("exact", "shifted", "dilated", "polygon", "box")
_SMALLEST = 0.002
"""Share of the picture below which a part of the subject gets no polygon or box."""


def masks(alpha: np.ndarray) -> dict[str, np.ndarray]:
    """Masks (H, W) float32 {0, 1} by kind, from an alpha (H, W) in [0, 1]."""
    height, width = alpha.shape
    exact, step = (alpha > 0.5).astype(np.uint8), max(1, round(0.01 * width))
    shifted = np.concatenate([exact[:, :1].repeat(step, axis=1), exact[:, :-step]], axis=1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * step + 1, 2 * step + 1))
    contours, _ = cv2.findContours(exact, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygon, box = np.zeros_like(exact), np.zeros_like(exact)
    for contour in contours:
        if cv2.contourArea(contour) <= _SMALLEST * alpha.size:
            continue
        corners = np.asarray(cv2.approxPolyDP(contour, 0.015 * width, True))
        if len(corners) > 2:
            cv2.fillPoly(polygon, [corners], 1.0)
        x, y, across, down = cv2.boundingRect(contour)
        box[y : y + down, x : x + across] = 1
    made = {"exact": exact, "shifted": shifted, "dilated": cv2.dilate(exact, disc), "polygon": polygon, "box": box}
    return {name: mask.astype(np.float32) for name, mask in made.items()}


def radius_of(name: str, mask: np.ndarray) -> Radius:
    """What `--radius` gets for `widened`, `usual`, `auto` or a number."""
    if name == "widened":
        return None
    if name == "usual":
        return default_radius(*mask.shape)
    return "auto" if name == "auto" else int(name)


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/mask_radius.json."""
    options = _options(arguments)
    rows: list[dict[str, Any]] = []
    document: dict[str, Any] = {**header(options.threads, options.quick), "rows": rows}
    sums: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    pipelines = {name: MattingPipeline(prior=name, threads=options.threads) for name in options.priors}
    for file in sorted((options.folder / "Images").glob("*.png"))[: options.count]:
        truth = read_picture(options.folder / "GroundTruth" / file.name).to_float()
        alpha = np.ascontiguousarray(truth[..., 0] if truth.ndim == 3 else truth)
        for kind, mask in masks(alpha).items():
            for (prior, pipeline), choice in product(pipelines.items(), options.radii if kind in options.kinds else ()):
                matte = pipeline(file, mask=mask, radius=radius_of(choice, mask), foreground=False).alpha
                sad = float(np.abs(matte - alpha).sum()) / 1000
                row = {"picture": file.name, "kind": kind, "prior": prior, "choice": choice}
                rows.append({**row, "sad": round(sad, 3)})
                sums[kind, prior, choice].append(sad)
        means = {key: float(np.mean(values)) for key, values in sums.items()}
        document["means"] = {", ".join(key): round(mean, 3) for key, mean in means.items()}
        path = write(options.results, "mask_radius", document)
    for kind, prior in product(options.kinds, options.priors):
        figures = (f"{choice} {means[kind, prior, choice]:.3f}" for choice in options.radii)
        print(f"{kind}, {prior}:", ", ".join(figures))
    print(path)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--priors", nargs="+", default=["auto"])
    options.add_argument("--radii", nargs="+", default=["widened", "usual", "auto", "6", "20"])
    options.add_argument("--kinds", nargs="+", default=_KINDS, choices=_KINDS)
    options.add_argument("--count", type=int, help="pictures, from the first; all without")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
