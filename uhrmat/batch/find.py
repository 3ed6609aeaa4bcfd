"""Finds stills and clips in folders, in the order of their paths; everything else is passed over."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from uhrmat.core.errors import InputError
from uhrmat.core.naming import companion_names, split_ending
from uhrmat.core.regular import special_kind

STILLS = frozenset((".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".exr"))
CLIPS = frozenset(
    (".mov", ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mxf", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".flv", ".ogv")
)
_NAMED = 3
"""Files that a message names at most."""
_JUNK = frozenset(
    ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+listing")
)


@dataclass(frozen=True, kw_only=True)
class BatchItem:
    """One still or clip.

    Attributes:
        key: path below the output folder, with "/"; identifies the item in the manifest.
        source: the file, or the folder of a sequence.
        kind: "still" or "clip".
        size: bytes.
        hints: files or folders by the name of the hint.
        error: what is wrong and what to do, if the item is known to fail.
    """

    key: str
    source: Path
    kind: Literal["still", "clip"]
    size: int = 0
    hints: Mapping[str, Path] = field(default_factory=dict)
    error: tuple[str, str] | None = None

    @property
    def folder(self) -> PurePosixPath:
        """Folder of its outputs, below the output folder."""
        return PurePosixPath(self.key).parent

    @property
    def stem(self) -> str:
        """Stem of its outputs' names."""
        return self.source.name if self.source.is_dir() else self.source.stem


@dataclass(frozen=True)
class Selection:
    """Which files of the folders count.

    Attributes:
        include, exclude: patterns with `*` and `?` for the name, or, where they contain "/", for the path below the
            folder. An empty `include` includes everything.
        sequences: such patterns for folders whose numbered stills are one clip.
        skip: folders that are no inputs.
        shard: (i, n), the i-th of n parts, from 1.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    sequences: Sequence[str] = ()
    skip: Sequence[Path] = ()
    shard: tuple[int, int] = (1, 1)


@dataclass
class FoundItems:
    """Result of `find_items`.

    Attributes:
        items: in the order of their keys.
        ignored: number of files passed over, by extension.
        companions: paths, below their input folder, of hints and results that lie beside the file that they belong to;
            they are passed over, too.
    """

    items: list[BatchItem] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    companions: list[str] = field(default_factory=list)

    def companions_note(self) -> str:
        """A line for the user about `companions`; empty if there are none."""
        if not self.companions:
            return ""
        count = len(self.companions)
        more = ", …" if count > _NAMED else ""
        return (
            f"{count} {'file is' if count == 1 else 'files are'} passed over as hints or results of what lies beside "
            f"them: {', '.join(self.companions[:_NAMED])}{more}"
        )


def parse_shard(text: str) -> tuple[int, int]:
    """(i, n) of a text such as `2/8`. Raises InputError unless 1 ≤ i ≤ n."""
    first, _, second = text.partition("/")
    if first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise InputError(f"{text!r} must be a share i/n with i from 1 to n.", "Give one like 2/8.")


def root_names(roots: Sequence[Path]) -> list[str]:
    """Names of the input folders. Raises InputError if one is no folder, or if two have the same name."""
    for root in roots:
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise InputError(f"The folder {root} {what}.", "`uhrmat image` and `uhrmat video` take files.")
    names = [root.resolve().name for root in roots]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"Two of the folders are named {name}.", "Matte them into output folders of their own.")
    return names


def find_items(roots: Sequence[Path], selection: Selection) -> FoundItems:
    """The stills and clips below `roots`.

    The tree of one folder is mirrored in the keys as it is; with several, each key begins with its folder's name.

    Raises:
        InputError: see `root_names`.
    """
    names = root_names(roots)
    listing = FoundItems()
    skip = {path.resolve() for path in selection.skip}
    for root, name in zip(roots, names, strict=True):
        before = PurePosixPath(name if len(roots) > 1 else "")
        for item in _walk(root, before, selection, skip, listing):
            if in_shard(item.key, selection.shard):
                listing.items.append(item)
    listing.items.sort(key=lambda item: item.key)
    return listing


def shard_name(shard: tuple[int, int]) -> str:
    """`2of8` for (2, 8), for names of files."""
    return f"{shard[0]}of{shard[1]}"


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether the item belongs to the shard (i, n). Depends on its key alone, not on what else lies in the folder."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shard[1] == shard[0] - 1


def _walk(
    root: Path, before: PurePosixPath, selection: Selection, skip: set[Path], listing: FoundItems
) -> Iterator[BatchItem]:
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unreadable.append):
        here = Path(folder)
        below = PurePosixPath(here.relative_to(root).as_posix())
        inside = []
        beside = companion_names([*(name for name in files if _kind(name)), *folders])
        for name in sorted(folders):
            path = here / name
            if name.startswith(".") or name.lower() in _JUNK or (skip and path.resolve() in skip):
                continue
            if name in beside and not _named(below / name, selection):
                listing.companions.append((below / name).as_posix())
                continue
            if _matches(below / name, selection.sequences):
                if _wanted(below / name, selection):
                    yield BatchItem(key=(before / below / name).as_posix(), source=path, kind="clip", size=_size(path))
                continue
            inside.append(name)
        folders[:] = inside
        for name in sorted(files):
            kind = _kind(name)
            if kind is None:
                listing.ignored.update([Path(name).suffix.lower()] if not _junk(name) else [])
            elif name in beside and not _named(below / name, selection):
                listing.companions.append((below / name).as_posix())
            elif _wanted(below / name, selection):
                yield _item((before / below / name).as_posix(), here / name, kind)
    for error in unreadable:
        lost = Path(str(error.filename))
        key = (before / lost.relative_to(root).as_posix()).as_posix()
        yield BatchItem(
            key=key,
            source=lost,
            kind="still",
            size=0,
            hints={},
            error=(f"The folder cannot be read: {error.strerror}.", "See its permissions."),
        )


def _item(key: str, path: Path, kind: Literal["still", "clip"]) -> BatchItem:
    """The item of a file. A pipe, a device or a socket becomes an item that fails, and is not opened."""
    special = special_kind(path)
    if special is not None:
        return BatchItem(
            key=key,
            source=path,
            kind=kind,
            size=0,
            hints={},
            error=(f"It is {special}, and only files are read.", "Leave it out: --exclude."),
        )
    return BatchItem(key=key, source=path, kind=kind, size=_size(path))


def _junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _kind(name: str) -> Literal["still", "clip"] | None:
    suffix = Path(name).suffix.lower()
    if _junk(name):
        return None
    return "still" if suffix in STILLS else "clip" if suffix in CLIPS else None


def _wanted(path: PurePosixPath, selection: Selection) -> bool:
    return (not selection.include or _matches(path, selection.include)) and not _matches(path, selection.exclude)


def _named(path: PurePosixPath, selection: Selection) -> bool:
    """Whether a pattern of `include` names this ending explicitly, as `*_plate.jpg` does."""
    _, ending = split_ending(path.stem)
    return _matches(path, [pattern for pattern in selection.include if f"_{ending}" in pattern.lower()])


def _matches(path: PurePosixPath, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(path.as_posix() if "/" in pattern else path.name, pattern) for pattern in patterns)


def _size(path: Path) -> int:
    """Bytes, 0 for what has vanished meanwhile."""
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path) if entry.is_file())
        return path.stat().st_size
    except OSError:
        return 0
