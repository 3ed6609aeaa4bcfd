"""A trimap file from a mask file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.regular import check_name
from uhrmat.core.stage import all_or_none
from uhrmat.hints.files import read_mask
from uhrmat.hints.read import mask_fault, mask_notes
from uhrmat.hints.trimap import default_radius, trimap_from_mask
from uhrmat.media import check_writable, same_file, write_alpha
from uhrmat.media.coding import BACKGROUND, FOREGROUND, KNOWN, UNKNOWN

_FORMATS = {".png": "png", ".tif": "tiff", ".tiff": "tiff"}


@dataclass(frozen=True, kw_only=True)
class TrimapFile:
    """A trimap that was written.

    Attributes:
        file: its path.
        width: pixels.
        height: pixels.
        erode: width of the unknown band inside the mask's edge, pixels.
        dilate: its width outside, pixels.
        from_size: whether erode or dilate was chosen by the picture's size.
        unknown_share: share of unknown pixels.
        notes: lines for the user.
    """

    file: Path
    width: int
    height: int
    erode: int
    dilate: int
    from_size: bool
    unknown_share: float
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """Lines for a terminal: names and values."""
        why = ", chosen by the picture's size" if self.from_size else ""
        return [
            ("size", f"{self.width} × {self.height}"),
            ("unknown band", f"{self.erode} pixels inside and {self.dilate} outside the mask's edge{why}"),
            ("unknown", f"{self.unknown_share:.1%}"),
            *(("note", note) for note in self.notes),
            ("file", str(self.file)),
        ]

    def as_dict(self) -> dict[str, Any]:
        """The same for JSON."""
        return {**vars(self), "file": str(self.file), "notes": list(self.notes)}


def write_trimap(
    mask: Path,
    output: Path,
    *,
    radius: int | None = None,
    erode: int | None = None,
    dilate: int | None = None,
    overwrite: bool = False,
) -> TrimapFile:
    """Write the trimap of a mask file.

    Args:
        mask: path of the mask.
        output: path of the trimap, .png or .tif.
        radius: erode and dilate together, pixels; None for `default_radius`.
        erode: pixels by which the unknown band reaches inside the mask's edge, None for `radius`.
        dilate: pixels by which it reaches outside, None for `radius`.
        overwrite: replace a file that exists.

    Raises:
        InputError: the mask cannot be used, or the band would cover everything. Nothing is written.
        OutputError: the trimap cannot be written.
    """
    if radius is not None and (erode is not None or dilate is not None):
        raise InputError("A radius was given beside erode or dilate.", "Give one radius, or the two by themselves.")
    _check_output(mask, output, overwrite)
    notes: list[str] = []
    values = read_mask(mask, notes=notes)
    if (fault := mask_fault(values)) is not None:
        raise InputError(f"The mask '{mask}' {fault[0]}.", fault[1])
    height, width = values.shape
    other = default_radius(height, width) if radius is None else radius
    inside, outside = other if erode is None else erode, other if dilate is None else dilate
    trimap = trimap_from_mask(values, inside, outside)
    notes += [*mask_notes(values), *_made_notes(trimap, values)]
    _write(output, trimap, overwrite)
    chosen = radius is None and (erode is None or dilate is None)
    share = float(np.mean(trimap == UNKNOWN))
    return TrimapFile(
        file=output, width=width, height=height, erode=inside, dilate=outside, from_size=chosen, unknown_share=share,
        notes=tuple(notes),
    )  # fmt: skip


def _made_notes(trimap: npt.NDArray[np.uint8], mask: npt.NDArray[np.float32]) -> list[str]:
    """Notes on a trimap that knows less than its mask. Raises InputError for one in which nothing is known."""
    back, unknown, front = ((trimap == value).any() for value in (BACKGROUND, UNKNOWN, FOREGROUND))
    if not (back or front):
        raise InputError("The unknown band would cover the whole picture.", "Give a smaller radius.")
    notes = [] if unknown else ["nothing is unknown: the mask has a hard edge and the band no width"]
    if not front and mask.max() >= 1 - KNOWN:
        notes.append("the band leaves no known foreground: make it narrower with a smaller erode")
    if not back and mask.min() <= KNOWN:
        notes.append("the band leaves no known background: make it narrower with a smaller dilate")
    return notes


def _check_output(mask: Path, output: Path, overwrite: bool) -> None:
    if output.suffix.lower() not in _FORMATS:
        raise OutputError(f"A trimap cannot be written as {output.name!r}.", "Name it .png or .tif.")
    if same_file(mask, output):
        raise OutputError(f"The output {output} is the mask itself.", "Give the trimap a name of its own.")
    check_name(output)
    if output.exists() and not overwrite:
        raise OutputError(f"The output {output} exists.", "Replace it with --overwrite, or give another name.")
    check_writable(output.parent)


def _write(output: Path, trimap: npt.NDArray[np.uint8], overwrite: bool) -> None:
    with all_or_none({"trimap": output}, overwrite=overwrite) as staged:
        write_alpha(staged["trimap"], trimap.astype(np.float32) / np.float32(255), _FORMATS[output.suffix.lower()])
