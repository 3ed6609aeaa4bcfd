"""`uhrmat image`: one or more photographs in, their mattes out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, describe, session

if TYPE_CHECKING:
    from uhrmat.image.load import Prefetcher
    from uhrmat.image.outputs import OutputSpec
    from uhrmat.image.photo import Delivered
    from uhrmat.image.plan import ImageTask
    from uhrmat.media.composite import Background
    from uhrmat.pipeline import StillPipeline, StillResult


def image(
    begun: typer.Context,
    photos: opt.Photos,
    trimap: opt.Trimap = None,
    mask: opt.MaskHint = None,
    plate: opt.Plate = None,
    key: opt.Key = None,
    alpha: opt.AlphaHint = None,
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
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """StillResult photographs: alpha, foreground colours, cut-outs.

    Example: uhrmat image photo.jpg --trimap photo_trimap.png -o out
    uhrmat image photo.jpg --mask mask.png -o cut.png
    uhrmat image shoot/*.tif --trimap shoot/trimaps -o out --alpha-format png16
    """
    hinted = trimap is not None or mask is not None
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.image.outputs import DEFAULT_OUTPUTS, JPEG, OutputSpec, for_file, names_file, parse_outputs
        from uhrmat.image.plan import plan
        from uhrmat.media import MAX_PIXELS

        asked = None if outputs is None else parse_outputs(outputs)
        spec = OutputSpec(
            DEFAULT_OUTPUTS if asked is None else asked, alpha_format.value, background, premultiply, overwrite,
            None if colour_format is None else colour_format.value, keep_metadata,
        )  # fmt: skip
        if output is not None and names_file(output):
            spec = for_file(spec, output, asked)
        limit = max_pixels or MAX_PIXELS
        model = opt.model_options(
            prior=prior, refiner=refiner, weights=weights, working_size=working_size, engine=engine, device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=overflow,
        )  # fmt: skip
        jobs = plan(
            photos, spec, folder=output, trimap=trimap, mask=mask, plate=plate, key=key, alpha=alpha, prior=prior,
            resize=resize_trimap, max_pixels=limit,
        )  # fmt: skip
        if report is not None:
            from uhrmat.report.page.write import check_page

            check_page(report, overwrite, [path for job in jobs for path in (job.photo, *job.hints.values())])

        # Only now, so that what can be refused is refused before torch is loaded.
        from uhrmat.core.startup import fast_import
        from uhrmat.image.load import Prefetcher
        from uhrmat.media.composite import need_opaque, parse_background
        from uhrmat.prior.choose import AFFINITY_PRIORS
        from uhrmat.prior.worker import PriorProcess

        behind = None if background is None else parse_background(background)
        if behind is not None and spec.file is not None and spec.file.suffix.lower() in JPEG:
            need_opaque(behind, f"a {spec.file.suffix} file")
        with closing(PriorProcess(begun.obj)) as process, closing(Prefetcher(jobs, resize_trimap, limit)) as ahead:
            begun_ahead = ahead.prefetch_prior(
                prior, working_size, process.solve, refiner == "ddfe" and working_size is None
            )  # fmt: skip
            # torch can wait until the prior is at work, but not the other way round
            at_work = hinted and begun_ahead.result() is not None
            with fast_import(lean=prior in ("auto", *AFFINITY_PRIORS)):
                from uhrmat.pipeline import StillPipeline

            matter = StillPipeline.from_options(model, solver=process.solve)
            matter.prepare(jobs[0].given)
            if at_work:
                matter.warm_up()
            failed = _run(console, matter, jobs, spec, ahead, behind, report)
    if failed:
        raise typer.Exit(FAILED)


def _run(
    console: Console,
    matter: StillPipeline,
    jobs: list[ImageTask],
    spec: OutputSpec,
    ahead: Prefetcher,
    background: Background | None,
    page: Path | None,
) -> int:
    """Mattes every job, reports all, and returns how many failed."""  # fmt: skip
    from uhrmat.cli.report import report
    from uhrmat.core.redact import names_by_path, redact_folders
    from uhrmat.image.photo import matte_photo

    album = None
    if page is not None:
        from uhrmat.report.page import Album

        album = Album(page, len(jobs))

    def look(matte: StillResult, item: Delivered) -> None:
        assert album is not None
        table = redact_folders(report(item), names_by_path((item.photo, *item.files.values())))
        album.add(matte, item.photo.name, table)

    done: list[Delivered] = []
    items: list[dict[str, Any]] = []
    for job in jobs:
        try:
            with console.working(f"{job.photo.name} …"):
                watch = None if album is None else look
                done.append(matte_photo(matter, job, ahead.take(job), spec, background=background, look=watch))
            items.append(done[-1].as_dict())
        except Exception as error:
            console.error(error, item=str(job.photo))
            items.append({"photo": str(job.photo), "status": "failed", "error": describe(error)})
    made = None if album is None else album.write()
    sections = [report(item) for item in done]
    if sections:
        console.table([*sections, [("report", str(made))]] if made else sections)
    console.document({"items": items, **({"report": str(made)} if made else {})})
    return len(jobs) - len(done)
