"""`uhrmat paint`: hints by brush on a local page."""

from __future__ import annotations

import sys
from contextlib import suppress

from uhrmat.cli import options as opt
from uhrmat.cli import paint_options as own
from uhrmat.cli.console import Console, session


def paint(
    photo: own.Photo,
    trimap: own.StartTrimap = None,
    mask: own.StartMask = None,
    alpha: own.StartAlpha = None,
    find_subject: own.FindSubject = False,
    output: own.Folder = None,
    port: own.Port = 0,
    no_browser: own.NoBrowser = False,
    refiner: opt.Refiner = "shm",
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    precision: opt.Precision = "auto",
    threads: opt.Threads = None,
    max_memory: opt.MaxMemory = None,
    max_pixels: opt.MaxPixels = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Paint hints on a photograph in the browser and see the matte as it changes.

    The page is served on this machine only and ends with Ctrl+C. Save writes the trimap, the results of `uhrmat image`
    and the command that makes them again.

    Example: uhrmat paint photo.jpg
    uhrmat paint photo.jpg --mask mask.png -o out
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.media import MAX_PIXELS
        from uhrmat.painter.run import StartHints, open_session, serve
        from uhrmat.painter.server import PaintServer

        start = StartHints(trimap=trimap, mask=mask, alpha=alpha, find_subject=find_subject)
        model = opt.model_options(
            prior="auto", refiner=refiner, weights=weights, working_size=None, engine="auto", device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=opt.Overflow.cascade,
        )  # fmt: skip
        with console.working(f"{photo.name} …"):
            painting = open_session(photo, start, model, output, max_pixels or MAX_PIXELS)
        try:
            server = PaintServer(painting, port)
            console.line(f"Paint at {server.address}")
            console.note("The address works once; Ctrl+C ends the page.")
            console.document({"address": server.address})
            sys.stdout.flush()  # who starts this command reads the address while it runs
            with suppress(KeyboardInterrupt):  # its ordinary end
                serve(server, browser=not (no_browser or as_json))
        finally:
            painting.close()
