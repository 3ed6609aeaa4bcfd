"""Numbered stills as a clip: finding them in a folder or by a pattern, in the order of their numbers."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.core.files import same_file
from uhrmat.media.read import read_info, read_picture
from uhrmat.media.video.names import FrameNames, Numbered, families, number_files, star_expression
from uhrmat.media.video.types import ClipInfo, Frame

SUFFIXES = frozenset((".png", ".tif", ".tiff", ".exr", ".jpg", ".jpeg", ".webp", ".bmp"))
DEFAULT_RATE = Fraction(24)
_HINT = "Give a folder with one numbered sequence, or a pattern such as 'f_%04d.png', 'f_####.exr' or 'f_*.png'."


def is_pattern(source: Path) -> bool:
    """Whether a path that does not exist stands for many: %04d, #### or * in its name."""
    return not source.exists() and ("*" in source.name or FrameNames.parse(source) is not None)


class SequenceReader:
    """Numbered stills of one size. The index counts the files there are, times follow their numbers: a gap lasts.

    A still that cannot be read is an error that names it, unlike a damaged frame of a stream: files can be replaced.
    """

    def __init__(self, source: Path, rate: Fraction | None = None) -> None:
        self._files = numbered_stills(source)
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
            pts, duration = self.stamp(index)
            yield Frame(
                index=index,
                pts=pts,
                time=pts * info.time_base,
                picture=picture,
                number=file.number,
                duration=duration,
            )

    def stamp(self, index: int) -> tuple[int, int]:
        """Time stamp and duration of frame `index`, in the clip's time base."""
        number = self._files[index].number
        after = self._files[index + 1].number if index + 1 < len(self._files) else number + 1
        return number - self._files[0].number, after - number


def numbered_stills(source: Path) -> list[Numbered]:
    """The stills of one sequence in order, from a folder or by a pattern. Raises InputError where there is none."""
    return _in_folder(source) if source.is_dir() else _by_pattern(source)


def _in_folder(folder: Path) -> list[Numbered]:
    """The one sequence of a folder, or `InputError`."""
    files = number_files(path for path in folder.iterdir() if _is_still(path))
    if not files:
        raise InputError(f"'{folder}' holds no numbered frames.", _HINT)
    sequences = families(files)
    if len(sequences) > 1:
        listed = ", ".join(f"'{name}'" for name in sequences[:4])
        raise InputError(f"'{folder}' holds several sequences: {listed}.", _HINT)
    return _ordered(files)


def _by_pattern(pattern: Path) -> list[Numbered]:
    folder = pattern.parent
    if not folder.is_dir():
        raise InputError(f"The folder '{folder}' does not exist.", _HINT)
    names, expression = FrameNames.parse(pattern), _expression(pattern)
    stills = [path for path in folder.iterdir() if expression.fullmatch(path.name) and _is_still(path)]
    if names is None:
        files = number_files(stills)
    else:
        matches = [(path, match) for path in stills if (match := expression.fullmatch(path.name))]
        files = [Numbered(path, match["head"], match["number"], match["tail"]) for path, match in matches]
    if not files:
        raise InputError(f"No numbered frame is named like '{pattern}'.", _HINT)
    return _ordered(files)


def _expression(pattern: Path) -> re.Pattern[str]:
    """Matches the names that a pattern stands for."""
    names = FrameNames.parse(pattern)
    return re.compile(star_expression(pattern.name), re.DOTALL) if names is None else names.expression


def is_frame_of(source: Path, still: Path) -> bool:
    """Whether a still that is written to that path would be looked at as a frame of the sequence `source`."""
    folder = source if source.is_dir() else source.parent
    if not same_file(folder, still.parent) or still.suffix.lower() not in SUFFIXES:
        return False
    return source.is_dir() or _expression(source).fullmatch(still.name) is not None


def _is_still(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _ordered(files: list[Numbered]) -> list[Numbered]:
    files = sorted(files, key=lambda file: file.number)
    for before, after in itertools.pairwise(files):
        if before.number == after.number:
            raise InputError(f"'{before.path.name}' and '{after.path.name}' have one number.", _HINT)
        if (before.head, before.tail) != (after.head, after.tail):
            raise InputError(f"'{before.path.name}' and '{after.path.name}' are of two sequences.", _HINT)
    return files


def _names(files: list[Numbered]) -> FrameNames:
    """The names of the files: as many digits as the shortest number is written with, if any is padded."""
    shortest = min(len(file.digits) for file in files)
    padded = any(file.digits.startswith("0") for file in files) or len({len(file.digits) for file in files}) == 1
    return FrameNames(files[0].path.parent, files[0].head, shortest if padded else 1, files[0].tail)


def _describe(source: Path, files: list[Numbered], rate: Fraction) -> ClipInfo:
    first, span = read_info(files[0].path), files[-1].number - files[0].number + 1
    aspect = Fraction(1) if first.exr is None else Fraction(first.exr.pixel_aspect).limit_denominator(1000)
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
        pattern=_names(files).path.name,
        codec=files[0].path.suffix.lower().lstrip("."),
        has_alpha=first.has_alpha,
        sample_aspect=aspect if aspect > 0 else Fraction(1),
        files=tuple(file.path for file in files),
    )
