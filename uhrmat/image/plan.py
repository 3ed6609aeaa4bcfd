"""Plan which files are written for which photographs, and check it before any work.

Everything a user can get wrong with paths and sizes is refused here, before a network is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.naming import Listing, find_existing, find_hints, list_folder
from uhrmat.core.regular import check_name
from uhrmat.hints.compatibility import check_hint_combination
from uhrmat.hints.files import check_hint_size
from uhrmat.hints.key_colour import parse_key
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.image.outputs import OutputSpec, check_sides
from uhrmat.media import MAX_PIXELS, PictureInfo, check_writable, read_info, same_file
from uhrmat.media.overscan import display_size
from uhrmat.prior.choose import choose_prior, takes_prompts


@dataclass(frozen=True, kw_only=True)
class ImageTask:
    """One photograph with its hints and the files to write.

    Attributes:
        photo: the file to be matted.
        files: output name → path, all in one folder.
        trimap, mask, plate, alpha: files of hints.
        key: the screen's colour, see `hints.key_colour.parse_key`.
        radius: of a mask's unknown band, see `hints.trimap.choose_radius`.
        prompts: points and boxes.
        recognise: whether a mask of rectangles or strokes is taken as such, see `hints.read.read_hints`.
    """

    photo: Path
    files: Mapping[str, Path]
    trimap: Path | None = None
    mask: Path | None = None
    plate: Path | None = None
    key: str | None = None
    alpha: Path | None = None
    radius: Radius = None
    prompts: Prompts | None = None
    recognise: bool = False

    @property
    def given(self) -> frozenset[str]:
        """Names of the hints, see `HINT_NAMES`."""
        others = {"key": self.key, "prompts": self.prompts}
        return frozenset(self.hints) | {name for name, value in others.items() if value is not None}

    @property
    def hints(self) -> dict[str, Path]:
        """The hints that are files, by name."""
        paths = {"trimap": self.trimap, "mask": self.mask, "plate": self.plate, "alpha": self.alpha}
        return {name: path for name, path in paths.items() if path is not None}


def plan(
    photos: Sequence[Path],
    spec: OutputSpec,
    *,
    folder: Path | None = None,
    trimap: Path | None = None,
    mask: Path | None = None,
    plate: Path | None = None,
    key: str | None = None,
    alpha: Path | None = None,
    prior: str = "auto",
    radius: Radius = None,
    prompts: Prompts | None = None,
    resize: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> list[ImageTask]:
    """Return one task for each photograph, in order; `folder` None writes beside it. Reads headers only.

    `trimap`, `mask`, `plate` and `alpha` are a file, or a folder in which they are found by the photograph's name (one
    plate may serve several photographs); with `resize` they may have any size. `radius` is that of a mask's unknown
    band, `prompts` are points and boxes in the one photograph. Raises InputError or OutputError for whatever cannot
    work: a file that is missing or no picture, hints that do not go together or with the prior, one hint for several
    photographs, a hint of another size, two photographs with one output, an output that exists or is an input, a name
    that is too long, a folder that cannot be written to.
    """
    files_given = {"trimap": trimap, "mask": mask, "plate": plate, "alpha": alpha}
    hints_given = {**files_given, "key": key, "prompts": prompts}
    given = frozenset(name for name, value in hints_given.items() if value is not None)
    check_hint_combination(given)
    check_radius(radius, given)
    choose_prior(prior, given)
    colour = None if key is None else parse_key(key)
    photos = list(dict.fromkeys(photos))
    if prompts is not None and len(photos) > 1:
        raise InputError(
            f"There are {len(photos)} photographs, but points and boxes belong to one.",
            "Matte them one by one, or give a folder of masks: filled rectangles and strokes in them are recognised.",
        )
    if spec.file is not None and len(photos) > 1:
        raise InputError(
            f"There are {len(photos)} photographs, but '{spec.file}' is one file.", "Name a folder with -o."
        )
    tasks, listed = [], cache(list_folder)
    for photo in photos:
        info = read_info(photo, max_pixels)
        files = spec.files(photo, folder or photo.parent, linear=info.dtype == "float32")
        check_sides(files, photo, info)
        for path in files.values():
            check_name(path)
        hints = {name: _hint(photo, photos, path, name, listed) for name, path in files_given.items()}
        task = ImageTask(
            photo=photo, files=files, key=colour, radius=radius, prompts=prompts, recognise=takes_prompts(prior),
            **hints,
        )  # fmt: skip
        _check_hints(task, info, resize, max_pixels)
        tasks.append(task)
    for target in dict.fromkeys(path.parent for task in tasks for path in task.files.values()):
        check_writable(target)  # before looking at what exists: this finishes what a killed run left there
    _refuse_clashes(tasks, spec)
    return tasks


def _hint(
    photo: Path, photos: Sequence[Path], hint: Path | None, what: str, listed: Callable[[Path], Listing]
) -> Path | None:
    """The hint of `photo`: the file itself if it is the only photograph, else the one of its name in the folder."""
    if hint is None:
        return None
    if os.path.isdir(hint):
        beside = same_file(hint, photo.parent)
        matches = find_hints(photo.stem, what, hint, listed(hint), beside=beside)
        if len(matches) == 1:
            return matches[0]
        names = f"{photo.stem}_{what}.png" if beside else f"{photo.stem}.png or {photo.stem}_{what}.png"
        raise InputError(
            f"The folder {hint} has {len(matches) or 'no'} {what}s for {photo.name}.",
            f"It must have exactly one, named {names} or the like.",
        )
    hint = find_existing(hint)
    if len(photos) > 1 and what != "plate":
        raise InputError(
            f"There are {len(photos)} photographs, but one {what}: {hint}.",
            f"Put {what}s named like the photographs into a folder, and name the folder.",
        )
    return hint


def _check_hints(task: ImageTask, info: PictureInfo, resize: bool, max_pixels: int) -> None:
    """A trimap must fit its photograph to the pixel; other hints, which are coarse anyway, in its proportions."""
    if task.prompts is not None:
        task.prompts.check(*display_size(info))
    for what, hint in task.hints.items():
        if same_file(hint, task.photo):
            raise InputError(f"The {what} {hint} is the photograph itself.", f"Give a {what} in a file of its own.")
        have = read_info(hint, max_pixels)
        size, wanted = (have.height, have.width), (info.height, info.width)
        check_hint_size(f"The {what} {hint}", what, size, wanted, resize, picture=f"the photograph {task.photo.name}")


def _refuse_clashes(tasks: Sequence[ImageTask], spec: OutputSpec) -> None:
    """Outputs that two photographs share, that are inputs, or that exist."""
    inputs = {path.resolve() for task in tasks for path in (task.photo, *task.hints.values())}
    if spec.background is not None:
        inputs.add(Path(spec.background).resolve())
    owners: dict[Path, ImageTask] = {}
    for task in tasks:
        for path in task.files.values():
            first = owners.setdefault(path.resolve(), task)
            if first is not task:
                raise InputError(
                    f"Both {first.photo} and {task.photo} would be written to {path}.",
                    "Rename one of them, or matte them one by one into folders of their own.",
                )
            if path.resolve() in inputs:
                raise OutputError(f"The output {path} is one of the inputs.", "Choose another folder with -o.")
            if path.is_dir():
                raise OutputError(f"The output {path} is a folder.", "Rename it, or choose another folder with -o.")
    existing = (
        [] if spec.overwrite else [path for task in tasks for path in task.files.values() if os.path.lexists(path)]
    )
    if existing:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OutputError(
            f"The output {existing[0]}{more} exists.", "Replace it with --overwrite, or choose another folder with -o."
        )
