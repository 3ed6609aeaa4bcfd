"""One photograph from its files to its files: what `uhrmat image` and `uhrmat batch` both do."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from uhrmat.core.devices import peak_memory
from uhrmat.image.load import LoadedImage
from uhrmat.image.outputs import OutputSpec
from uhrmat.image.plan import ImageTask
from uhrmat.image.write import write_outputs
from uhrmat.media.composite import Background

if TYPE_CHECKING:  # importing it loads torch, and `uhrmat image` plans and reads before that
    from uhrmat.pipeline import MattingStats, StillPipeline, StillResult


@dataclass(frozen=True)
class ImageReport:
    """What became of one photograph.

    Attributes:
        photo: the file that was matted.
        files: the files that were written, by output name.
        stats: of the matte, with the seconds of reading and writing.
    """

    photo: Path
    files: dict[str, Path]
    stats: MattingStats

    def as_dict(self) -> dict[str, Any]:
        """Return the item that `--json` prints."""
        files = {name: str(path) for name, path in self.files.items()}
        return {"photo": str(self.photo), "status": "done", "files": files, **self.stats.as_dict()}


def matte_photo(
    pipeline: StillPipeline, task: ImageTask, loaded: LoadedImage, output: OutputSpec, *,
    background: Background | None = None, on_result: Callable[[StillResult, ImageReport], None] | None = None,
    computing: AbstractContextManager[Any] | None = None,
) -> ImageReport:  # fmt: skip
    """Matte one photograph and write its files.

    Args:
        pipeline: with the options of the run.
        task, loaded: the photograph and what its files hold.
        output: what is written.
        background: of a composite.
        on_result: called with the matte and its report once the files are there; its time is not counted.
        computing: held while the matte is computed, so that threads of one process take turns at it.

    Raises:
        UhrmatError: and then no file has been written.
    """
    colours = output.needs_foreground or on_result is not None
    with computing or nullcontext():
        matte = pipeline.matte(
            loaded.picture, hints=loaded.hints, foreground=colours, prefetched=loaded.prefetched,
            keep_empty=output.keep_empty,
        )  # fmt: skip
    start = time.perf_counter()
    files = write_outputs(matte, task.files, output, background)
    stages = dict(matte.stats.seconds)
    read = loaded.seconds + stages.pop("read", 0.0)
    seconds = {"read": read, **stages, "write": time.perf_counter() - start}
    peak = max(matte.stats.peak_memory, peak_memory(matte.stats.device))
    report = ImageReport(task.photo, files, replace(matte.stats, seconds=seconds, peak_memory=peak))
    if on_result is not None:
        on_result(matte, report)
    return report
