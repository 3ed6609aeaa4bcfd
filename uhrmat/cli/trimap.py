"""`uhrmat trimap`: a trimap from a mask or a coarse alpha."""

from __future__ import annotations

from uhrmat.cli import options as opt
from uhrmat.cli.console import Console, session


def trimap(
    mask: opt.Mask,
    output: opt.OutFile,
    radius: opt.Radius = None,
    erode: opt.Erode = None,
    dilate: opt.Dilate = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Make a trimap from a mask: its edge becomes an unknown band.

    Example: uhrmat trimap mask.png -o trimap.png --erode 10 --dilate 30
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.hints.trimap_file import write_trimap

        made = write_trimap(mask, output, radius=radius, erode=erode, dilate=dilate, overwrite=overwrite)
        console.table([made.rows()])
        console.document(made.as_dict())
