"""Hints of a clip: one for all frames, one for every frame, or for key frames from which they are propagated.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.core.naming import HINT_SUFFIXES
from uhrmat.hints.files import read_alpha
from uhrmat.hints.read import Hints, read_hints
from uhrmat.media import Picture, read_info, read_picture
from uhrmat.media.video import ClipInfo
from uhrmat.media.video.container import is_clip
from uhrmat.media.video.names import number_files


@dataclass(frozen=True)
class ClipHints:
    """The hints of a clip, by file.

    Attributes:
        kind: "trimap" or "mask" if there are `keys`, else "".
        keys: index of a key frame → its trimap or mask.
        plate: the scene without its subject.
        key: colour of the screen.
        propagated: frames without a file of their own get theirs by mask propagation (`video.propagate`).
        notes: lines for the user about the files' numbers.
    """

    kind: str = ""
    keys: dict[int, Path] = field(default_factory=dict)
    plate: Path | None = None
    key: str | None = None
    propagated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def given(self) -> frozenset[str]:
        """Names of the hints that every frame has, as priors ask for them (see `HINT_NAMES`)."""
        named = {self.kind: True, "plate": self.plate is not None, "key": self.key is not None}
        return frozenset(name for name, there in named.items() if name and there)

    def files(self) -> list[Path]:
        """All files of the hints."""
        return [*self.keys.values(), *([self.plate] if self.plate else [])]


def find_hints(
    info: ClipInfo, start: int, stop: int, *, trimap: Path | None = None, mask: Path | None = None,
    plate: Path | None = None, key: str | None = None, first_needed: bool = True,
) -> ClipHints:  # fmt: skip
    """The hints for frames `start` to `stop`. A file is for the first of them, a folder's files for those they number.

    Numbers are those of a sequence's files, and count from 0 in a video file (see `_offset` for the exceptions).
    first_needed: the first frame must have one; otherwise any frame may, and a note says which frames lie before it.
    Raises InputError where no frame, or the first, has none, two kinds were given, or a hint is no picture.
    """
    if trimap is not None and mask is not None:
        raise InputError("Both --trimap and --mask were given.", "Keep the trimap, which says more, or the mask.")
    if plate is not None:
        _check_picture(plate, "plate")
    named = trimap or mask
    if named is None:
        return ClipHints(plate=plate, key=key)
    kind = "trimap" if trimap is not None else "mask"
    if kind == "mask" and (plate is not None or key is not None):
        raise InputError("A mask and a plate or key were given.", "Give one of them.")
    keys, notes = _numbered(named, info, start, stop, kind, first_needed) if named.is_dir() else ({start: named}, ())
    if not named.is_dir():
        _check_picture(named, kind)
    complete = len(keys) == stop - start
    if not complete and (plate is not None or key is not None):
        raise InputError(
            "A plate or key says something of every frame, the trimap only of some.", "Leave the trimap out."
        )
    return ClipHints(kind, keys, plate, key, not complete, notes)


def _check_picture(path: Path, kind: str) -> None:
    """Raises InputError for a hint that cannot be opened as a picture, a clip among them."""
    if not path.is_file():
        raise InputError(f"The {kind} {path} does not exist.", "Name a picture, or a folder of them.")
    try:
        read_info(path)
    except InputError as error:
        if not is_clip(path):
            raise
        raise InputError(
            f"The {kind} {path} is a clip, and hints are read from pictures only.",
            f"Save its frames as numbered pictures from 0 on and give their folder, or give the first frame's {kind}.",
        ) from error


def _numbered(
    folder: Path, info: ClipInfo, start: int, stop: int, kind: str, first_needed: bool = True
) -> tuple[dict[int, Path], tuple[str, ...]]:
    """The picture of each key frame, by index, from a folder of numbered pictures; and notes about their numbers."""
    paths = (p for p in sorted(folder.iterdir()) if p.suffix.lower() in HINT_SUFFIXES and not p.name.startswith("."))
    files = number_files(path for path in paths if path.is_file())
    frames = info.numbers or range(info.frames or stop)
    index = {number: at for at, number in enumerate(frames)}
    offset = _offset([file.number for file in files], frames, from_zero=not info.numbers)
    places = [(index.get(file.number - offset, -1), file.path) for file in files]
    keys: dict[int, Path] = {}
    for at, path in places:
        if at in keys:
            raise InputError(f"{keys[at].name} and {path.name} are for one frame.", f"Keep one {kind} for each.")
        if start <= at < stop:
            keys[at] = path
    if not keys or (first_needed and start not in keys):
        raise _no_first(folder, kind, [file.number for file in files], frames, start)
    notes = []
    if start not in keys:
        first = min(keys)
        notes.append(
            f"the first {kind}, {keys[first].name}, is for frame {first}: propagated backward to frame {start}"
        )
    if offset:
        notes.append(f"the {kind}s are numbered from {offset + frames[0]}, the frames from {frames[0]}: taken in order")
    unmatched = [path.name for at, path in places if at < 0]
    if unmatched:
        notes.append(f"{len(unmatched)} of the {kind}s have the number of no frame, first {unmatched[0]}")
    return keys, tuple(notes)


def _offset(hints: Sequence[int], frames: Sequence[int], *, from_zero: bool) -> int:
    """What the hints' numbers are ahead of the frames'. 0 where every hint has a frame of its number, and wherever it
    is not certain. Else as many hints as frames, both without gaps, are taken in order; and where frames count from 0
    because a video file has no numbers, hints up to the number of frames and without a 0 count from 1, as ffmpeg does.
    """
    known = set(frames)
    if not hints or known.issuperset(hints):
        return 0
    first, last = min(hints), max(hints)
    if len(set(hints)) == len(frames) == last - first + 1 == frames[-1] - frames[0] + 1:
        return first - frames[0]
    return 1 if from_zero and first > 0 and last == len(frames) else 0


def _no_first(folder: Path, kind: str, hints: Sequence[int], frames: Sequence[int], start: int) -> InputError:
    """The error for a folder that has no hint for the first frame."""
    text = f"The folder {folder} has no {kind} for the first frame, number {frames[start]}"
    inside = sorted(set(hints).intersection(frames[start:]))
    if not hints:
        return InputError(f"{text}: it holds no numbered picture.", "Number them like the frames.")
    if not inside:
        return InputError(f"{text}: its numbers begin with {min(hints)}.", "Number them like the frames.")
    if start == 0 and frames[0] == 0 and min(hints) == 1:
        return InputError(
            f"{text}: the first is number 1, and the frames count from 0.",
            "If number 1 is meant for the first frame, number from 0 (ffmpeg: -start_number 0); else add number 0.",
        )
    return InputError(
        f"{text}: the first is for frame {inside[0]}.", f"Add it, or begin with --start {frames.index(inside[0])}."
    )


class HintReader:
    """The hints of each frame of a clip of `size` (H, W). propagated: the folder of what was tracked (see `track`)."""

    def __init__(self, hints: ClipHints, size: tuple[int, int], propagated: Path) -> None:
        self._hints, self._size, self._propagated = hints, size, propagated
        self._plate: Picture | None = None if hints.plate is None else read_picture(hints.plate)

    def __call__(self, index: int) -> Hints:
        """Raises InputError for files that cannot be used."""
        path = self._hints.keys.get(index)
        trimap = path if self._hints.kind == "trimap" else None
        if not self._hints.propagated:
            mask = path if self._hints.kind == "mask" else None
            return read_hints(self._size, trimap, mask, plate=self._plate, key=self._hints.key, strict=False)
        hints = read_hints(self._size, trimap, strict=False)
        return replace(hints, alpha=read_alpha(propagated_file(self._propagated, index)))


def propagated_file(folder: Path, index: int) -> Path:
    """The file of a frame's propagated alpha."""
    return folder / f"{index:06d}.png"


def key_hints(hints: ClipHints, index: int, size: tuple[int, int]) -> Hints:
    """The trimap or mask of a key frame of a clip of `size` (H, W).

    Raises InputError for files that cannot be used, and for one that marks nothing where there is no other.
    """
    path = hints.keys[index]
    trimap, mask = (path, None) if hints.kind == "trimap" else (None, path)
    return read_hints(size, trimap, mask, strict=len(hints.keys) == 1)
