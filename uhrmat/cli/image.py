"""`uhrmat image`: one or more photographs in, their mattes out."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, describe, session

if TYPE_CHECKING:
    from uhrmat.composite import Background
    from uhrmat.loading import Ahead
    from uhrmat.matter import Matte, Matter
    from uhrmat.photo import Delivered
    from uhrmat.plan import Job, Spec


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
    folder: opt.OutDir = None,
    outputs: opt.Outputs = "alpha,foreground",
    alpha_format: opt.AlphaFormatOption = opt.AlphaFormat.png,
    background: opt.Background = None,
    premultiply: opt.Premultiply = None,
    report: opt.PageFile = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Matte photographs: alpha, foreground colours, cut-outs.

    Example: uhrmat image photo.jpg --trimap photo_trimap.png -o out
    uhrmat image photo.jpg --mask mask.png -o out --report out/page.html
    uhrmat image shoot/*.tif --trimap shoot/trimaps -o out --alpha-format png16
    """
    hinted = trimap is not None or mask is not None
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.media import MAX_PIXELS
        from uhrmat.plan import Spec, parse_outputs, plan

        spec = Spec(parse_outputs(outputs), alpha_format.value, background, premultiply, overwrite)
        limit = max_pixels or MAX_PIXELS
        options = opt.matter_options(
            max_memory, overflow, refiner=refiner, working_size=working_size, engine=engine, device=device,
            precision=precision, threads=threads, weights=weights,
        )  # fmt: skip
        jobs = plan(
            photos, spec, folder=folder, trimap=trimap, mask=mask, plate=plate, key=key, alpha=alpha, prior=prior,
            resize=resize_trimap, max_pixels=limit,
        )  # fmt: skip
        if report is not None:
            from uhrmat.page.write import check_page

            check_page(report, overwrite, [path for job in jobs for path in (job.photo, *job.hints.values())])

        # Only now, so that what can be refused is refused before torch is loaded.
        from uhrmat.composite import parse_background
        from uhrmat.loading import Ahead
        from uhrmat.prior.affinity import METHODS
        from uhrmat.prior.worker import PriorProcess
        from uhrmat.quick import importing

        behind = None if background is None else parse_background(background)
        with closing(PriorProcess(begun.obj)) as process, closing(Ahead(jobs, resize_trimap, limit)) as ahead:
            asked = ahead.begin_prior(
                prior, working_size, process.solve, refiner == "ddfe" and working_size is None
            )  # fmt: skip
            # torch can wait until the prior is at work, but not the other way round
            at_work = hinted and asked.result() is not None
            with importing(lean=prior in ("auto", *METHODS)):
                from uhrmat.matter import Matter

            matter = Matter(prior, solver=process.solve, **options)
            matter.prepare(jobs[0].given)
            if at_work:
                matter.warm()
            failed = _run(console, matter, jobs, spec, ahead, behind, report)
    if failed:
        raise typer.Exit(FAILED)


def _run(
    console: Console,
    matter: Matter,
    jobs: list[Job],
    spec: Spec,
    ahead: Ahead,
    background: Background | None,
    page: Path | None,
) -> int:
    """Mattes every job, reports all, and returns how many failed."""  # fmt: skip
    from uhrmat.cli.report import report
    from uhrmat.photo import matte_photo

    album = None
    if page is not None:
        from uhrmat.page import Album

        album = Album(page, len(jobs))

    def look(matte: Matte, item: Delivered) -> None:
        assert album is not None
        album.add(matte, item.photo.name, report(item))

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
