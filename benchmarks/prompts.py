"""What a box and a click find: the prior for prompts, GrabCut alone, the network without a hint.

    python -m benchmarks.prompts --data DIR [--train] [--count N] [--side 320]

DIR is a folder like ../shared/data. Each mask of dev/validation (or, to choose parameters, of train/photos_masked)
stands for a user: the box is its bounding box, the click its innermost pixel. The table: mean IoU at 0.5 by kind of
photograph, and over those masks of which one connected part has at least 80 %, which is what one box or one click can
mean. GrabCut alone gets the box, or 25 % of the short side around the click as likely foreground; the network alone is
cut to the box, or to the part under the click.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import common
from benchmarks.subject import photographs
from uhrmat.hints.prompts import Box, Point, Prompts
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, working_shape
from uhrmat.prior.networks.registry import load_bundled_subject
from uhrmat.prior.prompts.grabcut import BACKGROUND, FOREGROUND, LIKELY_BACKGROUND, LIKELY_FOREGROUND, grabcut
from uhrmat.prior.prompts.locate import PromptLocator
from uhrmat.train.lpn.measure import mask_iou
from uhrmat.train.subject.photos import read_image

_ONE_PART = 0.8
_LEAST, _MOST = 0.005, 0.9
"""Shares of the picture between which a mask is used."""
Case = tuple[str, np.ndarray, np.ndarray, np.ndarray]


def cases(data: Path, train: bool) -> Iterator[Case]:
    """Kind, picture (H, W, 3) uint8 RGB, mask and which pixels count, (H, W) bool."""
    if not train:
        yield from photographs(data)
        return
    for photo in sorted((data / "train/photos_masked/coco_ccby").glob("*.jpg")):
        pixels = np.ascontiguousarray(read_image(photo, cv2.IMREAD_COLOR)[..., ::-1])
        for kind in ("person", "all"):
            mask = read_image(photo.with_name(f"{photo.stem}_{kind}.png"), cv2.IMREAD_GRAYSCALE) > 127
            yield kind, pixels, mask, np.ones_like(mask)


def bounding_box(mask: np.ndarray) -> Box:
    """The bounding box of a mask (h, w)."""
    rows, columns = np.nonzero(mask)
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def innermost(mask: np.ndarray) -> Point:
    """The pixel of a mask (h, w) farthest from its edge."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(distance.argmax()), mask.shape)
    return Point(float(column), float(row))


def in_one_part(mask: np.ndarray) -> bool:
    """Whether one connected part of a mask (h, w) has at least 80 % of it."""
    areas = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return bool(areas.max() >= _ONE_PART * areas.sum())


def part_at(region: np.ndarray, point: Point) -> np.ndarray:
    """The connected part of a region (h, w) at a point; nothing where it is not in the region."""
    _, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    return np.asarray((labels == labels[int(point.y), int(point.x)]) & region)


def masks_of(locator: PromptLocator, network: np.ndarray, small: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """The masks (h, w) that each method makes of the box and of the click."""
    box, point = bounding_box(mask), innermost(mask)
    inside = np.zeros(mask.shape, bool)
    inside[int(box.y0) : int(box.y1), int(box.x0) : int(box.x1)] = True
    away = np.ones(mask.shape, np.uint8)
    away[int(point.y), int(point.x)] = 0
    distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_5)
    seeds = np.where(distance < 0.25 * min(mask.shape), LIKELY_FOREGROUND, LIKELY_BACKGROUND).astype(np.uint8)
    seeds[distance < 0.02 * min(mask.shape)] = FOREGROUND
    framed = np.where(inside, LIKELY_FOREGROUND, BACKGROUND).astype(np.uint8)
    return {
        "box, ours": locator(small, LowResHints(prompts=Prompts(boxes=(box,)))).alpha > 0.5,
        "box, GrabCut": grabcut(small, framed) > 0,
        "box, network": (network > 0.5) & inside,
        "click, ours": locator(small, LowResHints(prompts=Prompts((point,)))).alpha > 0.5,
        "click, GrabCut": part_at(grabcut(small, seeds) > 0, point),
        "click, network": part_at(network > 0.5, point),
        "no hint": network > 0.5,
    }


def rows(options: argparse.Namespace, locator: PromptLocator) -> dict[str, dict[str, float]]:
    """Mean IoU of each method by kind, and over masks in one part."""
    network = load_bundled_subject()
    values: dict[str, dict[str, list[float]]] = {}
    taken: dict[str, int] = {}
    for kind, picture, mask, counts in cases(options.data, options.train):
        if not _LEAST < float(mask.mean()) < _MOST or taken.get(kind, 0) >= options.count:
            continue
        taken[kind] = taken.get(kind, 0) + 1
        shape = working_shape(*picture.shape[:2], options.side)
        small = area_average(picture, shape, 255)
        target, known = (area_average(plane.astype(np.float32), shape) > 0.5 for plane in (mask, counts))
        own = working_shape(*shape, network.working_size)
        alone = area_average(network(area_average(small, own), LowResHints()).alpha, shape)
        groups = [kind, *(["in one part"] if in_one_part(target) else [])]
        for name, made in masks_of(locator, alone, small, target).items():
            for group in groups:
                values.setdefault(name, {}).setdefault(group, []).append(mask_iou(made & known, target & known))
    table = {name: {group: float(np.mean(got)) for group, got in by.items()} for name, by in values.items()}
    table["masks"] = {group: float(len(got)) for group, got in values["no hint"].items()}
    return table


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = common.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--train", action="store_true", help="the photographs on which parameters were chosen")
    parser.add_argument("--count", type=int, default=1000, help="masks of each kind")
    parser.add_argument("--side", type=int, default=320, help="short side of the pictures in pixels")
    options = parser.parse_args(argv)
    if options.quick:
        options.count, options.side = 1, 96
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    began = time.perf_counter()
    table = rows(options, PromptLocator(load_bundled_subject()))
    groups = list(table["masks"])
    print(f"| method | {' | '.join(groups)} |\n|---|{'---:|' * len(groups)}")
    for name, by in table.items():
        print(f"| {name} | {' | '.join(f'{by.get(group, float()):.3g}' for group in groups)} |")
    seconds = time.perf_counter() - began
    result = {"rows": table, "seconds": seconds, "train": options.train, "side": options.side}
    common.write(options.results, "prompts", common.header(options.threads, options.quick) | result)


if __name__ == "__main__":
    main()
