"""Hints of a clip: one for all frames, one for every frame, or for key frames from which they are propagated.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.core.naming import HINT_SUFFIXES
from uhrmat.hints.drawn import recognise_prompts
from uhrmat.hints.files import ArrayOrPath, read_alpha, read_mask, resize_mask
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.hints.read import Hints, read_hints
from uhrmat.hints.trimap import TRIMAP_DEFAULTS, choose_radius, trimap_from_mask
from uhrmat.media import Picture, read_info, read_picture
from uhrmat.media.video import ClipInfo, ClipReader
from uhrmat.media.video.container import is_clip
from uhrmat.media.video.names import Numbered, number_files
from uhrmat.media.video.sequence import is_pattern, numbered_stills
from uhrmat.video.hint_clip import HintClip, HintFrames, match_hint_clip
from uhrmat.video.prompts import FramePrompts, place_prompts
from uhrmat.video.subject_masks import read_subject


@dataclass(frozen=True)
class ClipHints:
    """The hints of a clip, by file.

    Attributes:
        kind: "trimap", "mask" or "alpha" if there are `keys`, else "".
        keys: index of a key frame → the file that holds its trimap, mask or alpha.
        plate: the scene without its subject.
        key: colour of the screen.
        propagated: frames without a file of their own get theirs by mask propagation (`video.propagate`).
        notes: lines for the user about the files' numbers.
        clip: the hint clip, where the files of `keys` are one video file.
        radius: of the unknown band that masks get, see `hints.trimap.choose_radius`.
        mattes: indices of key frames whose file is a finished matte, whatever `kind` is.
        prompts: index of a key frame → points and boxes on it. Its file, a mask, is made when the hints are propagated
            (`video.prompts.write_prompt_masks`); before that, `keys` has the index alone.
    """

    kind: str = ""
    keys: dict[int, Path] = field(default_factory=dict)
    plate: Path | None = None
    key: str | None = None
    propagated: bool = False
    notes: tuple[str, ...] = ()
    clip: HintClip | None = None
    radius: Radius = None
    mattes: frozenset[int] = frozenset()
    prompts: dict[int, Prompts] = field(default_factory=dict)

    @property
    def own_keys(self) -> list[int]:
        """Indices, ascending, of key frames with a hint; of all where there is none but finished mattes."""
        return sorted(self.keys.keys() - self.mattes) or sorted(self.keys)

    @property
    def given(self) -> frozenset[str]:
        """Names of the hints that every frame has, as priors ask for them (see `HINT_NAMES`).

        An alpha that is propagated serves as a mask.
        """
        kind = "mask" if self.propagated and self.kind == "alpha" else self.kind
        named = {kind: True, "plate": self.plate is not None, "key": self.key is not None}
        return frozenset(name for name, there in named.items() if name and there)

    def files(self) -> list[Path]:
        """All files of the hints."""
        keys = [path for index, path in self.keys.items() if index not in self.prompts]
        return list(dict.fromkeys([*keys, *([self.plate] if self.plate else [])]))

    def frames_of(self, size: tuple[int, int]) -> HintFrames | None:
        """A reader of the hint clip for frames of `size` (H, W); None where the hints are pictures."""
        return None if self.clip is None else HintFrames(self.clip, size)


def find_hints(
    info: ClipInfo, start: int, stop: int, *, trimap: Path | None = None, mask: Path | None = None,
    alpha: Path | None = None, plate: Path | None = None, key: str | None = None, first_needed: bool = True,
    radius: Radius = None, redo: bool = False, prompts: FramePrompts | None = None,
) -> ClipHints:  # fmt: skip
    """The hints for frames `start` to `stop`.

    A picture is for the first of them; a folder's or pattern's files are for those that they number; a video file's
    frames are matched as `match_hint_clip` says. Numbers are those of a sequence's files, and count from 0 in a video
    file (see `_offset` for the exceptions).

    Args:
        info: of the clip.
        start, stop: indices of its frames; `stop` is not included.
        trimap, mask, alpha: a picture, a folder, a pattern or a video file; one of them.
        plate, key: hints for every frame.
        first_needed: the first frame must have one; otherwise any frame may, and a note says which frames lie before
            it.
        radius: of the unknown band that masks get.
        prompts: points and boxes by index of frame, instead of the three.
        redo: they are for frames that are matted again, so that a picture must say by its name for which.

    Raises:
        InputError: no frame, or the first, has a hint, two kinds were given, or a hint cannot be used.
    """
    named = {"trimap": trimap, "mask": mask, "alpha": alpha}
    given = {kind: path for kind, path in named.items() if path is not None}
    if len(given) > 1:
        first, second = list(given)[:2]
        raise InputError(f"Both --{first} and --{second} were given.", "Keep the one that holds more.")
    check_radius(radius, frozenset(given))
    if prompts:
        others = [name for name, value in {**given, "plate": plate, "key": key}.items() if value is not None]
        return _prompted(prompts, info, start, stop, others)
    if plate is not None:
        _check_picture(plate, "plate")
    if not given:
        return ClipHints(plate=plate, key=key)
    kind, path = next(iter(given.items()))
    if kind != "trimap" and (plate is not None or key is not None):
        raise InputError(f"{_with_article(kind)} and a plate or key were given.", "Give one of them.")
    clip, notes = None, tuple[str, ...]()
    if path.is_dir() or is_pattern(path):
        keys, notes = _numbered(path, info, start, stop, kind, first_needed, redo)
    elif _is_picture(path, kind):
        if redo:
            raise _unnumbered(path, kind)
        keys = {start: path}
    else:
        clip = match_hint_clip(path, kind, info, start, stop)
        keys, notes = dict.fromkeys(clip.frames, path), clip.notes
    complete = len(keys) == stop - start
    if not complete and (plate is not None or key is not None):
        raise InputError(
            "A plate or key says something of every frame, the trimap only of some.", "Leave the trimap out."
        )
    if kind == "mask" and clip is None and not complete and radius is None:
        drawn = _drawn_boxes(keys, (info.height, info.width))
        if drawn:
            listed = ", ".join(f"frame {index}: {' and '.join(map(str, one.boxes))}" for index, one in drawn.items())
            note = f"the masks are filled rectangles: they are taken as boxes ({listed}); --radius takes them as masks"
            return ClipHints(
                "mask", dict.fromkeys(drawn, Path()), propagated=True, notes=(*notes, note), prompts=drawn
            )  # fmt: skip
    return ClipHints(kind, keys, plate, key, not complete, notes, clip, radius)


def _drawn_boxes(keys: Mapping[int, Path], size: tuple[int, int]) -> dict[int, Prompts]:
    """The boxes that masks of key frames were drawn as; none unless all of them were."""
    boxes: dict[int, Prompts] = {}
    for index, path in keys.items():
        drawn = recognise_prompts(read_mask(path, size))
        if drawn is None:
            return {}
        boxes[index] = drawn.prompts
    return boxes


def _prompted(prompts: FramePrompts, info: ClipInfo, start: int, stop: int, others: Sequence[str]) -> ClipHints:
    """Hints of points and boxes alone."""
    if others:
        raise InputError(f"Hints of two kinds were given: {others[0]} and points or boxes.", "Give one of them.")
    placed = place_prompts(prompts, start, stop, (info.height, info.width))
    return ClipHints("mask", dict.fromkeys(placed, Path()), propagated=True, prompts=placed)


def _unnumbered(path: Path, kind: str) -> InputError:
    """The error for one picture where it is not certain which frame it is for."""
    return InputError(
        f"With --redo, the {kind} {path} does not say which frame it is for.",
        f"Name it by its frame, like '{kind}_0150{path.suffix}', and give --{kind} '{kind}_%04d{path.suffix}' or its "
        "folder; those of other frames may lie beside it.",
    )


def _with_article(kind: str) -> str:
    return f"{'An' if kind == 'alpha' else 'A'} {kind}"


def _check_picture(path: Path, kind: str) -> None:
    """Raises InputError for a hint that cannot be opened as a picture, a clip among them."""
    if not _is_picture(path, kind):
        raise InputError(f"The {kind} {path} is a clip, and must be a picture.", "Save one of its frames as a picture.")


def _is_picture(path: Path, kind: str) -> bool:
    """Whether a hint is a picture; False for a clip. Raises InputError for what is neither."""
    if not path.is_file():
        raise InputError(f"The {kind} {path} does not exist.", "Name a picture, a folder of them, or a clip.")
    try:
        read_info(path)
    except InputError:
        if not is_clip(path):
            raise
        return False
    return True


def _files(source: Path) -> list[Numbered]:
    """The numbered pictures of a folder or a pattern."""
    if not source.is_dir():
        return numbered_stills(source)
    paths = (p for p in sorted(source.iterdir()) if p.suffix.lower() in HINT_SUFFIXES and not p.name.startswith("."))
    return number_files(path for path in paths if path.is_file())


def _numbered(
    folder: Path, info: ClipInfo, start: int, stop: int, kind: str, first_needed: bool = True, redo: bool = False
) -> tuple[dict[int, Path], tuple[str, ...]]:
    """The picture of each key frame, by index, from numbered pictures; and notes about their numbers."""
    files = _files(folder)
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
    if not keys or (first_needed and not redo and start not in keys):
        raise _no_first(folder, kind, [file.number for file in files], frames, start)
    notes = []
    if start not in keys and not redo:
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
    """The hints of each frame of a clip, best read in ascending order.

    Args:
        hints: of the clip.
        size: (H, W) of its frames.
        propagated: folder of the propagated alphas, see `propagated_file`, and, without hints, of what a network has
            marked in each frame (`video.consensus`).
    """

    def __init__(self, hints: ClipHints, size: tuple[int, int], propagated: Path) -> None:
        self._hints, self._size, self._propagated = hints, size, propagated
        self._plate: Picture | None = None if hints.plate is None else read_picture(hints.plate)
        self._frames = hints.frames_of(size)

    def __call__(self, index: int) -> Hints:
        """Raises InputError for files that cannot be used."""
        hint = _hint_of(self._hints, index, self._frames)
        given = {} if hint is None else {self._hints.kind: hint}
        if not self._hints.propagated:
            radius = self._hints.radius if "mask" in given else None
            hints = read_hints(
                self._size, **given, plate=self._plate, key=self._hints.key, strict=False, radius=radius,  # type: ignore[arg-type]
            )  # fmt: skip
            return hints if self._hints.given else replace(hints, subject=read_subject(self._propagated, index))
        if hint is not None and self._hints.kind == "alpha":
            return read_hints(self._size, alpha=hint, strict=False)
        hints = read_hints(self._size, hint if self._hints.kind == "trimap" else None, strict=False)
        return replace(hints, alpha=read_alpha(propagated_file(self._propagated, index)), propagated=True)


def _hint_of(hints: ClipHints, index: int, frames: HintFrames | None) -> ArrayOrPath | None:
    """A frame's own trimap, mask or alpha; None where it has none."""
    if index not in hints.keys:
        return None
    return hints.keys[index] if frames is None or index in hints.mattes else frames(index)


