"""A trimap file from a mask file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.errors import InputError, OutputError
from uhrmat.media import check_writable, read_mask, same_file, write_alpha
from uhrmat.prior.trimap import default_radius, trimap_from_mask
from uhrmat.regular import check_name

_FORMATS = {".png": "png", ".tif": "tiff", ".tiff": "tiff"}


@dataclass(frozen=True)
class MadeTrimap:
    """A trimap that was written: its size, how far the edge was opened (pixels), and how much of it is unknown."""

    file: Path
    width: int
    height: int
    erode: int
    dilate: int
    from_size: bool
    unknown_share: float

    def rows(self) -> list[tuple[str, str]]:
        """For people."""
        why = ", chosen by the picture's size" if self.from_size else ""
        return [
            ("size", f"{self.width} × {self.height}"),
            ("unknown band", f"{self.erode} pixels inside and {self.dilate} outside the mask's edge{why}"),
            ("unknown", f"{self.unknown_share:.1%}"),
            ("file", str(self.file)),
        ]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "file": str(self.file)}


def write_trimap(
    mask: Path,
    output: Path,
    *,
    radius: int | None = None,
    erode: int | None = None,
    dilate: int | None = None,
    overwrite: bool = False,
) -> MadeTrimap:
    """Reads `mask`, opens its edge by `erode` pixels inside and `dilate` outside (each else `radius`, else
    `default_radius`) and writes the trimap. Raises InputError or OutputError before anything is written.
    """
    if radius is not None and (erode is not None or dilate is not None):
        raise InputError(
            "Both --radius and --erode or --dilate were given.", "Give one radius, or the two by themselves."
        )
    _check_output(mask, output, overwrite)
    values = read_mask(mask)
    height, width = values.shape
    other = default_radius(height, width) if radius is None else radius
    inside, outside = other if erode is None else erode, other if dilate is None else dilate
    trimap = trimap_from_mask(values, inside, outside)
    _write(output, trimap)
    chosen = radius is None and (erode is None or dilate is None)
    return MadeTrimap(output, width, height, inside, outside, chosen, float(np.mean(trimap == 128)))


def _check_output(mask: Path, output: Path, overwrite: bool) -> None:
    if output.suffix.lower() not in _FORMATS:
        raise OutputError(f"A trimap cannot be written as {output.name!r}.", "Name it .png or .tif.")
    if same_file(mask, output):
        raise OutputError(f"The output {output} is the mask itself.", "Give the trimap a name of its own.")
    check_name(output)
    if output.exists() and not overwrite:
        raise OutputError(f"The output {output} exists.", "Replace it with --overwrite, or give another name.")
    check_writable(output.parent)


def _write(output: Path, trimap: npt.NDArray[np.uint8]) -> None:
    output.parent.mkdir(parents=True, exist_ok=True)
    write_alpha(output, trimap.astype(np.float32) / np.float32(255), _FORMATS[output.suffix.lower()])
