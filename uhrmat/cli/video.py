"""`uhrmat video`: mattes a clip."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, session

if TYPE_CHECKING:  # start-up: `uhrmat --help` loads neither
    from uhrmat.video.existing import ExistingOutput
    from uhrmat.video.plan import ClipPlan
    from uhrmat.video.report import ClipReport

FrameByFrame = Annotated[
    bool,
    typer.Option(
        "--frame-by-frame",
        rich_help_panel=opt.TEMPORAL,
        help="No temporal averaging of static regions; without hints each frame's subject is found by itself.",
    ),
]

ClipPoints = Annotated[
    list[str] | None,
    typer.Option(
        "--point", metavar="X,Y[:FRAME]", rich_help_panel=opt.HINTS, show_default=False,
        help="A pixel of the subject on a frame, by default the first; -X,Y: a pixel of the background. May be given "
        "several times.",
    ),
]  # fmt: skip

ClipBoxes = Annotated[
    list[str] | None,
    typer.Option(
        "--box", metavar="X0,Y0,X1,Y1[:FRAME]", rich_help_panel=opt.HINTS, show_default=False,
        help="A box around the subject on a frame, by default the first; -X0,Y0,X1,Y1: a box of nothing but "
        "background. May be given several times.",
    ),
]  # fmt: skip

Tracker = Annotated[
    str | None,
    typer.Option(
        "--tracker", metavar="NAME", rich_help_panel=opt.HINTS, show_default=False,
        help="Propagate hints by a network of the Hub instead: edgetam or sam2.1-tiny, or a folder with one. Needs "
        "pip install 'uhrmat\\[sam]'.",
    ),
]  # fmt: skip

Redo = Annotated[
    str | None,
    typer.Option(
        "--redo", metavar="FRAMES", rich_help_panel=opt.OUTPUT,
        help="Matte only these frames again, like 120-180 or 7,30-42, in the outputs that are there; all others stay.",
    ),
]  # fmt: skip


def video(
    clip: opt.Clip,
    trimap: opt.ClipTrimap = None,
    mask: opt.ClipMask = None,
    alpha: opt.ClipAlpha = None,
    point: ClipPoints = None,
    box: ClipBoxes = None,
    radius: opt.MaskRadius = None,
    plate: opt.ClipPlate = None,
    key: opt.ClipKey = None,
    start: opt.Start = 0,
    end: opt.End = None,
    frames: opt.FrameCount = None,
    redo: Redo = None,
    rate: opt.FrameRate = None,
    temporal: opt.Temporal = True,
    frame_by_frame: FrameByFrame = False,
    threshold: opt.Threshold = None,
    keyframe_interval: opt.KeyframeInterval = 60,
    propagation: opt.Propagation = opt.PropagationMethod.network,
    tracker: Tracker = None,
    prior: opt.Prior = "auto",
    refiner: opt.Refiner = "shm",
    working_size: opt.WorkingSize = None,
    engine: opt.Engine = "auto",
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    max_memory: opt.MaxMemory = None,
    overflow: opt.OverflowOption = opt.Overflow.cascade,
    weights: opt.Weights = None,
    output: opt.ClipOut = None,
    codec: opt.CodecName = None,
    bits: opt.Bits = None,
    outputs: opt.ClipOutputs = None,
    background: opt.Background = None,
    keep_empty: opt.KeepEmpty = False,
    overwrite: opt.Overwrite = False,
    resume: opt.Resume = False,
    report: opt.ReportFile = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Matte a clip. Pixels that did not change are not computed again.

    Example: uhrmat video clip.mp4 --mask first_frame.png -o cut.mov
    uhrmat video clip.mp4 --box 310,80,900,1020 --point 600,400:48 -o cut.mov
    uhrmat video screen.mov --key green -o frames/cut_%04d.exr
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hints.radius import parse_radius
        from uhrmat.image.outputs import parse_outputs
        from uhrmat.media.composite import parse_background
        from uhrmat.video.existing import find_existing
        from uhrmat.video.plan import check_report, parse_rate, plan_clip
        from uhrmat.video.prompts import parse_frame_prompts
        from uhrmat.video.ranges import parse_ranges
        from uhrmat.video.spec import ClipSpec

        model = opt.model_options(
            prior=prior, refiner=refiner, weights=weights, working_size=working_size, engine=engine, device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=overflow,
        )  # fmt: skip
        spec = ClipSpec(
            source=clip,
            output=output,
            outputs=None if outputs is None else parse_outputs(outputs),
            codec=codec,
            bits=bits,
            background=background,
            start=start,
            end=end,
            frames=frames,
            redo=() if redo is None else parse_ranges(redo),
            rate=None if rate is None else parse_rate(rate),
            trimap=trimap,
            mask=mask,
            alpha=alpha,
            radius=parse_radius(radius),
            prompts=parse_frame_prompts(point or (), box or ()),
            plate=plate,
            key=key,
            temporal=temporal,
            threshold=threshold,
            interval=keyframe_interval,
            propagation=tracker or propagation.value,
            model=model,
            averaged=not frame_by_frame,
            keep_empty=keep_empty,
        )
        plan = plan_clip(spec, overwrite=overwrite, resume=resume)
        existing = find_existing(plan) if spec.redo else ()
        if background is not None:
            parse_background(background)
        if report is not None:
            check_report(report, plan)
        failed = not _run(console, plan, resume, report, existing)
    if failed:
        raise typer.Exit(FAILED)


def _run(
    console: Console, plan: ClipPlan, resume: bool, report: Path | None, outputs: tuple[ExistingOutput, ...]
) -> bool:
    """Matte the clip and print the report; False where it failed after the work had started."""
    from uhrmat.cli.console import describe
    from uhrmat.core.startup import fast_import
    from uhrmat.prior.choose import SOLVING_PRIORS
    from uhrmat.prior.worker import PriorProcess

    with ExitStack() as stack:
        process = stack.enter_context(closing(PriorProcess())) if plan.prior in SOLVING_PRIORS else None
        with fast_import():
            from uhrmat.video.redo import redo_clip
            from uhrmat.video.run import ClipResources, matte_clip

        solver = None if process is None else process.solve
        resources = ClipResources.load(
            plan, solver
        )  # errors here or in the next line: exit code 2, nothing was started
        stack.enter_context(plan.work.locked())
        try:
            with console.progress(plan.spec.source.name, "frames") as progress:
                keep = _page_frames(plan, report)
                if plan.spec.redo:
                    done = redo_clip(plan, resources, outputs, resume=resume, progress=progress, keep_active=keep)
                else:
                    done = matte_clip(plan, resources, resume=resume, progress=progress, keep_active=keep)
            _print_report(console, done, report)
        except Exception as error:
            console.error(error, item=str(plan.spec.source))
            console.document({"items": [{"clip": str(plan.spec.source), "status": "failed", "error": describe(error)}]})
            return False
    return True


def _page_frames(plan: ClipPlan, report: Path | None) -> frozenset[int]:
    """Frames whose active pixels the page shows."""
    if report is None or not _is_page(report):
        return frozenset()
    from uhrmat.video.page import shown

    return shown(plan)


def _is_page(path: Path) -> bool:
    return path.suffix.lower() in (".html", ".htm")


def _write_report_file(path: Path, done: ClipReport, table: list[tuple[str, str]]) -> tuple[Path, ...]:
    """The page, or JSON and plot, by the name's extension."""
    from uhrmat.core.redact import redact_folders

    if _is_page(path):
        from uhrmat.video.page import write_clip_page

        return (write_clip_page(path, done, redact_folders(table, done.names())),)
    from uhrmat.video.report import write_report

    return write_report(path, done)


def _print_report(console: Console, done: ClipReport, report: Path | None) -> None:
    from uhrmat.video.report import table_rows

    table = table_rows(done)
    if report is not None:
        table += [("report", str(path)) for path in _write_report_file(report, done, table)]
    console.table([table])
    items: list[dict[str, Any]] = [done.as_dict(frames=False)]
    console.document({"items": items})
