"""A finished clip as a page: figures along it as plots, and some of its frames to look at, read back from its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.media.video import open_clip
from uhrmat.page.encode import encode
from uhrmat.page.exhibit import ClipFigures, Exhibit, side_of
from uhrmat.page.write import write_page

if TYPE_CHECKING:
    from uhrmat.clip.report import ClipReport
    from uhrmat.media import Picture

FRAMES = 12
"""Frames that a page shows, evenly spread, the first and the last among them."""


def write_clip_page(path: Path, report: ClipReport, table: list[tuple[str, str]]) -> Path:
    """Writes the page of a clip whose files are there. table: names and values shown below the pictures.

    The picture is the clip's own; the matte is what was written, alpha and colours where a file holds both, the
    composite where there is nothing else."""
    numbers = [int(frame["number"]) for frame in report.frames]
    rows = [["", "value"], *([name, value] for name, value in table)]
    encoded = [encode(one, whole=False) for one in _exhibits(report, numbers, rows)]
    source = Path(report.job.spec.source).name
    return write_page(path, source, encoded, figures(report))


def figures(report: ClipReport) -> ClipFigures:
    """What is plotted: shares of active and of reused pixels, and seconds, of each frame."""
    frames = report.frames
    series = {
        "active pixels, share of the picture": [float(f["active_share"]) for f in frames],
        "reused, share of the band": [float(f["reuse_share"]) for f in frames],
        "seconds of all stages": [float(sum(f["seconds"].values())) for f in frames],
    }
    return ClipFigures([int(f["number"]) for f in frames], series, report.cuts)


def spread(count: int, most: int = FRAMES) -> list[int]:
    """Up to `most` indices below `count`, evenly spread, first and last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def _exhibits(report: ClipReport, numbers: list[int], table: list[list[str]]) -> Iterator[Exhibit]:
    start, indices = report.job.start, spread(len(numbers))
    name = next((name for name in ("foreground", "alpha") if name in report.files), next(iter(report.files)))
    with closing(open_clip(report.job.spec.source)) as source, closing(open_clip(report.files[name])) as matte:
        for index in indices:
            photo = _picture(source, start + index)
            made = _picture(matte, index)
            if photo is None or made is None:
                continue
            side, number = side_of(name, made), numbers[index]
            yield Exhibit(f"frame {number}", (side,), photo.pixels, photo.info, table=table, frame=number)


def _picture(clip: Any, index: int) -> Picture | None:
    found = next(clip.frames(index, index + 1), None)
    return None if found is None else found.picture
