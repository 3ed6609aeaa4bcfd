"""Pairs of predictions and ground truths: one file each, folders by name, or a clip's frames by number."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.core.naming import HINTS, RESULTS, normalise_name, split_ending

_ENDINGS = {"prediction": ("alpha",), "ground truth": ("gt", "alpha"), "trimap": ("trimap",)}
_ALL = ("gt", *HINTS, *RESULTS)
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".exr", ".bmp"})
_OTHER = 2
"""Rank of a file whose name has the ending of another role."""


@dataclass(frozen=True)
class Pair:
    """Files of one picture or frame.

    Attributes:
        name: The part of their names that they share.
        pred: The prediction.
        truth: The ground truth.
        trimap: The trimap, or None.
    """

    name: str
    pred: Path
    truth: Path
    trimap: Path | None = None


@dataclass(frozen=True)
class Pairing:
    """All pairs.

    Attributes:
        pairs: In order of their names.
        unmatched: Files without a partner.
    """

    pairs: tuple[Pair, ...]
    unmatched: tuple[Path, ...] = ()


def find_pairs(pred: Path, truth: Path, trimap: Path | None = None, *, clip: bool = False) -> Pairing:
    """Pair predictions and ground truths.

    In folders, files match by stem without the endings `_alpha`, `_gt`, `_trimap`. Of several files of one name the one
    with such an ending counts, and files with another known ending (`_preview`, `_mask`, …) do not count beside it, so
    that a folder written by `uhrmat image` can be given as it is.

    Args:
        pred: File or folder of predictions.
        truth: File or folder of ground truths.
        trimap: File or folder of trimaps, or None.
        clip: Whether files are frames of a clip, which match by the last number in their stem.

    Raises:
        InputError: Nothing matches, names are ambiguous, or a trimap or a frame within the clip is missing.
    """
    for path in (pred, truth, *((trimap,) if trimap else ())):
        if not path.exists():
            raise InputError(f"'{path}' does not exist.", "Check the spelling.")
    if pred.is_dir() != truth.is_dir() or (trimap is not None and trimap.is_dir() != pred.is_dir()):
        raise InputError("Files and folders are mixed.", "Give files only, or folders only.")
    if not pred.is_dir():
        if clip:
            raise InputError("--clip needs folders of numbered frames.", "Give two folders.")
        return Pairing((Pair(_key(pred, "ground truth"), pred, truth, trimap),))
    return _match(pred, truth, trimap, clip)


def _match(pred: Path, truth: Path, trimap: Path | None, clip: bool) -> Pairing:
    preds, truths = _folder(pred, "prediction", clip), _folder(truth, "ground truth", clip)
    trimaps = {} if trimap is None else _folder(trimap, "trimap", clip)
    names = sorted(preds.keys() & truths.keys())
    if not names:
        raise InputError(f"No file in '{pred}' has the name of one in '{truth}'.", "Files are matched by their stem.")
    missing = [name for name in names if trimap is not None and name not in trimaps]
    if missing:
        raise InputError(f"There is no trimap for '{missing[0]}' in '{trimap}'.", "Add it, or leave out --trimap.")
    alone = {key: (preds.get(key) or truths[key]) for key in preds.keys() ^ truths.keys()}
    gaps = sorted(key for key in alone if names[0] < key < names[-1])
    if clip and gaps:
        raise InputError(f"Frame '{alone[gaps[0]]}' has no partner.", "dtSSD needs every frame of the clip.")
    shown = {name: str(int(name)) if clip else name for name in names}
    pairs = tuple(Pair(shown[name], preds[name], truths[name], trimaps.get(name)) for name in names)
    return Pairing(pairs, tuple(alone[key] for key in sorted(alone)))


def _folder(folder: Path, role: str, clip: bool) -> dict[str, Path]:
    """The files of a folder by name or, of a clip, by number."""
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))
    ranked = sorted(((_rank(path, role), path) for path in files), key=lambda entry: entry[0])
    chosen: dict[str, tuple[int, Path]] = {}
    for rank, path in ranked:
        key = _number(path) if clip else _key(path, role)
        if rank == _OTHER and (key if clip else normalise_name(split_ending(path.stem, _ALL)[0])) in chosen:
            continue
        before, other = chosen.setdefault(key, (rank, path))
        if other is not path and before == rank:
            raise InputError(f"'{other.name}' and '{path.name}' in '{folder}' have one name.", "Remove one of them.")
    if not chosen:
        raise InputError(f"There is no picture in '{folder}'.", "Give one with PNG, TIFF, EXR, WebP or JPEG files.")
    return {key: path for key, (_, path) in chosen.items()}


def _rank(path: Path, role: str) -> int:
    """0 for a file with an ending of its role, 1 for one without any, _OTHER for one with another's."""
    ending = split_ending(path.stem, _ALL)[1]
    return 0 if ending in _ENDINGS[role] else _OTHER if ending else 1


def _key(path: Path, role: str) -> str:
    return normalise_name(split_ending(path.stem, _ENDINGS[role])[0])


def _number(path: Path) -> str:
    digits = re.findall(r"\d+", path.stem)
    if not digits:
        raise InputError(f"'{path}' has no number in its name.", "A clip's frames are matched by their number.")
    return f"{int(digits[-1]):012d}"
