"""`uhrmat image`: one or more photographs in, their mattes out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, describe, session

if TYPE_CHECKING:  # importing it loads torch
    from uhrmat.image.photo import ImageReport
    from uhrmat.image.plan import ImageTask

Points = Annotated[
    list[str] | None,
    typer.Option(
        "--point", metavar="X,Y", rich_help_panel=opt.HINTS, show_default=False,
        help="A pixel of the subject, counted from the upper left corner; -X,Y: a pixel of the background. May be "
        "given several times.",
    ),
]  # fmt: skip

Boxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box", metavar="X0,Y0,X1,Y1", rich_help_panel=opt.HINTS, show_default=False,
        help="A box around the subject; -X0,Y0,X1,Y1: a box of nothing but background. May be given several times.",
    ),
]  # fmt: skip


def image(
    context: typer.Context,
    photos: opt.Photos,
    trimap: opt.Trimap = None,
    mask: opt.MaskHint = None,
    plate: opt.Plate = None,
    key: opt.Key = None,
    alpha: opt.AlphaHint = None,
    point: Points = None,
    box: Boxes = None,
    radius: opt.MaskRadius = None,
    resize_trimap: opt.ResizeTrimap = False,
    prior: opt.Prior = "auto",
    refiner: opt.Refiner = "shm",
    working_size: opt.WorkingSize = None,
    engine: opt.Engine = "auto",
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    max_memory: opt.MaxMemory = None,
    overflow: opt.OverflowOption = opt.Overflow.cascade,
    max_pixels: opt.MaxPixels = None,
    weights: opt.Weights = None,
    output: opt.Output = None,
    outputs: opt.ImageOutputs = None,
    alpha_format: opt.AlphaFormatOption = opt.AlphaFormat.png,
    colour_format: opt.ColourFormatOption = None,
    background: opt.Background = None,
    premultiply: opt.Premultiply = None,
    keep_metadata: opt.KeepMetadata = False,
    report: opt.PageFile = None,
    keep_empty: opt.KeepEmpty = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Matte photographs: alpha, foreground colours, cut-outs.

    Example: uhrmat image photo.jpg --trimap photo_trimap.png -o out
    uhrmat image photo.jpg --mask mask.png -o cut.png
    uhrmat image photo.jpg --box 310,80,900,1020 --point=-350,1000
    uhrmat image shoot/*.tif --trimap shoot/trimaps -o out --alpha-format png16
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hints.prompts import parse_prompts
        from uhrmat.hints.radius import parse_radius
        from uhrmat.image.outputs import DEFAULT_OUTPUTS, OutputSpec, for_file, names_file, parse_outputs
        from uhrmat.image.plan import plan
        from uhrmat.media import MAX_PIXELS

        wanted = None if outputs is None else parse_outputs(outputs)
        spec = OutputSpec(
            outputs=DEFAULT_OUTPUTS if wanted is None else wanted, alpha_format=alpha_format.value,
            background=background, premultiply=premultiply, overwrite=overwrite,
            colour_format=None if colour_format is None else colour_format.value, keep_metadata=keep_metadata,
            keep_empty=keep_empty,
        )  # fmt: skip
        if output is not None and names_file(output):
            spec = for_file(spec, output, wanted)
        limit = max_pixels or MAX_PIXELS
        model = opt.model_options(
            prior=prior, refiner=refiner, weights=weights, working_size=working_size, engine=engine, device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=overflow,
        )  # fmt: skip
        tasks = plan(
            photos, spec, folder=output, trimap=trimap, mask=mask, plate=plate, key=key, alpha=alpha, prior=prior,
            radius=parse_radius(radius), prompts=parse_prompts(point or (), box or ()), resize=resize_trimap,
            max_pixels=limit,
        )  # fmt: skip
        if report is not None:
            from uhrmat.report.page.write import check_page

            check_page(report, overwrite, [path for task in tasks for path in (task.photo, *task.hints.values())])

        # Only now, so that what can be refused is refused before torch is loaded.
        from uhrmat.image.run import ImageRun

        listener = _Listener(console)
        run = ImageRun(tasks=tasks, model=model, output=spec, resize=resize_trimap, max_pixels=limit, page=report)
        page = run.run(listener, context.obj)
        listener.end(page)
    if listener.failures:
        raise typer.Exit(FAILED)


class _Listener:
    """Prints what becomes of each photograph, and the table or the JSON document at the end."""

    def __init__(self, console: Console) -> None:
        self.failures = 0
        self._console = console
        self._tables: list[list[tuple[str, str]]] = []
        self._items: list[dict[str, Any]] = []

    def matting(self, task: ImageTask) -> AbstractContextManager[Any]:
        return self._console.working(f"{task.photo.name} …")

    def finished(self, task: ImageTask, report: ImageReport) -> None:
        from uhrmat.image.table import report_rows

        self._tables.append(report_rows(report))
        self._items.append(report.as_dict())

    def failed(self, task: ImageTask, error: Exception) -> None:
        self.failures += 1
        self._console.error(error, item=str(task.photo))
        self._items.append({"photo": str(task.photo), "status": "failed", "error": describe(error)})

    def end(self, page: Path | None) -> None:
        """The table, and the document with `--json`."""
        if self._tables:
            self._console.table([*self._tables, [("report", str(page))]] if page else self._tables)
        self._console.document({"items": self._items, **({"report": str(page)} if page else {})})
