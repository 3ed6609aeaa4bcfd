"""Write the files of one photograph: all of them take their names together, or none does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from uhrmat.core.stage import all_or_none
from uhrmat.image.outputs import OutputSpec
from uhrmat.media import Picture, write_alpha, write_rgb, write_rgba
from uhrmat.media.composite import Background, composite, composite_alpha
from uhrmat.media.icc import srgb_profile
from uhrmat.report.contact_sheet import contact_sheet

if TYPE_CHECKING:  # importing it loads torch, and `uhrmat image` plans and reads before that
    from uhrmat.pipeline import StillResult


Array = npt.NDArray[Any]


def write_outputs(
    matte: StillResult, files: Mapping[str, Path], spec: OutputSpec, background: Background | None = None
) -> dict[str, Path]:
    """Write a matte's files and return them by output name.

    Args:
        matte: what is written.
        files: output name → path, see `OutputSpec.files`.
        spec: formats, and whether files that exist are replaced.
        background: of the output "composite".

    Raises:
        OutputError: where a file cannot be written; then no file has changed.
    """
    with all_or_none(files, overwrite=spec.overwrite) as staged:
        for name, path in staged.items():
            _WRITERS[name](path, matte, spec, background)
    return dict(files)


def _alpha(path: Path, matte: StillResult, spec: OutputSpec, background: Background | None) -> None:
    write_alpha(path, matte.alpha, spec.alpha_format, info=matte.picture.info)


def _foreground(path: Path, matte: StillResult, spec: OutputSpec, background: Background | None) -> None:
    """Write colour with alpha; the estimated colour just outside the edge is kept, against dark fringes."""
    _write_rgba(path, matte, spec, keep_hidden=matte.foreground is not None)


def _cutout(path: Path, matte: StillResult, spec: OutputSpec, background: Background | None) -> None:
    """Write colour with alpha; colour is black where alpha is 0."""
    _write_rgba(path, matte, spec, keep_hidden=False)


def _write_rgba(path: Path, matte: StillResult, spec: OutputSpec, *, keep_hidden: bool) -> None:
    write_rgba(
        path, _colour(matte), matte.alpha, matte.picture.info, _premultiplies(path, spec),
        bits=spec.colour_bits, keep_hidden=keep_hidden, keep_metadata=spec.keep_metadata,
    )  # fmt: skip


def _premultiplies(path: Path, spec: OutputSpec) -> bool:
    return path.suffix.lower() == ".exr" if spec.premultiply is None else spec.premultiply


def _composite(path: Path, matte: StillResult, spec: OutputSpec, background: Background | None) -> None:
    if background is None:
        raise ValueError("a composite needs a background")
    info = matte.picture.info
    made, alpha = composite(_colour(matte), matte.alpha, background, info), composite_alpha(matte.alpha, background)
    if alpha is None:
        write_rgb(path, made, info, bits=spec.colour_bits, keep_metadata=spec.keep_metadata)
    else:
        write_rgba(
            path, made, alpha, info, _premultiplies(path, spec),
            bits=spec.colour_bits, keep_metadata=spec.keep_metadata,
        )  # fmt: skip


def _preview(path: Path, matte: StillResult, spec: OutputSpec, background: Background | None) -> None:
    sheet = contact_sheet(matte)  # sRGB, whatever the photograph is
    write_rgb(path, sheet, Picture.from_array(sheet, icc=srgb_profile()).info)


def _colour(matte: StillResult) -> Array:
    return matte.picture.pixels if matte.foreground is None else matte.foreground


_WRITERS: dict[str, Callable[[Path, StillResult, OutputSpec, Background | None], None]] = {
    "alpha": _alpha,
    "foreground": _foreground,
    "cutout": _cutout,
    "composite": _composite,
    "preview": _preview,
}