def with_radius(hints: ClipHints, reader: ClipReader) -> ClipHints:
    """The hints with the number of pixels that the radius "auto" of their masks means in the clip, and a note of it.

    It is chosen once, by the first key frame, so that the band keeps its width on every frame and machine.

    Args:
        hints: checked, see `find_hints`.
        reader: of the clip.
    """
    if hints.radius != "auto":
        return hints
    size, start = (reader.info.height, reader.info.width), min(hints.keys)
    mask = key_hints(hints, start, size).mask
    assert mask is not None
    frame = next(iter(reader.frames(start, start + 1)), None)
    pixels, why = choose_radius(hints.radius, mask, None if frame is None else frame.picture)
    note = f"trimaps are made from masks with a radius of {pixels} pixels{why}"
    return replace(hints, radius=pixels, notes=(*hints.notes, note))


def propagated_file(folder: Path, index: int) -> Path:
    """The file of a frame's propagated alpha."""
    return folder / f"{index:06d}.png"


def key_hints(hints: ClipHints, index: int, size: tuple[int, int], frames: HintFrames | None = None) -> Hints:
    """The trimap, mask or alpha of a key frame of a clip of `size` (H, W); an alpha as the mask that it is.

    Args:
        hints: of the clip.
        index: of a key frame.
        size: (H, W) of the clip's frames.
        frames: reader of the hint clip, see `ClipHints.frames_of`; None: it is opened for this frame alone.

    Raises:
        InputError: for files that cannot be used, and for one that marks nothing where there is no other.
    """
    hint = _hint_of(hints, index, frames or hints.frames_of(size))
    strict = len(hints.keys) == 1
    if hints.kind != "alpha" and index not in hints.mattes:
        radius = hints.radius if hints.kind == "mask" else None
        return read_hints(size, **{hints.kind: hint}, strict=strict, radius=radius)  # type: ignore[arg-type]
    given = read_hints(size, alpha=hint, strict=strict)
    if not hints.propagated:
        return given
    assert given.alpha is not None
    mask = given.alpha if given.alpha.shape == size else resize_mask(given.alpha, size)
    radius = TRIMAP_DEFAULTS.least_radius
    return replace(given, mask=mask, trimap=trimap_from_mask(mask, radius, radius))
