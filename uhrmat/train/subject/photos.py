"""The photographs that the subject network is trained on: listed, read once, cached at small size in one file.

A folder like data/train holds people/ (photographs with person masks), photos_masked/*/ (photographs with NAME_all.png
and NAME_person.png and an index.tsv), photos_free/*/ (photographs without masks, tagged by eye in index.tsv), mattes/
(photographs with alphas) and textures/ (places without a subject). All are optional but people/ and photos_free/.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media import atomic_write
from uhrmat.media.raster import cv2_read
from uhrmat.train.cache import stale_cache
from uhrmat.train.lpn.photo_cache import held_out
from uhrmat.train.synth import find_training_data

TAGS = ("person", "animal", "object", "none", "ambiguous")
CACHE_VERSION = "2"
"""Layout of the file of `write_photos`; raised whenever `Photo` or the stored pictures change."""
LONGEST_SIDE = 400
"""Longest side of a cached photograph, pixels: enough for training views of 320."""
_QUALITY = 74
"""WebP quality of cached photographs, in [0, 100]."""
_PLACES = 8
"""Windows taken of each large photograph of a place."""
_HELD_OUT = 10
"""One in so many photographs of each free set is never trained on."""


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A photograph and what is known of it.

    Attributes:
        source: the set it comes from.
        name: of the file, without its suffix.
        tag: one of TAGS, what the main subject is.
        held_out: used for validation only.
        window: index of a window of a large photograph, -1 for the whole.
        subject: whether it has a subject mask; without one, teachers label it (or it is empty, tag "none").
        person: whether it has a mask of people.
    """

    source: str
    name: str
    tag: str
    held_out: bool = False
    window: int = -1
    subject: bool = False
    person: bool = False


@dataclass(frozen=True)
class CachedPhoto:
    """A photograph as cached: RGB (h, w, 3) and masks (h, w) or None, all uint8."""

    photo: Photo
    pixels: np.ndarray
    subject: np.ndarray | None
    person: np.ndarray | None


class PhotoFiles(NamedTuple):
    """A photograph with its file, and the files of its masks of the subject and of people, where there are any."""

    photo: Photo
    file: Path
    subject: Path | None = None
    person: Path | None = None


def find_photos(data: Path) -> Iterator[PhotoFiles]:
    """Every photograph of the folder `data`, see the top of this module."""
    for file in sorted((data / "people" / "photo").glob("*.jpg")):
        mask = data / "people" / "mask" / f"{file.stem}.png"
        street = Photo(source="people", name=file.stem, tag="person", subject=True, person=True)
        yield PhotoFiles(replace(street, held_out=held_out(file.stem)), file, mask, mask)
    for index in sorted((data / "photos_masked").glob("*/index.tsv")):
        yield from _masked(index)
    for index in sorted((data / "photos_free").glob("*/index.tsv")):
        for number, (name, tag, *_) in enumerate(_rows(index)):
            file = index.parent / name
            yield PhotoFiles(
                Photo(source=index.parent.name, name=file.stem, tag=tag, held_out=_every_tenth(number)), file
            )
    if any((data / name).is_dir() for name in ("textures", "mattes")):
        yield from _mattes_and_places(data)


def _masked(index: Path) -> Iterator[PhotoFiles]:
    """Photographs with masks of all things and of people; only those with a clear main subject have a subject mask."""
    for number, (name, kind, person, everything, *_) in enumerate(_rows(index)):
        file = index.parent / name
        all_mask, person_mask = (file.with_name(f"{file.stem}_{what}.png") for what in ("all", "person"))
        clear = kind == "main"
        tag = "person" if float(person) > 0.5 * float(everything) else "object"
        photo = Photo(
            source=index.parent.name, name=file.stem, tag=tag if clear else "none" if kind == "none" else "ambiguous",
            held_out=_every_tenth(number), subject=clear, person=True,
        )  # fmt: skip
        yield PhotoFiles(photo, file, all_mask if clear else None, person_mask)


def _mattes_and_places(data: Path) -> Iterator[PhotoFiles]:
    places, pairs = find_training_data(data)
    for file, mask in pairs:
        tag = "person" if "P3M" in str(file) else "animal" if "GFM" in str(file) else "object"
        person = tag == "person"
        photo = Photo(source="mattes", name=file.stem, tag=tag, subject=True, person=person)
        yield PhotoFiles(photo, file, mask, mask if person else None)
    for file in places:
        for window in range(_PLACES):
            yield PhotoFiles(Photo(source="textures", name=file.stem, tag="none", window=window), file)


