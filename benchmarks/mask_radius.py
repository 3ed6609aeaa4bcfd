"""The unknown band of masks: SAD by its radius, for exact masks and for what is drawn by hand.

Run from the repository: `python -m benchmarks.mask_radius FOLDER [--radii usual auto 6 20]`, where FOLDER holds Images
and GroundTruth; it writes results/mask_radius.json. From each true alpha five masks are made: exact (alpha above 0.5),
shifted by 1 % of the width, dilated by as much, a polygon (Douglas-Peucker, 1.5 % of the width), and the bounding boxes
of its parts. The trimap is made at full size; the prior `closed-form+knn` solves it at half size, and SAD / 1000 over
the whole picture is counted there, times 4.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.common import header, parser, write
from uhrmat.hints.trimap import choose_radius, default_radius, trimap_from_mask
from uhrmat.media import Picture, read_picture
from uhrmat.media.resample import area_average, downsample_for_display, downsample_trimap
from uhrmat.prior.closed_form.solve import solve

_PRIOR = "closed-form+knn"
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


def sad(picture: Picture, alpha: np.ndarray, mask: np.ndarray, radius: int) -> float:
    """SAD / 1000 of the prior with the trimap that the mask makes."""
    shape = round(picture.height / 2), round(picture.width / 2)
    trimap = downsample_trimap(trimap_from_mask(mask, radius, radius), shape)
    known = (trimap == 255).any() and (trimap == 0).any()
    small = downsample_for_display(picture, shape)
    estimate = solve(small, trimap, _PRIOR)[0] if known else area_average(mask, shape)
    return 4 * float(np.abs(estimate - area_average(alpha, shape)).sum()) / 1000


def radius_of(name: str, picture: Picture, mask: np.ndarray) -> int:
    """The radius in pixels that `usual`, `auto` or a number means."""
    if name == "usual":
        return default_radius(*mask.shape)
    return choose_radius("auto" if name == "auto" else int(name), mask, picture)[0]


def main(arguments: list[str] | None = None) -> None:
    """Measures and writes results/mask_radius.json."""
    options = _options(arguments)
    rows: list[dict[str, Any]] = []
    document: dict[str, Any] = {**header(1, options.quick), "prior": _PRIOR, "rows": rows}
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    for file in sorted((options.folder / "Images").glob("*.png"))[: options.count]:
        picture = read_picture(file)
        truth = read_picture(options.folder / "GroundTruth" / file.name).to_float()
        alpha = np.ascontiguousarray(truth[..., 0] if truth.ndim == 3 else truth)
        for kind, mask in masks(alpha).items():
            known: dict[int, float] = {}
            for name in options.radii:
                radius = radius_of(name, picture, mask)
                if radius not in known:
                    known[radius] = sad(picture, alpha, mask, radius)
                rows.append({"picture": file.name, "kind": kind, "choice": name, "radius": radius,
                             "sad": round(known[radius], 3)})  # fmt: skip
                means[kind, name].append(known[radius])
        document["means"] = {f"{kind}, {name}": round(float(np.mean(x)), 3) for (kind, name), x in means.items()}
        path = write(options.results, "mask_radius", document)
    for kind in _KINDS:
        print(kind, ", ".join(f"{name} {np.mean(means[kind, name]):.2f}" for name in options.radii))
    print(path)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--radii", nargs="*", default=["usual", "auto", "6", "20"])
    options.add_argument("--count", type=int, help="pictures, from the first; all without")
    return options.parse_args(arguments)


if __name__ == "__main__":
    main()
