"""Numbered stills as a clip: finding them in a folder or by a pattern, in the order of their numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from uhrmat.errors import InputError
from uhrmat.media.read import read_info, read_picture
from uhrmat.media.video.types import ClipInfo, Frame

SUFFIXES = frozenset((".png", ".tif", ".tiff", ".exr", ".jpg", ".jpeg", ".webp", ".bmp"))
DEFAULT_RATE = Fraction(24)
_NUMBERED = re.compile(r"(.*?)(\d+)(\D*)", re.ASCII | re.DOTALL)
_PRINTF = re.compile(r"%0?\d*d")
_HASHES = re.compile(r"#+")
_HINT = "Give a folder with one numbered sequence, or a pattern such as 'f_%04d.png', 'f_####.exr' or 'f_*.png'."


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


def is_pattern(source: Path) -> bool:
    """Whether a path that does not exist stands for many: %04d, #### or * in its name."""
    name = source.name
    return not source.exists() and any((_PRINTF.search(name), "#" in name, "*" in name))


class SequenceReader:
    """Numbered stills of one size. The index counts the files there are, times follow their numbers: a gap lasts.

    A still that cannot be read is an error that names it, unlike a damaged frame of a stream: files can be replaced.
    """

    def __init__(self, source: Path, rate: Fraction | None = None) -> None:
        self._files = _in_folder(source) if source.is_dir() else _by_pattern(source)
        self.notes: list[str] = []
        self.info = _describe(source, self._files, rate or DEFAULT_RATE)
        missing = self._files[-1].number - self._files[0].number + 1 - len(self._files)
        if missing:
            self.notes.append(
                f"{missing} numbers between the first and the last frame of '{source}' have no file; a movie shows the "
                "frame before for as long."
            )

    def __enter__(self) -> SequenceReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open."""

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames `start` up to but without `stop`. Raises `InputError` for a damaged still or one of another size."""
        info = self.info
        for index in range(start, len(self._files) if stop is None else min(stop, len(self._files))):
            file = self._files[index]
            picture = read_picture(file.path)
            if (picture.width, picture.height) != (info.width, info.height):
                raise InputError(
                    f"'{file.path}' is {picture.width} × {picture.height}, the first frame "
                    f"{info.width} × {info.height}.",
                    "All frames of a sequence must have one size.",
                )
            pts = file.number - self._files[0].number
            after = self._files[index + 1].number if index + 1 < len(self._files) else file.number + 1
            yield Frame(index, pts, pts * info.time_base, picture, file.number, after - file.number)


def _in_folder(folder: Path) -> list[Numbered]:
    """The one sequence of a folder, or `InputError`."""
    groups: dict[tuple[str, str], list[Numbered]] = {}
    for path in folder.iterdir():
        file = _take_apart(path)
        if file is not None:
            groups.setdefault((file.head, file.tail), []).append(file)
    if not groups:
        raise InputError(f"'{folder}' holds no numbered frames.", _HINT)
    if len(groups) > 1:
        listed = ", ".join(sorted(f"'{head}#{tail}'" for head, tail in groups)[:4])
        raise InputError(f"'{folder}' holds several sequences: {listed}.", _HINT)
    return _ordered(next(iter(groups.values())))


def _by_pattern(pattern: Path) -> list[Numbered]:
    folder, name = pattern.parent, pattern.name
    if not folder.is_dir():
        raise InputError(f"The folder '{folder}' does not exist.", _HINT)
    wanted = _expression(name)
    found = [_take_apart(path, wanted) for path in folder.iterdir() if wanted.fullmatch(path.name)]
    files = [file for file in found if file is not None]
    if not files:
        raise InputError(f"No numbered frame is named like '{pattern}'.", _HINT)
    return _ordered(files)


def _expression(name: str) -> re.Pattern[str]:
    """The pattern as an expression whose group is the number; `*` alone leaves that to the last digits."""
    for mark in (_PRINTF, _HASHES):
        found = mark.search(name)
        if found:
            width = len(found[0]) if mark is _HASHES else int(found[0][1:-1] or 1)
            return re.compile(f"(?P<head>{re.escape(name[: found.start()])})(?P<number>\\d{{{width},}})"
                              f"(?P<tail>{re.escape(name[found.end() :])})")  # fmt: skip
    return re.compile(".*".join(re.escape(part) for part in name.split("*")))


def _take_apart(path: Path, wanted: re.Pattern[str] | None = None) -> Numbered | None:
    if path.suffix.lower() not in SUFFIXES or path.name.startswith(".") or not path.is_file():
        return None
    if wanted is not None and "number" in wanted.groupindex:
        match = wanted.fullmatch(path.name)
        return Numbered(path, match["head"], match["number"], match["tail"]) if match else None
    match = _NUMBERED.fullmatch(path.stem)
    return Numbered(path, match[1], match[2], match[3] + path.suffix) if match else None


def _ordered(files: list[Numbered]) -> list[Numbered]:
    files = sorted(files, key=lambda file: file.number)
    for before, after in itertools.pairwise(files):
        if before.number == after.number:
            raise InputError(f"'{before.path.name}' and '{after.path.name}' have one number.", _HINT)
        if (before.head, before.tail) != (after.head, after.tail):
            raise InputError(f"'{before.path.name}' and '{after.path.name}' are of two sequences.", _HINT)
    return files


def _printf(files: list[Numbered]) -> str:
    """The name of the files in printf form: as many digits as the shortest number is written with, if any is padded."""
    shortest = min(len(file.digits) for file in files)
    padded = any(file.digits.startswith("0") for file in files) or len({len(file.digits) for file in files}) == 1
    head, tail = files[0].head.replace("%", "%%"), files[0].tail.replace("%", "%%")
    return f"{head}%0{shortest}d{tail}" if padded and shortest > 1 else f"{head}%d{tail}"


def _describe(source: Path, files: list[Numbered], rate: Fraction) -> ClipInfo:
    first, span = read_info(files[0].path), files[-1].number - files[0].number + 1
    return ClipInfo(
        path=source,
        kind="sequence",
        width=first.width,
        height=first.height,
        rate=rate,
        time_base=1 / rate,
        frames=len(files),
        bits=8 if first.bit_depth == 8 else 16,
        linear=first.linear,
        variable=span > len(files),
        duration=float(span / rate),
        numbers=tuple(file.number for file in files),
        pattern=_printf(files),
        codec=files[0].path.suffix.lower().lstrip("."),
        has_alpha=first.has_alpha,
    )
