"""Assigns trimaps, masks, alphas and plates to items by name.

A folder is searched at the file's own place in the tree, then at its top; the hint has the file's stem, or the stem and
`_trimap` (`_mask`, `_alpha`, `_plate`), and only that where it lies beside the file. A clip's hint may be a picture, a
folder of numbered pictures or a clip; a plate is a picture. A pattern names the place: beside
the file, unless it says where, as `{folder}/../trimaps/{stem}.png` or `trimaps/{tree}/{stem}.png` do.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path, PurePosixPath
from string import Formatter

from uhrmat.batch.find import CLIPS, BatchItem
from uhrmat.core.errors import InputError
from uhrmat.core.naming import find_existing, find_hints, is_picture, list_folder
from uhrmat.media import same_file

_FIELDS = ("folder", "tree", "stem", "name")


class HintFolders:
    """Finds the hints of items.

    Args:
        where: by name of the hint ("trimap", "mask", "alpha", "plate") a folder or a pattern; for a plate also one file
            for all.

    Raises:
        InputError: a value of `where` is none of these.
    """

    def __init__(self, where: Mapping[str, str]) -> None:
        self._where = dict(where)
        for kind, text in self._where.items():
            if not (_is_pattern(text) or Path(text).is_dir() or (kind == "plate" and Path(text).is_file())):
                raise InputError(
                    f"{text} is no folder of {kind}s.",
                    f"Give one, or a pattern like {{folder}}/{{stem}}_{kind}.png.",
                )
            _check_fields(text)
        self._listing = cache(list_folder)

    @property
    def folders(self) -> list[Path]:
        """Folders that hold nothing but hints."""
        return [Path(text) for text in self._where.values() if not _is_pattern(text) and Path(text).is_dir()]

    def assign(self, items: Sequence[BatchItem]) -> list[BatchItem]:
        """The items with their hints, or with an error; items that are hints themselves are left out."""
        self._listing.cache_clear()
        for kind, text in self._where.items():
            items = self._assign_kind(kind, text, items)
        used = set[str]()
        for item in items:
            used |= {_identity(path) for path in item.hints.values()} - {_identity(item.source)}
        return [item for item in items if not used or _identity(item.source) not in used]

    def _assign_kind(self, kind: str, text: str, items: Sequence[BatchItem]) -> list[BatchItem]:
        assigned, users = [], defaultdict[Path, list[str]](list)
        for item in items:
            try:
                path = self._find(kind, text, item)
            except InputError as error:
                assigned.append(replace(item, error=item.error or (error.message, error.hint)))
                continue
            users[path].append(item.key)
            assigned.append(replace(item, hints={**item.hints, kind: path}))
        if Path(text).is_file():
            return assigned
        return [self._unambiguous(kind, item, users) for item in assigned]

    def _unambiguous(self, kind: str, item: BatchItem, users: Mapping[Path, list[str]]) -> BatchItem:
        """The item; with an error if an item in another folder has the same hint."""
        others = users.get(item.hints[kind], []) if kind in item.hints else []
        folders = {PurePosixPath(key).parent: key for key in others}
        if len(folders) < 2:
            return item
        what = f"The {kind} {item.hints[kind]} fits {' and '.join(list(folders.values())[:2])}."
        return replace(item, error=item.error or (what, f"Give the folder of {kind}s the same subfolders."), hints={})

    def _find(self, kind: str, text: str, item: BatchItem) -> Path:
        if Path(text).is_file():
            return Path(text)
        if _is_pattern(text):
            path = find_existing(_filled(text, item))
            if path.is_file() or (item.kind == "clip" and path.is_dir()):
                return path
            raise InputError(f"There is no {kind} {path}.", "Add it, or correct the pattern.")
        for folder in dict.fromkeys((Path(text) / item.folder, Path(text))):
            names, beside = self._listing(folder), same_file(folder, item.source.parent)
            fitting = find_hints(item.stem, kind, folder, names, beside=beside, usable=partial(_usable, item, kind))
            if len(fitting) > 1:
                what = f"{folder} has {len(fitting)} {kind}s for it: {', '.join(p.name for p in fitting)}."
                raise InputError(what, "Keep one of them.")
            if fitting:
                return fitting[0]
        raise InputError(
            f"The folder {text} has no {kind} for it.",
            f"Name it {item.stem}.png or {item.stem}_{kind}.png, in the same subfolder or at the top.",
        )


def _usable(item: BatchItem, kind: str, path: Path) -> bool:
    """Whether a file or folder may be a hint of that kind for an item, by its type and extension."""
    if is_picture(path) and not path.is_dir():
        return True
    return item.kind == "clip" and kind != "plate" and (path.is_dir() or path.suffix.lower() in CLIPS)


def _is_pattern(text: str) -> bool:
    return "{" in text


def _check_fields(text: str) -> None:
    if not _is_pattern(text):
        return
    try:
        used = [part[1:] for part in Formatter().parse(text) if part[1] is not None]
    except ValueError:  # a brace that is not closed
        used = [("", "", "")]
    # the fields as they stand: no attribute of them, no index, no format of their own
    if any(field not in _FIELDS or form or conversion for field, form, conversion in used):
        raise InputError(f"The pattern {text!r} cannot be used.", "It may hold {folder}, {tree}, {stem} and {name}.")


def _filled(text: str, item: BatchItem) -> Path:
    path = Path(
        text.format(folder=item.source.parent, tree=item.folder.as_posix(), stem=item.stem, name=item.source.name)
    )
    return path if "{folder}" in text or "{tree}" in text else item.source.parent / path


def _identity(path: Path) -> str:
    return os.path.normpath(os.path.abspath(path))
