"""`uhrmat batch`: mattes folders; results that are up to date are not computed again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from uhrmat.cli import batch_options as own
from uhrmat.cli import options as opt
from uhrmat.cli.console import FAILED, Console, session
from uhrmat.core.signals import INTERRUPTED

if TYPE_CHECKING:  # start-up: `uhrmat --help` loads none of these
    from uhrmat.batch.page import StillsPage
    from uhrmat.batch.report import EventHandler
    from uhrmat.batch.run import BatchRun, MakeExecutor
    from uhrmat.batch.settings import Settings


def batch(
    out: own.BatchOut,
    folders: own.Folders = None,
    trimaps: own.Trimaps = None,
    masks: own.Masks = None,
    alphas: own.Alphas = None,
    plates: own.Plates = None,
    radius: opt.MaskRadius = None,
    key: opt.Key = None,
    resize_trimap: opt.ResizeTrimap = False,
    include: own.Include = None,
    exclude: own.Exclude = None,
    sequences: own.Sequences = None,
    shard: own.Shard = "1/1",
    jobs: own.Jobs = None,
    runner: own.RunnerOption = own.Runner.local,
    address: own.Address = None,
    watch: own.Watch = False,
    settle: own.Settle = 5.0,
    dry_run: own.DryRun = False,
    verify: own.Verify = None,
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
    temporal: opt.Temporal = True,
    threshold: opt.Threshold = None,
    keyframe_interval: opt.KeyframeInterval = 60,
    propagation: opt.Propagation = opt.PropagationMethod.network,
    outputs: opt.Outputs = "alpha,foreground",
    alpha_format: opt.AlphaFormatOption = opt.AlphaFormat.png,
    colour_format: opt.ColourFormatOption = None,
    codec: opt.CodecName = None,
    bits: opt.Bits = None,
    background: opt.Background = None,
    premultiply: opt.Premultiply = None,
    keep_metadata: opt.KeepMetadata = False,
    report: own.AlbumFile = None,
    keep_empty: opt.KeepEmpty = False,
    overwrite: opt.Overwrite = False,
    as_json: own.JsonLines = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Matte folders of photographs and clips. A second run does only what is missing or changed.

    Example: uhrmat batch shoot -o mattes --trimaps shoot/trimaps --jobs 2
    """
    from uhrmat.cli.progress import Lines, LinesConsole

    with session(LinesConsole(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.batch.find import Selection, parse_shard

        lines = Lines(console)
        if verify is not None:
            _verify(out, parse_shard(verify), lines)
            return
        if not folders:
            from uhrmat.core.errors import InputError

            raise InputError("No folder of photographs or clips was named.", "Name one or more.")
        from uhrmat.batch.hints import HintFolders
        from uhrmat.batch.run import BatchRun
        from uhrmat.batch.settings import Settings
        from uhrmat.hints.radius import parse_radius
        from uhrmat.image.outputs import parse_outputs
        from uhrmat.media import MAX_PIXELS

        where = {"trimap": trimaps, "mask": masks, "alpha": alphas, "plate": plates}
        named = {kind: text for kind, text in where.items() if text is not None}
        model = opt.model_options(
            prior=prior, refiner=refiner, weights=weights, working_size=working_size, engine=engine, device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=overflow,
        )  # fmt: skip
        settings = Settings(
            model=model,
            outputs=parse_outputs(outputs),
            alpha_format=alpha_format.value,
            background=background,
            premultiply=premultiply,
            radius=parse_radius(radius),
            resize=resize_trimap,
            max_pixels=max_pixels or MAX_PIXELS,
            given=tuple([*named, *(["key"] if key else [])]),
            key=key,
            codec=codec,
            bits=bits,
            temporal=temporal,
            threshold=threshold,
            interval=keyframe_interval,
            propagation=propagation.value,
            colour_format=None if colour_format is None else colour_format.value,
            keep_metadata=keep_metadata,
            keep_empty=keep_empty,
        )
        selection = Selection(include or (), exclude or (), sequences or (), (), parse_shard(shard))
        run = BatchRun(
            roots=folders,
            out=out,
            settings=settings,
            selection=selection,
            hints=HintFolders(named) if named else None,
            overwrite=overwrite,
        )
        page = None if report is None else _page(report, run)
        if dry_run:
            _show(console, run)
            return
        make_executor = _executor(settings, jobs, runner, address, lines.note)
        code = _run(run, make_executor, lines if page is None else _both(lines, page), settle if watch else None)
        if page is not None:
            page_code = _write_page(page, lines)
            code = code or page_code
    if code:
        raise typer.Exit(code)


def _verify(out: Path, share: tuple[int, int], emit: EventHandler) -> None:
    """Checks the results; exits with FAILED if one is not what was written."""
    from uhrmat.batch.verify import verify

    if verify(out, share, emit).wrong:
        raise typer.Exit(FAILED)


def _run(run: BatchRun, executor: MakeExecutor, emit: EventHandler, settle: float | None) -> int:
    """The exit code."""
    from uhrmat.batch.run import run_batch, watch_folders

    if settle is not None:
        return 0 if watch_folders(run, executor, emit, settle=settle).good else FAILED
    summary, interrupted = run_batch(run, executor, emit)
    return INTERRUPTED if interrupted else 0 if summary.good else FAILED


def _page(path: Path, run: BatchRun) -> StillsPage:
    """The page; raises UhrmatError if it cannot be written."""
    from uhrmat.batch.page import StillsPage
    from uhrmat.image.table import stats_rows

    def table(event: Mapping[str, Any]) -> list[tuple[str, str]]:
        return stats_rows(event["item"], event["stats"], event["files"])

    return StillsPage(path, run.out, run.settings, table, run.overwrite)


def _both(first: EventHandler, second: EventHandler) -> EventHandler:
    def emit(event: dict[str, Any]) -> None:
        first(event)
        second(event)

    return emit


def _write_page(page: StillsPage, emit: EventHandler) -> int:
    """Writes the page and emits an event about it; returns the exit code."""
    from uhrmat.core.errors import UhrmatError

    try:
        emit(page.write())
    except UhrmatError as error:
        emit({"event": "page", "path": None, "error": error.message, "hint": error.hint})
        return FAILED
    return 0


def _executor(settings: Settings, jobs: int | None, runner: own.Runner, address: str | None, note: Any) -> MakeExecutor:
    if runner is own.Runner.ray:
        from uhrmat.batch.executors.ray_actors import RayExecutor, need_ray

        need_ray()
        return lambda: RayExecutor(settings, jobs, address, note)
    if address is not None:
        from uhrmat.core.errors import InputError

        raise InputError("An address was given, but the runner is local.", "Add --runner ray.")
    if jobs == 0:
        from uhrmat.batch.executors.inline import InlineExecutor

        return lambda: InlineExecutor(settings)
    from uhrmat.batch.executors.local import LocalExecutor

    return lambda: LocalExecutor(settings, jobs or 1, note)


def _show(console: Console, run: BatchRun) -> None:
    """Prints what a run would do."""
    from uhrmat.batch.run import plan_run

    listing, todo = plan_run(run)
    rows = [("would do" if item.error is None else "would fail", _about(item)) for item in todo]
    rows += [("done", f"{len(listing.items) - len(todo)} already")]
    rows += [("passed over", f"{n} {suffix or 'without extension'}") for suffix, n in listing.ignored.most_common()]
    rows += [("passed over", name) for name in listing.companions]
    console.table([rows])
    items = [
        {"item": item.key, "kind": item.kind, "hints": {k: str(v) for k, v in item.hints.items()}, "error": item.error}
        for item in todo
    ]
    kept = len(listing.items) - len(todo)
    console.document({"event": "dry-run", "todo": items, "kept": kept, "companions": listing.companions})


def _about(item: Any) -> str:
    hints = "".join(f", {kind} {Path(path)}" for kind, path in item.hints.items())
    return f"{item.key}{hints}" if item.error is None else f"{item.key}: {' '.join(item.error)}"
