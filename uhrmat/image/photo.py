"""One photograph from its files to its files: read, matte, deliver, report."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.devices import peak_memory
from uhrmat.image.deliver import deliver
from uhrmat.image.load import Loaded
from uhrmat.image.outputs import OutputSpec
from uhrmat.image.plan import ImageTask
from uhrmat.media.composite import Background

if TYPE_CHECKING:
    from uhrmat.pipeline import MattingStats, StillPipeline, StillResult


@dataclass(frozen=True)
class Delivered:
    """What became of one photograph. `stats` are those of its matte, from file to file: with reading and writing."""

    photo: Path
    files: dict[str, Path]
    stats: MattingStats

    def as_dict(self) -> dict[str, Any]:
        """For JSON: the statistics of the matte with the names of the files."""
        files = {name: str(path) for name, path in self.files.items()}
        return {"photo": str(self.photo), "status": "done", "files": files, **self.stats.as_dict()}


def matte_photo(
    matter: StillPipeline,
    job: ImageTask,
    loaded: Loaded,
    spec: OutputSpec,
    *,
    background: Background | None = None,
    look: Callable[[StillResult, Delivered], None] | None = None,
) -> Delivered:
    """Runs `job` with `matter` and writes its files. Raises UhrmatError; then no file has been written.

    Of a prior that was begun ahead only the wait is counted. look: is shown the matte when its files are there; its
    time is not counted.
    """  # fmt: skip
    colours = spec.needs_foreground or look is not None
    matte = matter.matte(loaded.picture, hints=loaded.hints, foreground=colours, begun=loaded.begun)
    start = time.perf_counter()
    files = deliver(matte, job, spec, background)
    stages = dict(matte.stats.seconds)
    read = loaded.seconds + stages.pop("read", 0.0)
    seconds = {"read": read, **stages, "write": time.perf_counter() - start}
    peak = max(matte.stats.peak_memory, peak_memory(matte.stats.device))
    done = Delivered(job.photo, files, replace(matte.stats, seconds=seconds, peak_memory=peak))
    if look is not None:
        look(matte, done)
    return done
