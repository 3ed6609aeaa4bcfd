"""`uhrmat paint`: hints by brush on a local page, on a photograph or the frames of a clip."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from uhrmat.cli import options as opt
from uhrmat.cli import paint_options as own
from uhrmat.cli.console import Console, session
from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions

if TYPE_CHECKING:  # start-up: `uhrmat --help` loads none of them
    from uhrmat.painter.clips.request import ResultForm
    from uhrmat.painter.clips.session import ClipSession
    from uhrmat.painter.run import StartHints
    from uhrmat.painter.server import PageServer
    from uhrmat.painter.session import PaintSession


def paint(
    photo: own.Photo,
    trimap: own.StartTrimap = None,
    mask: own.StartMask = None,
    alpha: own.StartAlpha = None,
    find_subject: own.FindSubject = False,
    output: own.Folder = None,
    codec: opt.CodecName = None,
    outputs: own.ClipResults = None,
    background: opt.Background = None,
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
    """Paint hints on a photograph or a clip in the browser and see the matte as it changes.

    The page is served on this machine only and ends with Ctrl+C. Save writes the trimap, the results of `uhrmat image`
    and the command that makes them again. Of a clip, what is painted on a frame is kept at once, as one of its key
    frames.

    Example: uhrmat paint photo.jpg
    uhrmat paint photo.jpg --mask mask.png -o out
    uhrmat paint clip.mp4 --codec vp9 --outputs foreground
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.painter.run import StartHints, serve

        start = StartHints(trimap=trimap, mask=mask, alpha=alpha, find_subject=find_subject)
        model = opt.model_options(
            prior="auto", refiner=refiner, weights=weights, working_size=None, engine="auto", device=device,
            precision=precision, threads=threads, max_memory=max_memory, overflow=opt.Overflow.cascade,
        )  # fmt: skip
        with console.working(f"{photo.name} …"):
            form = {"codec": codec, "outputs": outputs, "background": background}
            painting, make_server = _open(photo, start, model, output, max_pixels, form)
        try:
            server = make_server(port)
            console.line(f"Paint at {server.address}")
            console.note("The address works once; Ctrl+C ends the page.")
            console.document({"address": server.address})
            sys.stdout.flush()  # who starts this command reads the address while it runs
            with suppress(KeyboardInterrupt):  # its ordinary end
                serve(server, browser=not (no_browser or as_json))
        finally:
            painting.close()


def _open(
    source: Path, start: StartHints, model: ModelOptions, folder: Path | None, max_pixels: int | None,
    form: Mapping[str, str | None],
) -> tuple[PaintSession | ClipSession, Callable[[int], PageServer]]:  # fmt: skip
    """The session of a photograph or a clip, and what makes its server on a port.

    form: --codec, --outputs and --background of a clip's results, by name, as they were given.
    """
    from uhrmat.painter.clips.open import names_clip, open_clip_session

    if names_clip(source):
        from uhrmat.painter.clips.server import ClipServer

        if max_pixels is not None:
            raise InputError("--max-pixels is for a photograph, and this is a clip.", "Leave it out.")
        clip = open_clip_session(source, start, model, folder, form=_result_form(form))
        return clip, partial(ClipServer, clip)
    for name, value in form.items():
        if value is not None:
            raise InputError(f"--{name} is for a clip, and this is a photograph.", "Leave it out.")
    from uhrmat.media import MAX_PIXELS
    from uhrmat.painter.run import open_session
    from uhrmat.painter.server import PaintServer

    photo = open_session(source, start, model, folder, max_pixels or MAX_PIXELS)
    return photo, partial(PaintServer, photo)


def _result_form(given: Mapping[str, str | None]) -> ResultForm:
    """The form of a clip's results, from the options as they were given."""
    from uhrmat.image.outputs import parse_outputs
    from uhrmat.painter.clips.request import ResultForm

    outputs = given["outputs"]
    return ResultForm(
        codec=given["codec"], background=given["background"],
        outputs=None if outputs is None else parse_outputs(outputs),
    )  # fmt: skip
