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
"""A file's extension: not the `.v2` or `.001` that folders are named with."""


def normalise_name(name: str) -> str:
    """A file name with accented letters in composed form (NFC), for comparing."""
    return unicodedata.normalize("NFC", name)


def split_ending(stem: str, endings: Iterable[str] = (*HINTS, *RESULTS)) -> tuple[str, str]:
    """`X_Mask` → ("X", "mask"): a stem without a known ending, and the ending; "" where there is none."""
    base, line, ending = stem.rpartition("_")
    known = ending.lower()
    return (base, known) if line and base and known in endings else (stem, "")


def list_folder(folder: Path) -> Listing:
    """The names in a folder, by the stems under which they are looked for.

    Each name is listed under its stem, under its whole name (which is how folders are looked for), and where it has a
    hint's ending also with that ending in lower case. Hidden files are left out.

    Returns:
        Names by normalised stem; empty for a folder that cannot be read.
    """
    listing = defaultdict[str, list[str]](list)
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
            listing[key].append(name)
    return listing


def is_picture(path: Path) -> bool:
    """Whether a file may be a hint, by its extension."""
    return path.suffix.lower() in HINT_SUFFIXES


def find_hints(
    stem: str, kind: str, folder: Path, names: Listing, *, beside: bool, usable: Callable[[Path], bool] = is_picture
) -> list[Path]:
    """Files that may be the hint of a photograph or clip.

    A hint is named like the photograph, or with `_trimap`, `_mask`, `_alpha` or `_plate` behind its stem.

    Args:
        stem: Of the photograph or clip.
        kind: "trimap", "mask", "alpha" or "plate".
        folder: Where to look.
        names: `list_folder` of it.
        beside: The photograph lies in the same folder: then only names with the ending count.
        usable: Which files count.

    Returns:
        The files of the first form of name that has any.
    """
    plain = normalise_name(stem)
    for key in (f"{plain}_{kind}",) if beside else (plain, f"{plain}_{kind}"):
        hints = [path for name in names.get(key, ()) if usable(path := folder / name)]
        if hints:
            return hints
    return []


def find_existing(path: Path) -> Path:
    """The path itself if it exists, else the one file in its folder whose name differs only in its Unicode form."""
    if os.path.exists(path):
        return path
    wanted = normalise_name(path.name)
    try:
        alike = [name for name in os.listdir(path.parent) if normalise_name(name) == wanted]
    except OSError:
        return path
    return path.with_name(alike[0]) if len(alike) == 1 else path


def companion_names(names: Iterable[str]) -> set[str]:
    """The names that are hints or results of another name in the same folder, as `X_mask.png` beside `X.JPG`.

    Case does not count.
    """
    names = list(names)
    stems = {name: normalise_name(PurePosixPath(name).stem) for name in names}
    there = {stem.casefold() for stem in stems.values()}
    result = set()
    for name, stem in stems.items():
        base, ending = split_ending(stem)
        if ending and base.casefold() in there:
            result.add(name)
    return result
