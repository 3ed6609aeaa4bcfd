"""`uhrmat compare`: two mattes of one photograph on a page, to be judged by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import Console, session

Matte = Annotated[Path, typer.Argument(metavar="A", help="A matte, or a cut-out with alpha.", show_default=False)]
Other = Annotated[Path, typer.Argument(metavar="B", help="Another one of the same picture.", show_default=False)]
Truth = Annotated[Path | None, typer.Argument(metavar="GT", help="The true alpha.", show_default=False)]
Page = Annotated[Path, typer.Option("--output", "-o", metavar="FILE.html", help="The page to write.")]


def compare(
    a: Matte,
    b: Other,
    truth: Truth = None,
    output: Page = Path("compare.html"),
    photo: Annotated[Path | None, typer.Option(help="The photograph itself.")] = None,
    trimap: Annotated[Path | None, typer.Option(help="Errors count only in its unknown region.")] = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Compare two mattes by eye: one HTML page with a divider, zoom to single pixels, backgrounds and figures.

    Example: uhrmat compare ours.png theirs.png -o page.html --photo photo.jpg
    uhrmat compare ours.png theirs.png truth.png -o page.html
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.report.page import encode, write_page
        from uhrmat.report.page.compare import compare as compare_files
        from uhrmat.report.page.write import check_page

        check_page(output, overwrite, [a, b, *filter(None, [truth, photo, trimap])])
        with console.working("comparing"):
            comparison = compare_files(a, b, truth, photo=photo, trimap=trimap)
            write_page(output, comparison.exhibit.title, [encode(comparison.exhibit)])
        rows = [(name, f"{first:<24} {second}".rstrip()) for name, first, second in comparison.exhibit.table]
        console.table([rows, [("page", str(output))]])
        console.document({"page": str(output), **comparison.figures})
