"""`uhrmat.paint`: hints by brush, from Python."""

from __future__ import annotations

import sys
import threading
import webbrowser
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.api.convert import HintLike, PictureLike, to_hint, to_picture
from uhrmat.api.errors import python_errors
from uhrmat.core.options import ModelOptions
from uhrmat.media import Picture, read_picture


def paint(
    image: PictureLike, *, trimap: HintLike | None = None, mask: HintLike | None = None, alpha: HintLike | None = None,
    find_subject: bool = False, browser: bool = True, height: int = 760, **options: Any,
) -> npt.NDArray[np.uint8]:  # fmt: skip
    """Paint hints on a picture, on a local page, and return them. Waits until Done is pressed there.

    In a notebook the page is shown in a frame below the cell; elsewhere the browser is opened. Needs the extra `ui`.

        hints = uhrmat.paint("photo.jpg")
        result = uhrmat.matte("photo.jpg", trimap=hints)

    Args:
        image: as for `matte`.
        trimap, mask, alpha: at most one of them, which painting starts from.
        find_subject: start from what the network finds that needs no hint.
        browser: open the browser; else the address is only printed. Of no effect in a notebook.
        height: of the frame in a notebook, pixels.
        **options: of the live matte: device, precision, refiner, weights, threads, max_memory.

    Returns:
        (H, W) uint8: 255 foreground, 0 background, 128 unknown. What is painted when the wait is interrupted is lost.

    Raises:
        InputError: for a picture or hints that cannot be used, and where the extra is not installed.
        TypeError: for an option that does not exist.
    """
    with python_errors():
        from uhrmat.painter.run import StartHints, make_session
        from uhrmat.painter.server import PaintServer

        model = ModelOptions(**options)
        made = to_picture(image)
        picture = made if isinstance(made, Picture) else read_picture(made)
        title = "picture" if isinstance(made, Picture) else made.name
        hints = {"trimap": trimap, "mask": mask, "alpha": alpha}
        start = StartHints(
            **{name: to_hint(hint, name) for name, hint in hints.items() if hint is not None}, find_subject=find_subject
        )
        notebook = _notebook()
        session = make_session(picture, start, model, title)
        try:
            server = PaintServer(session, embedded=notebook is not None)
            thread = threading.Thread(target=server.run, name="uhrmat paint", daemon=True)
            thread.start()
            _show(server.address, notebook, browser, height)
            try:
                while not session.finished.wait(0.5):  # so that an interrupt is met
                    pass
                return session.trimap()
            finally:
                server.stop()
                thread.join()
        finally:
            session.close()


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
