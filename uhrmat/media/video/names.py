"""Names of numbered stills: which digits of a name count the frames, and the name of a frame's file.

A pattern is a file name with one number mark: `%d` or `%04d`, else `#` or `####`. The folder before it is never part of
the pattern, `%%` stands for one percent sign, and every other percent sign stands for itself.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from uhrmat.core.errors import InputError

MAX_DIGITS = 20
"""The widest number in a name: 64-bit counters have no more digits, and file systems limit names to 255 bytes."""

PATTERN_HELP = "Give a pattern with one number, such as 'f_%04d.png' or 'f_####.exr'."
_MARK = re.compile(r"%%|%0?(\d*)d|(#+)", re.ASCII)
_GROUPS = re.compile(r"(\d+)", re.ASCII)
_VERSION = re.compile(r"(?:^|[^A-Za-z])v$", re.IGNORECASE)


@dataclass(frozen=True)
class FrameNames:
    """The files of a sequence: `folder` / `head` + number + `tail`, the number padded with zeros to `width` digits."""

    folder: Path
    head: str
    width: int
    tail: str

    @classmethod
    def parse(cls, path: Path) -> FrameNames | None:
        """The names that the pattern `path` stands for, None where its name has no number mark.

        Raises `InputError` for two numbers in one name and for numbers of more than MAX_DIGITS digits.
        """
        name = path.name
        matches = [mark for mark in _MARK.finditer(name) if mark[0] != "%%"]
        marks = [mark for mark in matches if not mark[2]] or matches
        if not marks:
            return None
        if len(marks) > 1:
            listed = " and ".join(mark[0] for mark in marks)
            raise InputError(f"'{name}' has more than one number ({listed}).", PATTERN_HELP)
        mark = marks[0]
        width = len(mark[2]) if mark[2] else int((mark[1] or "1")[: MAX_DIGITS + 1])
        if width > MAX_DIGITS:
            raise InputError(f"The frame number in a name has at most {MAX_DIGITS} digits.", PATTERN_HELP)
        head, tail = (part.replace("%%", "%") for part in (name[: mark.start()], name[mark.end() :]))
        return cls(path.parent, head, max(width, 1), tail)

    def file(self, number: int) -> Path:
        """The file of the frame with that number."""
        return self.folder / f"{self.head}{number:0{self.width}d}{self.tail}"

    @property
    def path(self) -> Path:
        """In printf form, as `parse` reads it: "f_%04d.png"."""
        head, tail = (part.replace("%", "%%") for part in (self.head, self.tail))
        mark = f"%0{self.width}d" if self.width > 1 else "%d"
        return self.folder / f"{head}{mark}{tail}"

    @property
    def expression(self) -> re.Pattern[str]:
        """Matches the names, with the groups head, number and tail; a `*` in head or tail stands for anything."""
        head, tail = (star_expression(part) for part in (self.head, self.tail))
        return re.compile(f"(?P<head>{head})(?P<number>[0-9]{{{self.width},}})(?P<tail>{tail})", re.DOTALL)


def star_expression(text: str) -> str:
    """A name as a regular expression in which `*` stands for anything."""
    return ".*".join(re.escape(part) for part in text.split("*"))


@dataclass(frozen=True)
class Numbered:
    """A still's path taken apart: `head` + number + `tail`, `tail` with the extension."""

    path: Path
    head: str
    digits: str
    tail: str

    @property
    def number(self) -> int:
        """The number that its digits mean."""
        return int(self.digits)


def number_files(paths: Iterable[Path]) -> list[Numbered]:
    """The paths whose names have a number, taken apart at the digits that count.

    Names that differ in digits only belong together. Of their groups of digits one that varies counts the frames
    ("1001_v2.png", "1002_v2.png": the first); of several one that is not a version ("v2"), then the one with the most
    values, then the last. A name that is alone counts by its last group that is not a version.
    """
    families: dict[tuple[str, ...], list[tuple[Path, list[str]]]] = {}
    for path in paths:
        parts = _GROUPS.split(path.stem)
        families.setdefault((*parts[::2], path.suffix), []).append((path, parts))
    files: list[Numbered] = []
    for members in families.values():
        column = _counting([parts for _, parts in members])
        for path, parts in members if column else ():
            head, tail = "".join(parts[:column]), "".join(parts[column + 1 :])
            files.append(Numbered(path, head, parts[column], tail + path.suffix))
    return files


def _counting(names: list[list[str]]) -> int:
    """Which part of names that were split at their digits counts the frames; 0 where there are no digits."""

    def rank(column: int) -> tuple[bool, bool, int, int]:
        values = len({int(parts[column]) for parts in names})
        return values > 1, not _VERSION.search(names[0][column - 1]), values, column

    return max(range(1, len(names[0]), 2), key=rank, default=0)


def families(files: Iterable[Numbered]) -> list[str]:
    """The sequences that files belong to, as `f_#.png`, those with the most files first."""
    counted = Counter((file.head, file.tail) for file in files)
    return [f"{head}#{tail}" for (head, tail), _ in sorted(counted.items(), key=lambda item: (-item[1], item[0]))]
