"""An HTML page of a finished clip: plots of its figures, and some of its frames, read back from its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.media.video import ClipReader, open_clip
from uhrmat.report.page.encode import encode, encode_thumbnail
from uhrmat.report.page.exhibit import ClipFigures, Exhibit, read_side
from uhrmat.report.page.write import write_page
from uhrmat.video.active_masks import unpack_mask
from uhrmat.video.plan import ClipPlan
from uhrmat.video.propagation.report import frames_in_state
from uhrmat.video.report import ClipReport

FRAMES, MOST = 12, 48
"""Frames that a page shows at least and at most, evenly spread, the first and the last among them."""
THUMBNAILS = 240
"""Frames that are shown small under the scrubber at most, evenly spread: 3 to 5 kB each."""
_PIXELS = 24_000_000
"""Pixels of all shown frames together from which on there are no more than FRAMES."""


def write_clip_page(path: Path, report: ClipReport, table: list[tuple[str, str]]) -> Path:
    """Writes the page of a clip whose files are there. table: names and values shown below the pictures.

    The picture is the clip's own; the matte is what was written, alpha and colours where a file holds both, the
    composite where there is nothing else; the active pixels are those that the report has kept (see `shown`). The frame
    on which a hint would help most is shown too."""
    numbers = [int(frame["number"]) for frame in report.frames]
    rows = [["", "value"], *([name, value] for name, value in table)]
    large = {numbers[at] for at in _shown(len(numbers), report.plan.info.width * report.plan.info.height)}
    large |= {report.best_hint_frame} - {None}  # type: ignore[arg-type]
    small = {numbers[at] for at in spread(len(numbers), THUMBNAILS)}
    encoded, thumbnails = list[dict[str, Any]](), dict[int, str]()
    for one in _exhibits(report, sorted(large | small), rows):
        assert one.frame is not None
        if one.frame in large:
            encoded.append(encode(one, whole=False))
        if one.frame in small:
            thumbnails[one.frame] = encode_thumbnail(one)
    source = Path(report.plan.spec.source).name
    return write_page(path, source, encoded, replace(figures(report), thumbnails=thumbnails))


def figures(report: ClipReport) -> ClipFigures:
    """What is plotted of each frame: confidence of its propagated mask where it has one, shares of active and of reused
    pixels, and seconds; and which frames are doubtful."""
    frames, numbers = report.frames, [int(f["number"]) for f in report.frames]
    series = {
        "active pixels, share of the picture": [float(f["active_share"]) for f in frames],
        "reused, share of the band": [float(f["reuse_share"]) for f in frames],
        "seconds of all stages": [float(sum(f["seconds"].values())) for f in frames],
    }
    if any("confidence" in f for f in frames):
        series = {"confidence of the propagated mask": [float(f.get("confidence", 0)) for f in frames], **series}
    return ClipFigures(
        numbers, series, report.cuts, doubtful=frames_in_state(frames, "doubtful"),
        lost=frames_in_state(frames, "lost"), best=report.best_hint_frame,
    )  # fmt: skip


def spread(count: int, most: int = FRAMES) -> list[int]:
    """Up to `most` indices below `count`, evenly spread, first and last among them."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, most))})


def shown(plan: ClipPlan) -> frozenset[int]:
    """Numbers of the frames that the page of a clip will show, if all of them can be read."""
    ranges = plan.spec.redo or ((plan.start, plan.stop - 1),)
    numbers = [number for first, last in ranges for number in range(first, last + 1)]
    return frozenset(numbers[i] for i in _shown(len(numbers), plan.info.width * plan.info.height))


def _shown(count: int, pixels: int) -> list[int]:
    """Indices of the frames to show of `count`, each of so many pixels."""
    return spread(count, min(MOST, max(FRAMES, _PIXELS // max(1, pixels))))


def _exhibits(report: ClipReport, wanted: list[int], table: list[list[str]]) -> Iterator[Exhibit]:
    """The wanted frames, by number in ascending order, as far as they can be read."""
    plan = report.plan
    name = next((name for name in ("foreground", "alpha") if name in report.files), next(iter(report.files)))
    with closing(open_clip(plan.spec.source)) as source, closing(open_clip(report.files[name])) as matte:
        for index, photo, made in _pairs(source, matte, plan.start, [number - plan.start for number in wanted]):
            side, number = read_side(name, made), plan.start + index
            if number in report.active:
                side = replace(side, active=unpack_mask(report.active[number]))
            title, info = f"frame {number}", photo.info
            yield Exhibit(title=title, sides=(side,), photo=photo.pixels, info=info, table=table, frame=number)


def _pairs(source: ClipReader, matte: ClipReader, start: int, wanted: list[int]) -> Iterator[tuple[int, Any, Any]]:
    """Index, picture and matte of the wanted frames, where both can be read. Both clips are read from end to end, which
    is faster than to seek in a clip with few key frames."""
    photos = source.frames(start, start + wanted[-1] + 1)
    photo = next(photos, None)
    for made in matte.frames(0, wanted[-1] + 1):
        while photo is not None and photo.index < start + made.index:
            photo = next(photos, None)
        if made.index in wanted and photo is not None and photo.index == start + made.index:
            yield made.index, photo.picture, made.picture