def _every_tenth(number: int) -> bool:
    return number % _HELD_OUT == _HELD_OUT - 1


def _rows(index: Path) -> list[list[str]]:
    with index.open(encoding="utf-8", newline="") as file:
        return [row for row in csv.reader(file, delimiter="\t") if row and row[0] != "file"]


def write_photos(data: Path, path: Path) -> None:
    """Read every photograph of `data` and write them, small and compressed, into one file.

    Args:
        data: the folder of photographs.
        path: the .safetensors file to write.

    Raises:
        InputError: there are no people or no free photographs, or a file cannot be read.
    """
    from safetensors.numpy import save_file

    blobs: dict[str, np.ndarray] = {}
    photos: list[dict[str, Any]] = []
    for photo, file, subject, person in find_photos(data):
        number = len(photos)
        pixels = read_image(file, cv2.IMREAD_COLOR)
        area = _window(pixels.shape[:2], photo.window)
        blobs[f"photo/{number}"] = _packed(pixels[area], ".webp", _QUALITY)
        if subject is not None:
            blobs[f"subject/{number}"] = _mask(subject, pixels.shape[:2])
        if person is not None and person != subject:
            blobs[f"person/{number}"] = _mask(person, pixels.shape[:2])
        photos.append(asdict(photo))
    sets = {photo["source"] for photo in photos}
    if "people" not in sets or len(sets) < 3:
        raise InputError(f"{data} has no people/ or no photos_free/.", "Give the folder that contains both.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        save_file(blobs, part, {"photos": json.dumps(photos), "version": CACHE_VERSION})


def read_photos(path: Path) -> Iterator[CachedPhoto]:
    """The photographs of a file that `write_photos` has written.

    Raises:
        InputError: another version of uhrmat has written it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        opened: Any = safe_open(path, "numpy")
        metadata = opened.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise stale_cache(path, path) from error
    if metadata.get("version") != CACHE_VERSION:
        raise stale_cache(path, path)
    with opened as file:
        names = set(file.keys())

        def part(kind: str, number: int, flag: int) -> np.ndarray | None:
            name = f"{kind}/{number}"
            return np.asarray(cv2.imdecode(file.get_tensor(name), flag)) if name in names else None

        for number, fields in enumerate(json.loads(metadata["photos"])):
            photo = Photo(**fields)
            pixels = part("photo", number, cv2.IMREAD_COLOR)
            assert pixels is not None, "every photograph is in the file"
            subject, person = (part(kind, number, cv2.IMREAD_GRAYSCALE) for kind in ("subject", "person"))
            if person is None and photo.person and photo.subject:
                person = subject
            yield CachedPhoto(photo, np.ascontiguousarray(pixels[..., ::-1]), subject, person)


def read_image(path: Path, flag: int) -> np.ndarray:
    """The uint8 pixels of a picture file, read with the OpenCV flag `flag`. Raises InputError if it cannot be read."""
    pixels = cv2_read(path, flag)
    if pixels is None:
        raise InputError(f"{path} cannot be read as a picture.", "Remove it from the training photographs.")
    return pixels


def _window(size: tuple[int, int], number: int) -> tuple[slice, slice]:
    """The whole picture, or one of _PLACES windows of it, of different sizes, the same ones each time."""
    if number < 0:
        return slice(None), slice(None)
    rng = np.random.default_rng([number, *size])
    scale = 1.0 if number == 0 else rng.uniform(0.2, 0.8)
    height, width = (max(1, int(n * scale)) for n in size)
    y, x = (int(rng.integers(n - m + 1)) for n, m in zip(size, (height, width), strict=True))
    return slice(y, y + height), slice(x, x + width)


def _mask(path: Path, size: tuple[int, int]) -> np.ndarray:
    mask = read_image(path, cv2.IMREAD_GRAYSCALE)
    if mask.shape != size:
        mask = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
    return _packed(mask, ".png", 9)


def _packed(pixels: np.ndarray, suffix: str, quality: int) -> np.ndarray:
    scale = min(1.0, LONGEST_SIDE / max(pixels.shape[:2]))
    size = tuple(max(1, round(n * scale)) for n in pixels.shape[1::-1])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    flag = cv2.IMWRITE_WEBP_QUALITY if suffix == ".webp" else cv2.IMWRITE_PNG_COMPRESSION
    done, data = cv2.imencode(suffix, small, [flag, quality])
    assert done, "OpenCV encodes what it has decoded"
    return np.asarray(data).reshape(-1)
