"""Options of `uhrmat batch` alone; those that it shares with other commands are in `cli.options`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from uhrmat.cli.options import HINTS, OUTPUT, REPORT


class Runner(str, Enum):
    """Executors of a batch."""

    local = "local"
    ray = "ray"


_WHICH, _WHO = "Files", "Workers"
Folders = Annotated[
    list[Path] | None,
    typer.Argument(help="Folders of photographs and clips.", metavar="FOLDER...", show_default=False),
]
BatchOut = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", help="Folder for the results.", rich_help_panel=OUTPUT)
]
Trimaps = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|PATTERN", rich_help_panel=HINTS,
        help="Trimaps: a folder of files named like the inputs, or a pattern such as {folder}/{stem}_trimap.png. For a "
        "clip a picture of its first frame, a folder of numbered pictures, or a clip.",
    ),
]  # fmt: skip
Masks = Annotated[
    str | None, typer.Option(metavar="DIR|PATTERN", help="Coarse masks, given like trimaps.", rich_help_panel=HINTS)
]
Alphas = Annotated[
    str | None,
    typer.Option(
        metavar="DIR|PATTERN", help="Alphas of low resolution to refine, given like trimaps.", rich_help_panel=HINTS
    ),
]
Plates = Annotated[
    str | None,
    typer.Option(
        "--plate", metavar="FILE|DIR|PATTERN", rich_help_panel=HINTS,
        help="Clean plates: one file for all, or a folder or pattern as for trimaps.",
    ),
]  # fmt: skip
Include = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Only files whose name matches, or, with a / in the pattern, whose path below the folder does.",
        rich_help_panel=_WHICH,
    ),
]
Exclude = Annotated[
    list[str] | None,
    typer.Option(metavar="GLOB", help="Leave out files that match, as for --include.", rich_help_panel=_WHICH),
]
Sequences = Annotated[
    list[str] | None,
    typer.Option(
        metavar="GLOB",
        help="Folders that match are clips: their numbered stills are the frames.",
        rich_help_panel=_WHICH,
    ),
]
Shard = Annotated[
    str,
    typer.Option(
        metavar="I/N", help="Process only the I-th of N parts, for schedulers such as Slurm.", rich_help_panel=_WHICH
    ),
]
Watch = Annotated[
    bool,
    typer.Option(
        "--watch", help="Keep running and process files as they arrive, until Ctrl-C.", rich_help_panel=_WHICH
    ),
]
Settle = Annotated[
    float,
    typer.Option(min=0, help="With --watch: seconds for which a file must not have changed.", rich_help_panel=_WHICH),
]
Verify = Annotated[
    str | None,
    typer.Option(
        "--verify", metavar="[N/T]", rich_help_panel=_WHICH,
        help="Matte nothing; check the results in -o, or the N-th of T shares of them, against their SHA-256.",
    ),
]  # fmt: skip
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="List what would be done, and do nothing.", rich_help_panel=_WHICH)
]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=0,
        help="Number of worker processes; 0: work in this process. Default: 1, with Ray as many as fit.",
        rich_help_panel=_WHO,
    ),
]
RunnerOption = Annotated[
    Runner,
    typer.Option("--runner", help="Where workers run: on this machine, or on a Ray cluster.", rich_help_panel=_WHO),
]
Address = Annotated[str | None, typer.Option(help="Address of Ray's head node, or auto.", rich_help_panel=_WHO)]
JsonLines = Annotated[
    bool,
    typer.Option("--json", help="Print every event as a line of JSON to standard output.", rich_help_panel=REPORT),
]
AlbumFile = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE.html",
        help="Also write a page with the photographs of this run.",
        rich_help_panel=OUTPUT,
    ),
]
