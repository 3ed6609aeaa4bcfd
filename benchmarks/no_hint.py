"""Networks without hints as priors: their alpha as it comes against the way of a mask, and the confidence.

    python -m benchmarks.no_hint --data DIR [--onnx NAME=FILE ...] [--weights FILE] [--refiner bilinear] [--count N]
    python -m benchmarks.no_hint --data DIR --confidence [--train]

DIR is a folder like ../shared/data. The first command's table: on dev/validation the mean IoU at 0.5, the share of the
background whose alpha exceeds 0.01, the active share and seconds of the prior; on dev/alphamatting the mean SAD
(thousands) without a trimap. --onnx: networks of the catalogue by name, with their file; --weights: a file of
lpn-subject. --skip: leave out that many photographs of each kind, so that parameters can be chosen on some and reported
on others. The second command: how many photographs with and without a subject are refused and doubtful, on dev/ and the
held-out tenth of train/, or on the rest of train/.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks import common
from benchmarks.subject import KINDS, photographs
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.catalog import find_entry
from uhrmat.media import Picture
from uhrmat.media.resample import area_average
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import PriorMethod, working_shape
from uhrmat.prior.networks.confidence import CONFIDENCE_DEFAULTS
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.networks.onnx import OnnxPrior
from uhrmat.prior.networks.person import PersonPrior
from uhrmat.prior.networks.subject import SubjectPrior
from uhrmat.train.lpn.measure import mask_iou
from uhrmat.train.subject.photos import find_photos, read_image

_COLUMNS = ("iou", "background", "active", "seconds", "SAD")


def networks(options: argparse.Namespace) -> dict[str, PriorMethod]:
    """The networks by name."""
    loaded: dict[str, PriorMethod] = {"lpn-person": PersonPrior(bundled_weights("lpn-person"))}
    if options.weights is not None:
        loaded["lpn-subject"] = SubjectPrior(options.weights)
    for text in options.onnx:
        name, _, file = text.partition("=")
        loaded[name] = OnnxPrior(Path(file), find_entry(name), options.threads)
    return loaded


def row(prior: PriorMethod, options: argparse.Namespace, kinds: tuple[str, ...]) -> dict[str, float]:
    """All figures of one prior."""
    pipeline = StillPipeline(prior, options.refiner, device="cpu", precision="fp32", threads=options.threads)
    figures: list[tuple[float, ...]] = []
    for kind in kinds:
        chosen = (item for item in photographs(options.data) if item[0] == kind)
        for _, picture, mask, counts in islice(chosen, options.skip, options.skip + options.count):
            matte = pipeline.matte(Picture.from_array(picture), foreground=False, keep_empty=True)
            iou = mask_iou((matte.alpha > 0.5) & counts, mask & counts)
            marked = float((matte.alpha[~mask & counts] > 0.01).mean())
            figures.append((iou, marked, matte.stats.active_share, matte.stats.seconds["prior"]))
    errors = []
    for path in sorted((options.data / "dev/alphamatting/GroundTruth").glob("*.png"))[: options.mattes]:
        truth = read_image(path, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255
        photo = read_image(path.parents[1] / "Images" / path.name, cv2.IMREAD_COLOR)[..., ::-1]
        matte = pipeline.matte(Picture.from_array(np.ascontiguousarray(photo)), foreground=False, keep_empty=True)
        errors.append(float(np.abs(matte.alpha - truth).sum()) / 1000)
    means = [float(n) for n in np.mean(figures, axis=0)]
    return dict(zip(_COLUMNS, [*means, float(np.mean(errors)) if errors else float("nan")], strict=True))


def confidence_photographs(data: Path, train: bool, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Photographs (H, W, 3) uint8 RGB with what they show: "person", "other" or "none"."""
    taken = dict.fromkeys(("person", "other", "none"), 0)
    names = {"person": "person", "animal": "other", "object": "other", "none": "none"}
    for item in find_photos(data / "train"):
        kind = names.get(item.photo.tag)
        places = item.photo.source == "textures" and item.photo.window < 1
        wanted = item.photo.window < 0 or places
        if kind is None or not wanted or item.photo.held_out == train or taken[kind] >= count:
            continue
        taken[kind] += 1
        yield kind, np.ascontiguousarray(read_image(item.file, cv2.IMREAD_COLOR)[..., ::-1])
    if not train:
        left = {"people": count, "pets": count}
        for kind, picture, _, _ in photographs(data):
            if left.get(kind, 0) > 0:
                left[kind] -= 1
                yield {"people": "person", "pets": "other"}[kind], picture


def confidence_rows(named: dict[str, PriorMethod], options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Shares of the photographs of each kind that are refused, and that are doubtful, by network."""
    values: dict[tuple[str, str], list[float]] = {}
    for kind, picture in confidence_photographs(options.data, options.train, options.count):
        small = area_average(picture, working_shape(*picture.shape[:2], 512), 255)
        for name, network in named.items():
            values.setdefault((name, kind), []).append(NetworkMatte(network).confidence(small))
    limits = CONFIDENCE_DEFAULTS
    return {
        f"{name}, {kind}": {
            "photographs": len(got),
            "refused": float(np.mean([value < limits.least for value in got])),
            "doubtful": float(np.mean([limits.least <= value < limits.doubtful for value in got])),
        }
        for (name, kind), got in sorted(values.items())
    }


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = common.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--onnx", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--weights", type=Path, default=None)
    parser.add_argument("--refiner", default="bilinear")
    parser.add_argument("--count", type=int, default=20, help="photographs of each kind")
    parser.add_argument("--skip", type=int, default=0, help="photographs of each kind to leave out first")
    parser.add_argument("--mattes", type=int, default=13, help="pictures of dev/alphamatting")
    parser.add_argument("--confidence", action="store_true")
    parser.add_argument("--train", action="store_true", help="with --confidence: on train/, where it was chosen")
    options = parser.parse_args(argv)
    if options.quick:
        options.count, options.mattes = 1, 1
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    named = networks(options)
    rows: dict[str, dict[str, float]] = {}
    if options.confidence:
        rows = confidence_rows(named, options)
        for name, figures in rows.items():
            print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in figures.values()) + " |")
    else:
        print(f"| prior | {' | '.join(_COLUMNS)} |\n|---|{'---:|' * len(_COLUMNS)}")
        for name, network in named.items():
            kinds = ("people",) if name == "lpn-person" else KINDS
            for way, prior in (("as it comes", network), ("as a mask", NetworkMatte(network))):
                rows[f"{name} {way}"] = row(prior, options, kinds)
                shown = " | ".join(f"{value:.3g}" for value in rows[f"{name} {way}"].values())
                print(f"| {name} {way} | {shown} |", flush=True)
    common.write(options.results, "no_hint", common.header(options.threads, options.quick) | {"rows": rows})


if __name__ == "__main__":
    main()
