"""The options that only `uhrmat paint` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uhrmat.cli.options import HINTS, OUTPUT

PAGE = "Page"

Photo = Annotated[
    Path,
    typer.Argument(
        help="A photograph; or a clip: a video file, a folder of numbered frames, or a pattern such as f_%04d.png.",
        metavar="PHOTO|CLIP", show_default=False,
    ),
]  # fmt: skip
StartTrimap = Annotated[
    Path | None,
    typer.Option(
        "--trimap",
        help="Trimap to go on with, of the photograph's size; of a clip, of frames by number.",
        rich_help_panel=HINTS,
    ),
]
StartMask = Annotated[
    Path | None,
    typer.Option("--mask", help="Coarse mask to start from: a trimap is made from it.", rich_help_panel=HINTS),
]
StartAlpha = Annotated[
    Path | None,
    typer.Option(
        "--alpha", rich_help_panel=HINTS,
        help="Matte to start from, of any resolution: a trimap is made from it, unknown where it is neither 0 nor 1.",
    ),
]  # fmt: skip
FindSubject = Annotated[
    bool,
    typer.Option("--find-subject", help="Start from what the network finds that needs no hint.", rich_help_panel=HINTS),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT,
        help="Folder for the trimaps and the results. Default: beside the photograph or clip.",
    ),
]  # fmt: skip
ClipResults = Annotated[
    str | None,
    typer.Option(
        "--outputs", metavar="LIST", rich_help_panel=OUTPUT,
        help="Results of a clip: any of alpha, foreground, composite. Default: alpha.",
    ),
]  # fmt: skip
Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the page on 127.0.0.1; 0 takes a free one.", rich_help_panel=PAGE)
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address, open no browser.", rich_help_panel=PAGE)
]
