"""Which files belong together by their names: photographs, their hints, and what was made of them.

Names are compared as they read, whether accented letters are stored composed (NFC) or decomposed (NFD, as by macOS).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

HINT_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".exr"})
HINTS = ("trimap", "mask", "plate")
RESULTS = ("alpha", "foreground", "cutout", "preview", "composite")
Listing = Mapping[str, list[str]]
EXTENSION = re.compile(r"\.(?!v?\d+$)[a-z0-9]{2,4}", re.ASCII)
"""What looks like a file's extension: not the `.v2` or `.001` that folders are named with."""


def normalise_name(name: str) -> str:
    """The name with accented letters in one form."""
    return unicodedata.normalize("NFC", name)


def split_ending(stem: str, endings: Iterable[str] = (*HINTS, *RESULTS)) -> tuple[str, str]:
    """`X_Mask` → ("X", "mask"): a stem without a known ending, and the ending; "" where there is none."""
    base, line, ending = stem.rpartition("_")
    known = ending.lower()
    return (base, known) if line and base and known in endings else (stem, "")


def list_folder(folder: Path) -> Listing:
    """Names in a folder by stem; files with a hint's ending also by the stem with that ending in small letters.
    Folders count with their whole name, too. Hidden ones are left out; empty for a folder that cannot be read."""
    found = defaultdict[str, list[str]](list)
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    for name in names:
        if name.startswith("."):
            continue
        stem = PurePosixPath(name).stem
        base, ending = split_ending(stem)
        keys = [stem, name, f"{base}_{ending}" if ending else stem]
        for key in dict.fromkeys(normalise_name(key) for key in keys):
            found[key].append(name)
    return found


def is_picture(path: Path) -> bool:
    """Whether a hint may be in that file, by its name."""
    return path.suffix.lower() in HINT_SUFFIXES


def find_hints(
    stem: str, kind: str, folder: Path, names: Listing, *, beside: bool, usable: Callable[[Path], bool] = is_picture
) -> list[Path]:
    """What in `folder` (`names`: its `list_folder`) may be the hint of a photograph or clip named `stem`.

    A hint has that stem, or the stem and `_trimap` (`_mask`, …); beside the photograph itself (`beside`) only the
    latter, as there the plain stem is the photograph's own.
    """
    plain = normalise_name(stem)
    for key in (f"{plain}_{kind}",) if beside else (plain, f"{plain}_{kind}"):
        found = [path for name in names.get(key, ()) if usable(path := folder / name)]
        if found:
            return found
    return []


def find_existing(path: Path) -> Path:
    """The path, or the one in its folder whose name reads the same."""
    if os.path.exists(path):
        return path
    wanted = normalise_name(path.name)
    try:
        alike = [name for name in os.listdir(path.parent) if normalise_name(name) == wanted]
    except OSError:
        return path
    return path.with_name(alike[0]) if len(alike) == 1 else path


def companion_names(names: Iterable[str]) -> set[str]:
    """Those of the names of pictures and clips in one folder that are hints or results of another one, as `X_mask.png`
    beside `X.JPG`. Large and small letters count as one."""
    names = list(names)
    stems = {name: normalise_name(PurePosixPath(name).stem) for name in names}
    there = {stem.casefold() for stem in stems.values()}
    found = set()
    for name, stem in stems.items():
        base, ending = split_ending(stem)
        if ending and base.casefold() in there:
            found.add(name)
    return found
