"""What is left of painting: the trimap at full size, the files that `uhrmat image` would write, and its command."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from uhrmat.core.errors import OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.core.regular import check_name
from uhrmat.core.stage import all_or_none
from uhrmat.image.load import load
from uhrmat.image.outputs import OutputSpec
from uhrmat.image.photo import matte_photo
from uhrmat.image.plan import plan
from uhrmat.media import check_writable, read_info, same_file, write_alpha
from uhrmat.painter.canvas import Trimap
from uhrmat.painter.command import model_words
from uhrmat.pipeline import StillPipeline


@dataclass(frozen=True, kw_only=True)
class SaveSpec:
    """Where and how painted work is saved.

    Attributes:
        photo: the photograph's file.
        folder: for the trimap and the results; None: beside the photograph.
        model: options of the pipeline.
        outputs: what is written, see `image.outputs.OutputSpec`.
    """

    photo: Path
    folder: Path | None
    model: ModelOptions
    outputs: OutputSpec = field(default_factory=OutputSpec)

    @property
    def trimap(self) -> Path:
        """The file of the trimap."""
        return (self.folder or self.photo.parent) / f"{self.photo.stem}_trimap.png"

    def existing(self) -> list[Path]:
        """Files that saving would replace."""
        linear = read_info(self.photo).dtype == "float32"
        results = self.outputs.files(self.photo, self.folder or self.photo.parent, linear=linear)
        return [path for path in (self.trimap, *results.values()) if path.exists()]

    def command(self) -> str:
        """The command line that writes the same results from the saved trimap."""
        words = ["uhrmat", "image", str(self.photo), "--trimap", str(self.trimap)]
        if self.folder is not None:
            words += ["-o", str(self.folder)]
        return shlex.join([*words, *model_words(self.model), "--overwrite"])


@dataclass(frozen=True)
class Saved:
    """What was saved: files by name, the trimap among them, the command that makes the results again, and notes."""

    files: dict[str, Path]
    command: str
    notes: list[str]


def write_trimap_file(path: Path, trimap: Trimap, photo: Path, overwrite: bool) -> None:
    """Write a trimap (H, W) {0, 128, 255} as PNG.

    Raises:
        OutputError: it cannot be written, or it exists and may not be replaced.
    """
    if same_file(path, photo):
        raise OutputError(f"The trimap {path} is the photograph itself.", "Choose another folder with -o.")
    check_name(path)
    check_writable(path.parent)
    if path.exists() and not overwrite:
        raise OutputError(f"The trimap {path} exists.", "Replace it, or choose another folder with -o.")
    with all_or_none({"trimap": path}, overwrite=overwrite) as staged:
        write_alpha(staged["trimap"], trimap.astype(np.float32) / np.float32(255), "png")


def save(spec: SaveSpec, trimap: Trimap, overwrite: bool, load_pipeline: Callable[[], StillPipeline]) -> Saved:
    """Write the trimap, then what `uhrmat image` writes from it.

    Args:
        spec: where.
        trimap: (H, W) uint8 {0, 128, 255}.
        overwrite: whether files that exist are replaced.
        load_pipeline: gives the pipeline of `spec.model`.

    Raises:
        UhrmatError: something cannot be written or matted. The trimap is kept if it was written before.
    """
    existing = spec.existing()
    if existing and not overwrite:
        more = f" (and {len(existing) - 1} more)" if len(existing) > 1 else ""
        raise OutputError(f"{existing[0]}{more} exists.", "Replace it, or choose another folder with -o.")
    write_trimap_file(spec.trimap, trimap, spec.photo, overwrite)
    outputs = replace(spec.outputs, overwrite=overwrite)
    task = plan([spec.photo], outputs, folder=spec.folder, trimap=spec.trimap, prior=spec.model.prior)[0]
    report = matte_photo(load_pipeline(), task, load(task), outputs)
    return Saved({"trimap": spec.trimap, **report.files}, spec.command(), report.stats.notes)
