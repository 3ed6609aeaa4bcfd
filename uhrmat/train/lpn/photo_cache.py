"""Photographs to train networks that see whole pictures on: decoded once and cached at several sizes.

A folder like data/train holds people/photo/*.jpg with people/mask/*.png (full-length photographs), mattes/ with pairs
of photograph and alpha (those under a folder with P3M in its name show people, the others something else) and textures/
(places without people).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media import atomic_write
from uhrmat.media.raster import cv2_read
from uhrmat.train.cache import stale_cache
from uhrmat.train.synth import find_training_data

KINDS = ("people", "portraits", "others", "places")
LEVELS = 3
"""Sizes at which each picture is cached: full, half, quarter."""
CACHE_VERSION = "1"
"""Layout of a cache folder; raised whenever levels, sizes or channels change."""
_VERSION_FILE = "version.txt"
HELD_OUT = 7
"""Photographs of people whose number ends with this digit are never trained on."""
_LONGEST = {"people": 1024, "portraits": 1280, "others": 1024, "places": 2560}
"""Longest side of a cached picture, pixels."""


@dataclass(frozen=True)
class PhotoSource:
    """A photograph and its mask on disk.

    Attributes:
        kind: one of KINDS.
        name: of the file, without suffix.
        photo: the file.
        mask: the file with its alpha, None for places.
    """

    kind: str
    name: str
    photo: Path
    mask: Path | None


def held_out(name: str) -> bool:
    """Whether the photograph of people of this name (a number) is held out for validation."""
    return name.isdigit() and int(name) % 10 == HELD_OUT


def find_sources(data: Path) -> list[PhotoSource]:
    """All photographs of the folder, also those held out. Raises InputError where there are no people."""
    people = [
        PhotoSource("people", photo.stem, photo, data / "people" / "mask" / f"{photo.stem}.png")
        for photo in sorted((data / "people" / "photo").glob("*.jpg"))
        if photo.is_file()
    ]
    if not people:
        raise InputError(f"{data} holds no people/photo/*.jpg.", "Give the folder that contains people/.")
    sources, has_more = list(people), any((data / name).is_dir() for name in ("textures", "mattes"))
    places, pairs = find_training_data(data) if has_more else ([], [])
    for photo, mask in pairs:
        kind = "portraits" if "P3M" in str(photo.relative_to(data)) else "others"
        sources.append(PhotoSource(kind, photo.stem, photo, mask))
    return sources + [PhotoSource("places", photo.stem, photo, None) for photo in places]


class PhotoCache:
    """The decoded pictures of `find_sources` in a cache folder, memory-mapped when they are used.

    Attributes:
        names: for each of KINDS the names of its pictures, without those held out.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names = {kind: self._names(kind) for kind in KINDS}

    def _names(self, kind: str) -> list[str]:
        names = sorted(path.name[: -len(".0.npy")] for path in (self.folder / kind).glob("*.0.npy"))
        return [name for name in names if not (kind == "people" and held_out(name))]

    def levels(self, kind: str, name: str) -> list[np.ndarray]:
        """Memory-mapped (H, W, 4) uint8 RGB and alpha, (H, W, 3) for places: full size, half, quarter."""
        return [np.load(self.folder / kind / f"{name}.{level}.npy", mmap_mode="r") for level in range(LEVELS)]


def fill_photo_cache(data: Path, folder: Path) -> PhotoCache:
    """Decode the photographs that the cache lacks. Files appear whole, so that an interrupted run can be repeated.

    Args:
        data: the folder of photographs, see the top of this module.
        folder: of the cache.

    Raises:
        InputError: a photograph cannot be read, or another version of uhrmat has written the cache.
    """
    _check_version(folder)
    for source in find_sources(data):
        path = folder / source.kind / f"{source.name}.0.npy"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        for level, pixels in reversed(list(enumerate(_sizes(source)))):
            with atomic_write(path.with_name(f"{source.name}.{level}.npy")) as part:
                np.save(part, pixels)
    return PhotoCache(folder)


def _check_version(folder: Path) -> None:
    """Write the version of a new cache; raise InputError for a cache of another version."""
    file = folder / _VERSION_FILE
    folder.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        with atomic_write(file) as part:
            part.write_text(CACHE_VERSION, "utf-8")
    elif file.read_text("utf-8").strip() != CACHE_VERSION:
        raise stale_cache(file, folder)


def read_source(source: PhotoSource) -> np.ndarray:
    """(H, W, 3 or 4) uint8: RGB, with the mask as alpha where there is one. Raises InputError if it cannot be read."""
    photo = cv2_read(source.photo, cv2.IMREAD_COLOR)
    if photo is None:
        raise InputError(f"{source.photo} cannot be read as a picture.", "Remove it from the training photographs.")
    if source.mask is None:
        return np.ascontiguousarray(photo[..., ::-1])
    mask = cv2_read(source.mask, cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise InputError(f"{source.mask} cannot be read as a mask.", "Remove the photograph, or give it a mask.")
    if mask.shape != photo.shape[:2]:
        mask = cv2.resize(mask, photo.shape[1::-1], interpolation=cv2.INTER_AREA)
    return np.dstack([photo[..., ::-1], mask])


def _sizes(source: PhotoSource) -> Iterator[np.ndarray]:
    pixels = read_source(source)
    scale = min(1.0, _LONGEST[source.kind] / max(pixels.shape[:2]))
    for level in range(LEVELS):
        height, width = (max(1, round(n * scale / 2**level)) for n in pixels.shape[:2])
        yield cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
