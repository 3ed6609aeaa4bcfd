"""A run over photographs: read ahead, the first prior started before torch is loaded, each matted and written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from uhrmat.core.options import ModelOptions
from uhrmat.core.startup import fast_import
from uhrmat.image.load import Prefetcher
from uhrmat.image.outputs import JPEG, OutputSpec
from uhrmat.image.plan import ImageTask
from uhrmat.media import MAX_PIXELS
from uhrmat.media.composite import need_opaque, parse_background
from uhrmat.prior.choose import AFFINITY_PRIORS
from uhrmat.prior.worker import PriorProcess

if TYPE_CHECKING:  # importing it loads torch, which is to happen while the first prior is being solved
    from uhrmat.image.photo import ImageReport
    from uhrmat.pipeline import StillResult


class RunListener(Protocol):
    """What a run reports, in the order of the photographs."""

    def matting(self, task: ImageTask) -> AbstractContextManager[Any]:
        """Return a context that is entered while the photograph is matted."""

    def finished(self, task: ImageTask, report: ImageReport) -> None:
        """Its files are written."""

    def failed(self, task: ImageTask, error: Exception) -> None:
        """It has no files."""


@dataclass(frozen=True, kw_only=True)
class ImageRun:
    """A run over photographs that `image.plan.plan` has checked.

    Attributes:
        tasks: the photographs.
        model: prior, refiner, device and memory.
        output: what is written.
        resize, max_pixels: see `image.load.load`.
        page: an HTML page about the run, or None.
    """

    tasks: Sequence[ImageTask]
    model: ModelOptions
    output: OutputSpec
    resize: bool = False
    max_pixels: int = MAX_PIXELS
    page: Path | None = None

    def run(self, listener: RunListener, connection: Any = None) -> Path | None:
        """Matte all photographs; return the path of the page.

        Args:
            listener: what became of each photograph.
            connection: to a prior process that the command line has started, see `prior.launch`; None: one is started.

        Raises:
            UhrmatError: for options that cannot work, before any photograph. Errors of single photographs go to the
                listener.
        """
        background = None if self.output.background is None else parse_background(self.output.background)
        file = self.output.file
        if background is not None and file is not None and file.suffix.lower() in JPEG:
            need_opaque(background, f"a {file.suffix} file")
        with (
            closing(PriorProcess(connection)) as process,
            closing(Prefetcher(self.tasks, self.resize, self.max_pixels)) as prefetcher,
        ):
            prefetched = prefetcher.prefetch_prior(
                self.model.prior, self.model.working_size, process.solve,
                self.model.refiner == "ddfe" and self.model.working_size is None,
            )  # fmt: skip
            # Loading torch takes a core for a second: with a hint, it waits until the prior's process has its input.
            hinted = bool(self.tasks[0].given & {"trimap", "mask"})
            solving = hinted and prefetched.result() is not None
            with fast_import(lean=self.model.prior in ("auto", *AFFINITY_PRIORS)):
                from uhrmat.image.photo import matte_photo
                from uhrmat.pipeline import StillPipeline

            pipeline = StillPipeline.from_options(self.model, solver=process.solve)
            pipeline.prepare(self.tasks[0].given)
            if solving:
                pipeline.warm_up()
            page = None if self.page is None else _Page(self.page, len(self.tasks))
            for task in self.tasks:
                try:
                    with listener.matting(task):
                        report = matte_photo(
                            pipeline, task, prefetcher.take(task), self.output, background=background,
                            on_result=None if page is None else page.add,
                        )  # fmt: skip
                except Exception as error:
                    listener.failed(task, error)
                else:
                    listener.finished(task, report)
            return None if page is None else page.write()


class _Page:
    """The page of a run, which grows by one photograph at a time."""

    def __init__(self, path: Path, count: int) -> None:
        from uhrmat.report.page import Album

        self._album = Album(path, count)

    def add(self, matte: StillResult, report: ImageReport) -> None:
        """Add a photograph with its table."""
        from uhrmat.core.redact import names_by_path, redact_folders
        from uhrmat.image.table import paint_command, report_rows

        table = [*report_rows(report), ("open in paint", paint_command(report.photo, report.files))]
        rows = redact_folders(table, names_by_path((report.photo, *report.files.values())))
        self._album.add(matte, report.photo.name, rows)

    def write(self) -> Path | None:
        """Write the page; None where no photograph was matted."""
        return self._album.write()
