"""Networks that find people, on street photographs that ours was never trained on.

    python -m benchmarks.person --data DIR [--weights FILE] [--short 256 384 512] [--others DIR] [--videos]

DIR holds people/photo and people/mask (numbers that end with 7 are the ones held out) and textures/. --others: a folder
with other people's networks as in ../shared/data/weights; they need `pip install ai-edge-litert onnxruntime`, each
sees the picture as its authors say. The table: mean IoU at 0.5, its tenth percentile, mean absolute error (x1000), the
largest mean alpha on a picture without people, milliseconds for a picture.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import common
from benchmarks.person_others import others
from uhrmat.hub.bundled import bundled_weights
from uhrmat.prior.networks.lpn import PERSON, load_person
from uhrmat.train.lpn.measure import Segmenter, held_out_people, largest_false_alpha, make_segmenter, measure_people
from uhrmat.train.lpn.photo_cache import PhotoSource, find_sources

_COLUMNS = ("iou", "worst", "mae", "empty", "ms")


def row(finder: Segmenter, people: list[PhotoSource], places: list[PhotoSource]) -> dict[str, float]:
    """All figures of one network."""
    result = measure_people(finder, people) | {"empty": largest_false_alpha(finder, places)}
    picture = np.zeros((830, 550, 3), np.uint8)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        finder(picture)
        times.append(1000 * (time.perf_counter() - began))
    return result | {"ms": float(np.median(times))}


def main() -> None:
    """The command."""
    parser = common.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=None, help="default: those in weights/")
    parser.add_argument("--short", type=int, nargs="+", default=[PERSON.working_size], help="working sizes of ours")
    parser.add_argument("--others", type=Path, default=None)
    parser.add_argument("--count", type=int, default=None, help="photographs, default all that are held out")
    options: argparse.Namespace = parser.parse_args()
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    people = held_out_people(options.data)[: 2 if options.quick else options.count]
    places = [source for source in find_sources(options.data) if source.kind == "places"]
    net = load_person(options.weights or bundled_weights("lpn-person"))
    finders = {f"lpn-person at {short}": make_segmenter(net, short) for short in options.short}
    if options.others:
        finders |= others(options.others, options.threads)
    rows = {}
    print(f"{len(people)} photographs of people, {len(places)} of places\n")
    print(f"| network | {' | '.join(_COLUMNS)} |\n|---|{'---:|' * len(_COLUMNS)}")
    for name, finder in finders.items():
        rows[name] = row(finder, people, places[: 2 if options.quick else None])
        print(f"| {name} | " + " | ".join(f"{rows[name][column]:.4g}" for column in _COLUMNS) + " |", flush=True)
    common.write(options.results, "person", common.header(options.threads, options.quick) | {"rows": rows})


if __name__ == "__main__":
    main()
