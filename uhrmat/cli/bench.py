"""`uhrmat bench`: measure on one's own pictures what the papers measured on theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import Console, Rows, session

bench = typer.Typer(no_args_is_help=True)
_WIDTH = 12


@bench.callback()
def choose() -> None:
    """Measure quality and cost on pictures with true alphas.

    Example: uhrmat bench hrimf-amr --data dev/ --limit 2
    """


@bench.command("hrimf-amr")
def hrimf_amr(
    data: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Images/, Trimap1/, GroundTruth/ with equal names, or NAME.png, NAME_trimap.png, NAME_gt.png.",
        ),
    ],
    methods: Annotated[
        str | None, typer.Option(metavar="LIST", help="Low-resolution methods, by commas; default: all.")
    ] = None,
    adaptability: Annotated[
        bool, typer.Option("--adaptability", help="Tables II and IV only: four upsampling methods for every method.")
    ] = False,
    working_size: opt.WorkingSize = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N pictures.")] = None,
    threads: opt.Threads = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """The tables of HRIMF-AMR: adaptability, ablation, error correction, complexity.

    Example: uhrmat bench hrimf-amr --data dev/ --methods closed-form,knn
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.train.bench.pictures import find_items

        items = find_items(data)[:limit]
        if not items:
            reason = f"{data} holds no pictures with trimaps and true alphas: nothing was measured."
            console.note(reason)
            console.document({"pictures": [], "skipped": {"all": reason}})
            return
        from uhrmat.core.devices import set_threads
        from uhrmat.train.bench.hrimf_amr import METHODS, measure
        from uhrmat.train.bench.tables import BRIEF, TITLES, tables

        set_threads(threads)
        chosen = METHODS if methods is None else tuple(filter(None, methods.split(",")))
        scores = measure(items, chosen, working_size, console.note, all_upsamplers=not adaptability)
        for name, reason in scores.skipped.items():
            console.note(f"{name} was left out: {reason}")
        made = {n: table for n, table in tables(scores, chosen).items() if n in BRIEF or not adaptability}
        console.table([_section(TITLES[name], table) for name, table in made.items() if table])
        console.document({"pictures": scores.pictures, "skipped": scores.skipped, "tables": made})


def _section(title: str, table: list[dict[str, Any]]) -> Rows:
    """A title, a header and aligned rows; texts come first, figures after them."""
    texts = [key for key, value in table[0].items() if isinstance(value, str)]
    figures = [key for key in table[0] if key not in texts]
    rows = [(title, ""), (" + ".join(texts), "".join(f"{name:>{_WIDTH}}" for name in figures))]
    for row in table:
        cells = (row[key] for key in figures)
        cells_text = "".join(f"{f'{c:,}' if isinstance(c, int) else format(c, '.3f'):>{_WIDTH}}" for c in cells)
        rows.append((" + ".join(row[key] for key in texts), cells_text))
    return rows
