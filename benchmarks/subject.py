"""Networks that find the subject without hints, on photographs that none of them was trained on here.

    python -m benchmarks.subject --data DIR [--teachers DIR] [--weights FILE ...] [--count N]

DIR is a folder like ../shared/data: dev/validation/coco_other (masks of people, or of all things), dev/validation/
oxford_pets (trimaps), train/photos_free (the photographs tagged "none"; of every set the tenth that is held out, and
the rest for networks that were not trained on them). --teachers: the networks of `uhrmat.train.subject.teachers`, for
comparison in the same run. The table: mean IoU at 0.5 of people, all things and pets, the mean area that is marked on
photographs without a subject, milliseconds for a photograph.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks import common
from uhrmat.hub.bundled import bundled_weights
from uhrmat.media.resample import area_average
from uhrmat.prior.base import working_shape
from uhrmat.prior.networks.lpn import PERSON, PersonNet, load_person, load_subject
from uhrmat.train.lpn.measure import mask_iou
from uhrmat.train.subject.photos import find_photos, read_image
from uhrmat.train.subject.teachers import Ensemble

Finder = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Of a picture (H, W, 3) uint8 RGB, what is found by kind ("subject", "person"): (H, W) float32 in [0, 1]."""
KINDS = ("people", "things", "pets")
_PERSON_OR_ANY = {
    "people": ("person", "subject"),
    "things": ("subject", "person"),
    "pets": ("subject", "animal", "person"),
}
"""Which of a network's planes is compared with the mask of a kind: the first that it has."""


def photographs(data: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Kind, picture (H, W, 3) uint8 RGB, mask and which pixels count, (H, W) bool."""
    for photo in sorted((data / "dev/validation/coco_other").glob("*.jpg")):
        for kind, suffix in (("people", "person"), ("things", "all")):
            path = photo.with_name(f"{photo.stem}_{suffix}.png")
            if path.is_file():
                mask = read_image(path, cv2.IMREAD_GRAYSCALE) > 127
                yield kind, _rgb(photo), mask, np.ones_like(mask)
    for path in sorted((data / "dev/validation/oxford_pets").glob("*_trimap.png")):
        trimap = read_image(path, cv2.IMREAD_GRAYSCALE)
        yield "pets", _rgb(path.with_name(path.name.replace("_trimap.png", ".jpg"))), trimap > 200, trimap != 128


def empty_photographs(data: Path, held_out: bool) -> Iterator[np.ndarray]:
    """Photographs without a subject: those held out, or all."""
    for item in find_photos(data / "train"):
        if item.photo.tag == "none" and item.photo.source != "textures" and (item.photo.held_out or not held_out):
            yield _rgb(item.file)


def row(finder: Finder, data: Path, count: int | None, held_out: bool) -> dict[str, float]:
    """All figures of one network."""
    result: dict[str, list[float]] = {kind: [] for kind in KINDS}
    seconds = []
    for kind, picture, mask, counts in photographs(data):
        if count is not None and len(result[kind]) >= count:
            continue
        began = time.perf_counter()
        planes = finder(picture)
        seconds.append(time.perf_counter() - began)
        plane = next(planes[name] for name in _PERSON_OR_ANY[kind] if name in planes)
        result[kind].append(mask_iou((plane > 0.5) & counts, mask & counts))
    marked = [
        float((next(iter(finder(picture).values())) > 0.5).mean())
        for number, picture in enumerate(empty_photographs(data, held_out))
        if count is None or number < count
    ]
    means = {kind: float(np.mean(values)) if values else float("nan") for kind, values in result.items()}
    area = float(np.mean(marked)) if marked else float("nan")
    return means | {"empty": area, "ms": 1000 * float(np.median(seconds))}


def ours(net: PersonNet, names: tuple[str, ...], short: int) -> Finder:
    """One of our networks at `short` pixels on the short side, mean of a picture and its mirror image."""

    @torch.inference_mode()
    def find(picture: np.ndarray) -> dict[str, np.ndarray]:
        height, width = picture.shape[:2]
        small = area_average(picture, working_shape(height, width, short), 255)
        image = torch.from_numpy(small).permute(2, 0, 1)[None]
        both = torch.sigmoid(net(torch.cat([image, image.flip(-1)])).logits)
        plane = ((both[:1] + both[1:].flip(-1)) / 2)[0].numpy()
        return {name: _enlarged(plane[n], picture) for n, name in enumerate(names)}

    return find


def teacher(ensemble: Ensemble, name: str) -> Finder:
    """One of the teachers, as it comes."""

    @torch.inference_mode()
    def find(picture: np.ndarray) -> dict[str, np.ndarray]:
        image: Tensor = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
        return {kind: plane[0, 0].numpy() for kind, plane in ensemble.predict(name, image).items()}

    return find


def _enlarged(plane: np.ndarray, picture: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.resize(plane, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _rgb(path: Path) -> np.ndarray:
    return np.ascontiguousarray(read_image(path, cv2.IMREAD_COLOR)[..., ::-1])


def main(argv: list[str] | None = None) -> None:
    """The command."""
    parser = common.parser(__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teachers", type=Path, default=None)
    parser.add_argument("--cache", type=Path, default=Path(".cache/teachers"), help="for converted teachers")
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="files of lpn-subject beside those in weights/"
    )
    parser.add_argument("--short", type=int, nargs="+", default=[PERSON.working_size], help="working sizes of ours")
    parser.add_argument("--count", type=int, default=None, help="photographs of each kind, default all")
    options: argparse.Namespace = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    cv2.setNumThreads(options.threads)
    finders: dict[str, tuple[Finder, bool]] = {}
    for short in options.short:
        finders[f"lpn-person at {short}"] = ours(load_person(bundled_weights("lpn-person")), ("person",), short), False
        for path in options.weights:
            finders[f"{path.stem} at {short}"] = ours(load_subject(path), ("subject",), short), True
    if options.teachers is not None:
        ensemble = Ensemble(options.teachers, options.cache)
        finders |= {name: (teacher(ensemble, name), False) for name in ensemble.nets}
    rows = {}
    print(f"| network | {' | '.join(KINDS)} | empty | ms |\n|---|{'---:|' * 5}")
    for name, (finder, held_out) in finders.items():
        rows[name] = row(finder, options.data, 2 if options.quick else options.count, held_out)
        print(f"| {name} | " + " | ".join(f"{value:.3g}" for value in rows[name].values()) + " |", flush=True)
    common.write(options.results, "subject", common.header(options.threads, options.quick) | {"rows": rows})


if __name__ == "__main__":
    main()
