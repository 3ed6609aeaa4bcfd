"""`uhrmat evaluate`: how far mattes are from their ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import Console, session

if TYPE_CHECKING:  # it loads NumPy and OpenCV, which `uhrmat --help` does without
    from uhrmat.metrics.evaluation import Evaluation

_WIDTH = 11


def evaluate(
    pred: Annotated[Path, typer.Argument(metavar="PRED", help="A matte, or a folder of mattes.", show_default=False)],
    truth: Annotated[Path, typer.Argument(metavar="GT", help="The true alpha, or a folder.", show_default=False)],
    trimap: Annotated[Path | None, typer.Option(help="Trimap, or a folder of trimaps.")] = None,
    region: Annotated[
        str | None, typer.Option(help="whole or unknown; default: unknown with a trimap, else whole.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Scales: alphamatting, rvm or raw; default: alphamatting, with --clip rvm.")
    ] = None,
    clip: Annotated[bool, typer.Option("--clip", help="The folders hold a clip's numbered frames: dtSSD too.")] = False,
    csv: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write the table as CSV.")] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw the table as PNG (extra: plots).")
    ] = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Measure mattes against their ground truth: SAD, MSE, MAD, Grad, Conn and, for clips, dtSSD.

    Example: uhrmat evaluate out/ truth/ --trimap trimaps/ --csv scores.csv
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.metrics import evaluation as ev
        from uhrmat.metrics.plots import check_plots

        pairing = ev.find_pairs(pred, truth, trimap, clip=clip)
        ev.check_outputs([csv, plot], pairing, overwrite)
        if plot:
            check_plots()
        with console.working("measuring"):
            result = ev.evaluate(pairing, region=region, protocol=protocol, clip=clip)
        if csv:
            ev.write_csv(csv, result, overwrite)
        if plot:
            ev.write_plot(plot, result, overwrite)
        for path in result.unmatched:
            console.note(f"note: '{path}' has no partner and was left out")
        for name in result.unmeasured:
            console.note(f"note: the trimap of '{name}' leaves nothing unknown: it is not in the mean")
        console.table(_sections(result))
        console.document(result.as_dict())


def _sections(result: Evaluation) -> list[list[tuple[str, str]]]:
    """Protocol and region, then one aligned row per picture and the mean."""
    mean = result.mean
    head = [("protocol", mean.protocol), ("region", f"{mean.region}, {mean.pixels:,} pixels")]
    rows = [("picture", "".join(f"{title:>{_WIDTH}}" for title in mean.header.values()))]
    for name, scores in [*result.scores.items(), ("mean", mean)]:
        cells = (scores.values.get(key) for key in mean.header)
        rows.append((name, "".join(f"{'n/a' if v is None else format(v, '.4f'):>{_WIDTH}}" for v in cells)))
    return [head, rows]
