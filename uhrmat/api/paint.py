"""`uhrmat.paint`: hints by brush, from Python."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from uhrmat.api.convert import Array, HintLike, PictureLike, to_clip_hint, to_hint, to_picture
from uhrmat.api.errors import python_errors
from uhrmat.core.options import ModelOptions
from uhrmat.media import Picture, read_picture

if TYPE_CHECKING:  # they need the extra `ui`
    from uhrmat.painter.clips.session import ClipSession
    from uhrmat.painter.server import PageServer
    from uhrmat.painter.session import PaintSession


Trimap = npt.NDArray[np.uint8]
ClipHint = HintLike | Mapping[int, HintLike]
"""A hint of a clip: a picture of the first frame, a folder or pattern, or hints by index of frame."""


@overload
def paint(
    image: Picture | Array | Image.Image, *, trimap: HintLike | None = None, mask: HintLike | None = None,
    alpha: HintLike | None = None, find_subject: bool = False, browser: bool = True, height: int = 760, **options: Any,
) -> Trimap: ...  # fmt: skip


@overload
def paint(
    image: PictureLike, *, trimap: ClipHint | None = None, mask: ClipHint | None = None,
    alpha: ClipHint | None = None, find_subject: bool = False, browser: bool = True, height: int = 760, **options: Any,
) -> Any: ...  # fmt: skip


def paint(
    image: PictureLike, *, trimap: ClipHint | None = None, mask: ClipHint | None = None,
    alpha: ClipHint | None = None, find_subject: bool = False, browser: bool = True, height: int = 760, **options: Any,
) -> Trimap | dict[int, Trimap]:  # fmt: skip
    """Paint hints on a picture or a clip, on a local page, and return them. Waits until Done is pressed there.

    In a notebook the page is shown in a frame below the cell; elsewhere the browser is opened. Needs the extra `ui`.

        hints = uhrmat.paint("photo.jpg")
        result = uhrmat.matte("photo.jpg", trimap=hints)

        keys = uhrmat.paint("clip.mp4")
        for frame in pipeline.video("clip.mp4", trimap=keys):
            ...

    Args:
        image: as for `matte`; or a clip: a video file, a folder of numbered frames, or a pattern.
        trimap, mask, alpha: at most one of them, which painting starts from. Of a clip: of its first frame, a folder or
            pattern numbered like its frames, or by index of frame.
        find_subject: start from what the network finds that needs no hint, in a clip's first frame.
        browser: open the browser; else the address is only printed. Of no effect in a notebook.
        height: of the frame in a notebook, pixels.
        **options: of the live matte: device, precision, refiner, weights, threads, max_memory.

    Returns:
        (H, W) uint8: 255 foreground, 0 background, 128 unknown; of a clip one for each painted frame, by its index.
        What is painted when the wait is interrupted is lost.

    Raises:
        InputError: for a picture, clip or hints that cannot be used, and where the extra is not installed.
        TypeError: for an option that does not exist.
    """
    with python_errors():
        hints = {"trimap": trimap, "mask": mask, "alpha": alpha}
        given = {name: hint for name, hint in hints.items() if hint is not None}
        model = ModelOptions(**options)
        notebook = _notebook()
        if _is_clip(image):
            assert isinstance(image, (str, os.PathLike))
            from uhrmat.painter.clips.server import ClipServer

            with ExitStack() as stack:  # the folder goes after what writes into it
                folder = Path(stack.enter_context(TemporaryDirectory(prefix="uhrmat-")))
                clip = stack.enter_context(closing(_open_clip(Path(image), given, find_subject, model, folder)))
                _serve(ClipServer(clip, embedded=notebook is not None), clip.finished, notebook, browser, height)
                return clip.trimaps()
        with closing(_open_picture(image, given, find_subject, model)) as session:
            from uhrmat.painter.server import PaintServer

            _serve(PaintServer(session, embedded=notebook is not None), session.finished, notebook, browser, height)
            return session.trimap()


def _is_clip(image: PictureLike) -> bool:
    from uhrmat.painter.clips.open import names_clip

    return isinstance(image, (str, os.PathLike)) and names_clip(Path(image))


def _open_picture(
    image: PictureLike, hints: Mapping[str, Any], find_subject: bool, model: ModelOptions
) -> PaintSession:
    from uhrmat.painter.run import StartHints, make_session

    made = to_picture(image)
    picture = made if isinstance(made, Picture) else read_picture(made)
    start = StartHints(**{name: to_hint(hint, name) for name, hint in hints.items()}, find_subject=find_subject)
    return make_session(picture, start, model, "picture" if isinstance(made, Picture) else made.name)


def _open_clip(
    clip: Path, hints: Mapping[str, Any], find_subject: bool, model: ModelOptions, folder: Path
) -> ClipSession:
    from uhrmat.painter.clips.open import open_clip_session
    from uhrmat.painter.run import StartHints

    given = {name: to_clip_hint(hint, name) for name, hint in hints.items()}
    files = {name: hint for name, hint in given.items() if isinstance(hint, Path)}
    StartHints(**dict.fromkeys(given, folder), find_subject=find_subject)  # refuses two of them
    start = StartHints(find_subject=find_subject, **files)
    painted = {
        index: StartHints(**{name: value})  # type: ignore[arg-type]
        for name, by_index in given.items() if not isinstance(by_index, Path) for index, value in by_index.items()
    }  # fmt: skip
    return open_clip_session(clip, start, model, folder, painted, saves=False)


def _serve(server: PageServer, finished: threading.Event, notebook: Any, browser: bool, height: int) -> None:
    """Serve until the user is done; ends the server where the wait is interrupted too."""
    thread = threading.Thread(target=server.run, name="uhrmat paint", daemon=True)
    thread.start()
    try:
        _show(server.address, notebook, browser, height)
        while not finished.wait(0.5):  # so that an interrupt is met
            pass
    finally:
        server.stop()
        thread.join()


def _notebook() -> Any:
    """IPython, where this runs in a notebook's kernel; else None."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return ipython if shell is not None and "IPKernelApp" in shell.config else None


def _show(address: str, notebook: Any, browser: bool, height: int) -> None:
    if notebook is not None:
        from importlib import import_module

        display = import_module("IPython.display")
        display.display(display.IFrame(address, "100%", height))
        return
    if not browser or not webbrowser.open(address):
        print(f"Paint at {address}", flush=True)
