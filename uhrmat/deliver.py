"""From a matte to the files of one photograph: all of them at once, or none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from uhrmat.composite import Background, composite
from uhrmat.errors import OutputError
from uhrmat.media import Picture, write_alpha, write_rgb, write_rgba
from uhrmat.plan import Job, Spec
from uhrmat.preview import preview

if TYPE_CHECKING:
    from uhrmat.matter import Matte


Array = npt.NDArray[Any]


def deliver(matte: Matte, job: Job, spec: Spec, background: Background | None = None) -> dict[str, Path]:
    """Writes the files of `job` and returns them by name. Raises OutputError; then no file has changed."""
    with all_or_none(job.files) as staged:
        for name, path in staged.items():
            _WRITERS[name](path, matte, spec, background)
    return dict(job.files)


@contextmanager
def all_or_none(files: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Yields a path to write for each of `files`, all in one folder; puts them in place when the block ends well.

    They are written to a hidden folder beside their targets, then moved, which on one disk cannot leave a half file.
    If a move fails, those already made are undone.
    """
    folder = next(iter(files.values())).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=".uhrmat-", dir=folder))
    except OSError as error:
        raise OutputError(
            f"The folder {folder} cannot be written to ({error.strerror}).", "Choose another one."
        ) from None
    try:
        staged = {name: stage / path.name for name, path in files.items()}
        yield staged
        _place([(staged[name], path) for name, path in files.items()], stage)
    except OSError as error:
        raise OutputError(
            f"Writing to {folder} failed ({error.strerror}).", "Check its space and permissions."
        ) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _place(moves: list[tuple[Path, Path]], stage: Path) -> None:
    """Moves all or none: what was there before is kept until the last move has worked."""
    kept: list[tuple[Path, Path | None]] = []
    try:
        for number, (source, target) in enumerate(moves):
            backup = stage / f"before-{number}" if target.exists() else None
            if backup is not None:
                os.replace(target, backup)
            kept.append((target, backup))
            os.replace(source, target)
    except BaseException:
        for target, backup in reversed(kept):
            target.unlink(missing_ok=True)
            if backup is not None:
                os.replace(backup, target)
        raise


def _alpha(path: Path, matte: Matte, spec: Spec, background: Background | None) -> None:
    write_alpha(path, matte.alpha, spec.alpha_format)


def _foreground(path: Path, matte: Matte, spec: Spec, background: Background | None) -> None:
    """Keeps the estimated colour just outside the edge, so that scaling the file brings no dark fringe."""
    _write_rgba(path, matte, spec, keep_hidden=matte.foreground is not None)


def _cutout(path: Path, matte: Matte, spec: Spec, background: Background | None) -> None:
    """Nothing where nothing is seen."""
    _write_rgba(path, matte, spec, keep_hidden=False)


def _write_rgba(path: Path, matte: Matte, spec: Spec, *, keep_hidden: bool) -> None:
    premultiply = path.suffix == ".exr" if spec.premultiply is None else spec.premultiply
    write_rgba(path, _colour(matte), matte.alpha, matte.picture.info, premultiply, keep_hidden=keep_hidden)


def _composite(path: Path, matte: Matte, spec: Spec, background: Background | None) -> None:
    if background is None:
        raise ValueError("a composite needs a background")
    info = matte.picture.info
    write_rgb(path, composite(_colour(matte), matte.alpha, background, linear=info.linear), info)


def _preview(path: Path, matte: Matte, spec: Spec, background: Background | None) -> None:
    sheet = preview(matte)  # sRGB, whatever the photograph is
    write_rgb(path, sheet, Picture.from_array(sheet).info)


def _colour(matte: Matte) -> Array:
    return matte.picture.pixels if matte.foreground is None else matte.foreground


_WRITERS: dict[str, Callable[[Path, Matte, Spec, Background | None], None]] = {
    "alpha": _alpha,
    "foreground": _foreground,
    "cutout": _cutout,
    "composite": _composite,
    "preview": _preview,
}
