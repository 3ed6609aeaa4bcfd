"""Hints of a clip: for all frames alike, for every frame, or for key frames from which they are carried on.

Nothing here imports torch.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uhrmat.errors import InputError
from uhrmat.hints import Hints, read_hints
from uhrmat.media import Picture, read_mask, read_picture, read_trimap
from uhrmat.media.video import ClipInfo
from uhrmat.plan import HINT_SUFFIXES
from uhrmat.prior.trimap import default_radius, trimap_from_mask

_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class ClipHints:
    """What the user said about a clip, by file.

    kind: "trimap" or "mask" where `keys` (index of a frame → file) are given, else ""; plate: the scene without its
    subject; key: the screen's colour; carried: whether frames without a file of their own are tracked.
    """

    kind: str = ""
    keys: dict[int, Path] = field(default_factory=dict)
    plate: Path | None = None
    key: str | None = None
    carried: bool = False

    @property
    def given(self) -> frozenset[str]:
        """Names of the hints that every frame has, as priors ask for them (see `hints.NAMES`)."""
        named = {self.kind: True, "plate": self.plate is not None, "key": self.key is not None}
        return frozenset(name for name, there in named.items() if name and there)

    def files(self) -> list[Path]:
        """All files that were named."""
        return [*self.keys.values(), *([self.plate] if self.plate else [])]


def find_hints(
    info: ClipInfo, start: int, stop: int, *, trimap: Path | None = None, mask: Path | None = None,
    plate: Path | None = None, key: str | None = None,
) -> ClipHints:  # fmt: skip
    """The hints for frames `start` to `stop`. A file is for the first of them, a folder's files for those they number.

    Numbers are those of a sequence's files, and count from 0 in a video file. Raises InputError where the first frame
    has none, or two kinds were given.
    """
    if trimap is not None and mask is not None:
        raise InputError("Both --trimap and --mask were given.", "Keep the trimap, which says more, or the mask.")
    named = trimap or mask
    if named is None:
        return ClipHints(plate=plate, key=key)
    kind = "trimap" if trimap is not None else "mask"
    if kind == "mask" and (plate is not None or key is not None):
        raise InputError("A mask and a plate or key were given.", "Give one of them.")
    keys = _numbered(named, info, start, stop, kind) if named.is_dir() else {start: named}
    missing = [path for path in keys.values() if not path.is_file()]
    if missing:
        raise InputError(f"The {kind} {missing[0]} does not exist.", "Name a picture, or a folder of them.")
    complete = len(keys) == stop - start
    if not complete and (plate is not None or key is not None):
        raise InputError(
            "A plate or key says something of every frame, the trimap only of some.", "Leave the trimap out."
        )
    return ClipHints(kind, keys, plate, key, not complete)


def _numbered(folder: Path, info: ClipInfo, start: int, stop: int, kind: str) -> dict[int, Path]:
    index = {number: at for at, number in enumerate(info.numbers)} if info.numbers else None
    keys: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        found = _NUMBER.search(path.stem)
        if path.suffix.lower() not in HINT_SUFFIXES or path.name.startswith(".") or found is None:
            continue
        number = int(found[1])
        at = number if index is None else index.get(number, -1)
        if at in keys:
            raise InputError(f"{keys[at].name} and {path.name} are for one frame.", f"Keep one {kind} for each.")
        if start <= at < stop:
            keys[at] = path
    if start not in keys:
        first = info.numbers[start] if info.numbers else start
        where = f"the first is for frame {_number(info, min(keys))}" if keys else "it has none for any of the frames"
        raise InputError(
            f"The folder {folder} has no {kind} for the first frame, number {first}: {where}.",
            "Add it, or begin later with --start. Files are numbered like the frames, from 0 in a video file.",
        )
    return keys


def _number(info: ClipInfo, index: int) -> int:
    return info.numbers[index] if info.numbers else index


class HintReader:
    """The hints of each frame of a clip of `size` (H, W). carried: the folder of what was tracked (see `track`)."""

    def __init__(self, hints: ClipHints, size: tuple[int, int], carried: Path) -> None:
        self._hints, self._size, self._carried = hints, size, carried
        self._plate: Picture | None = None if hints.plate is None else read_picture(hints.plate)

    def __call__(self, index: int) -> Hints:
        """Raises InputError for files that cannot be used."""
        path = self._hints.keys.get(index)
        trimap = path if self._hints.kind == "trimap" else None
        if not self._hints.carried:
            mask = path if self._hints.kind == "mask" else None
            return read_hints(self._size, trimap, mask, plate=self._plate, key=self._hints.key)
        return read_hints(self._size, trimap, alpha=carried_file(self._carried, index))


def carried_file(folder: Path, index: int) -> Path:
    """Where a frame's tracked alpha is kept."""
    return folder / f"{index:06d}.png"


def key_trimap(hints: ClipHints, index: int, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 {0, 128, 255} of a key frame, made from the mask where that is what was given."""
    path = hints.keys[index]
    if hints.kind == "trimap":
        return read_trimap(path, size)
    radius = default_radius(*size)
    return trimap_from_mask(read_mask(path, size), radius, radius)
