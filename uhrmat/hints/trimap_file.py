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


@dataclass(frozen=True)
class TrimapFile:
    """A trimap that was written: its size, how far the edge was opened (pixels), how much of it is unknown, and what
    may not be as it was meant."""

    file: Path
    width: int
    height: int
    erode: int
    dilate: int
    from_size: bool
    unknown_share: float
    notes: tuple[str, ...] = ()

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        why = ", chosen by the picture's size" if self.from_size else ""
        return [
            ("size", f"{self.width} × {self.height}"),
            ("unknown band", f"{self.erode} pixels inside and {self.dilate} outside the mask's edge{why}"),
            ("unknown", f"{self.unknown_share:.1%}"),
            *(("note", note) for note in self.notes),
            ("file", str(self.file)),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
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
    """Reads `mask`, opens its edge by `erode` pixels inside and `dilate` outside (each else `radius`, else
    `default_radius`) and writes the trimap. Raises InputError or OutputError before anything is written.
    """
    if radius is not None and (erode is not None or dilate is not None):
        raise InputError(
            "Both --radius and --erode or --dilate were given.", "Give one radius, or the two by themselves."
        )
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
    return TrimapFile(output, width, height, inside, outside, chosen, share, tuple(notes))


def _made_notes(trimap: npt.NDArray[np.uint8], mask: npt.NDArray[np.float32]) -> list[str]:
    """Lines on a trimap that says less than its mask. Raises InputError for one in which nothing is known."""
    back, unknown, front = ((trimap == value).any() for value in (BACKGROUND, UNKNOWN, FOREGROUND))
    if not (back or front):
        raise InputError("The unknown band would cover the whole picture.", "Give a smaller --radius.")
    notes = [] if unknown else ["nothing is unknown: the mask has a hard edge and the band no width"]
    if not front and mask.max() >= 1 - KNOWN:
        notes.append("the band leaves no known foreground: make it narrower with --erode")
    if not back and mask.min() <= KNOWN:
        notes.append("the band leaves no known background: make it narrower with --dilate")
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
