"""What lies in folders: stills and clips in the order of their paths; everything else is passed over."""

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
"""So many files are named where many are meant."""
_JUNK = frozenset(
    ("thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found")
)


@dataclass(frozen=True)
class BatchItem:
    """One still or clip. key: its path below the output folder, with "/"; hints: files by name; size: bytes;
    error: what is wrong and what to do, of one that is known to fail."""

    key: str
    source: Path
    kind: Literal["still", "clip"]
    size: int = 0
    hints: Mapping[str, Path] = field(default_factory=dict)
    error: tuple[str, str] | None = None

    @property
    def folder(self) -> PurePosixPath:
        """Of its outputs, below the output folder."""
        return PurePosixPath(self.key).parent

    @property
    def stem(self) -> str:
        """What its outputs are named after."""
        return self.source.name if self.source.is_dir() else self.source.stem


@dataclass(frozen=True)
class Selection:
    """Which of the files count. include, exclude: patterns with `*` and `?`, for the name, or with "/" for the path
    below the folder; sequences: such patterns for folders whose numbered stills are one clip; skip: folders that are
    no inputs; shard: (i, n), the i-th of n parts, from 1."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    sequences: Sequence[str] = ()
    skip: Sequence[Path] = ()
    shard: tuple[int, int] = (1, 1)


@dataclass
class FoundItems:
    """items: in the order of their keys; ignored: how many files of which extension were passed over; companions: paths
    below the folder of hints and results that lie beside what they belong to, and are passed over, too."""

    items: list[BatchItem] = field(default_factory=list)
    ignored: Counter[str] = field(default_factory=Counter)
    companions: list[str] = field(default_factory=list)

    def about_companions(self) -> str:
        """A line for the user; empty where there are none."""
        if not self.companions:
            return ""
        count = len(self.companions)
        more = ", …" if count > _NAMED else ""
        return (
            f"{count} {'file is' if count == 1 else 'files are'} passed over as hints or results of what lies beside "
            f"them: {', '.join(self.companions[:_NAMED])}{more}"
        )


def parse_shard(text: str) -> tuple[int, int]:
    """`2/8` → (2, 8). Raises InputError."""
    first, _, second = text.partition("/")
    if first.isdigit() and second.isdigit() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise InputError(f"The shard {text!r} is none.", "Give --shard i/n with i from 1 to n, like 2/8.")


def root_names(roots: Sequence[Path]) -> list[str]:
    """Names of the input folders. Raises InputError for what is no folder, and for two folders of one name."""
    for root in roots:
        if not root.is_dir():
            what = "is a file" if root.exists() else "does not exist"
            raise InputError(f"The folder {root} {what}.", "`uhrmat image` and `uhrmat video` take files.")
    names = [root.resolve().name for root in roots]
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"Two of the folders are named {name}.", "Matte them into output folders of their own.")
    return names


def find(roots: Sequence[Path], chosen: Selection) -> FoundItems:
    """What `roots` hold. One folder is mirrored as it is, of several each has its name in front.

    Raises InputError as `root_names` does.
    """
    names = root_names(roots)
    found = FoundItems()
    skip = {path.resolve() for path in chosen.skip}
    for root, name in zip(roots, names, strict=True):
        before = PurePosixPath(name if len(roots) > 1 else "")
        for item in _walk(root, before, chosen, skip, found):
            if in_shard(item.key, chosen.shard):
                found.items.append(item)
    found.items.sort(key=lambda item: item.key)
    return found


def in_shard(key: str, shard: tuple[int, int]) -> bool:
    """Whether the item belongs to this shard, (i, n): decided by its path alone, whatever else lies in the folder."""
    digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % shard[1] == shard[0] - 1


def _walk(
    root: Path, before: PurePosixPath, chosen: Selection, skip: set[Path], found: FoundItems
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
            if name in beside and not _named(below / name, chosen):
                found.companions.append((below / name).as_posix())
                continue
            if _matches(below / name, chosen.sequences):
                if _wanted(below / name, chosen):
                    yield BatchItem((before / below / name).as_posix(), path, "clip", _size(path))
                continue
            inside.append(name)
        folders[:] = inside
        for name in sorted(files):
            kind = _kind(name)
            if kind is None:
                found.ignored.update([Path(name).suffix.lower()] if not _junk(name) else [])
            elif name in beside and not _named(below / name, chosen):
                found.companions.append((below / name).as_posix())
            elif _wanted(below / name, chosen):
                yield _item((before / below / name).as_posix(), here / name, kind)
    for error in unreadable:
        lost = Path(str(error.filename))
        key = (before / lost.relative_to(root).as_posix()).as_posix()
        yield BatchItem(
            key, lost, "still", 0, {}, (f"The folder cannot be read: {error.strerror}.", "See its permissions.")
        )


def _item(key: str, path: Path, kind: Literal["still", "clip"]) -> BatchItem:
    """A pipe, a device or a socket that is named like a picture is an item that fails, and is not opened."""
    special = special_kind(path)
    if special is not None:
        return BatchItem(
            key, path, kind, 0, {}, (f"It is {special}, and only files are read.", "Leave it out: --exclude.")
        )
    return BatchItem(key, path, kind, _size(path))


def _junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _kind(name: str) -> Literal["still", "clip"] | None:
    suffix = Path(name).suffix.lower()
    if _junk(name):
        return None
    return "still" if suffix in STILLS else "clip" if suffix in CLIPS else None


def _wanted(path: PurePosixPath, chosen: Selection) -> bool:
    return (not chosen.include or _matches(path, chosen.include)) and not _matches(path, chosen.exclude)


def _named(path: PurePosixPath, chosen: Selection) -> bool:
    """Whether a pattern asks for files with this ending, as `*_plate.jpg` does."""
    _, ending = split_ending(path.stem)
    return _matches(path, [pattern for pattern in chosen.include if f"_{ending}" in pattern.lower()])


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
