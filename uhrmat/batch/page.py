"""An HTML page of the stills of a run, made from the written files, whichever process wrote them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from uhrmat.batch.settings import Settings
from uhrmat.core.errors import InputError, UhrmatError
from uhrmat.media import read_picture
from uhrmat.report.page import Album, Exhibit, check_page
from uhrmat.report.page.exhibit import read_side
from uhrmat.report.page.write import is_page
from uhrmat.video.page import spread

MOST = 40
"""Stills on a page at most; evenly spread over the sorted paths, with the first and the last."""
_SHOWN = ("foreground", "cutout", "alpha")
"""Outputs that a page can show, the best first."""
Rows = Callable[[Mapping[str, Any]], list[tuple[str, str]]]
"""Makes names and values, shown below a still, from the event that reports it as done."""


class StillsPage:
    """A page of the stills that a run has done, made from its events (it is a `report.EventHandler`). Without clips.

    Args:
        path: of the page; one that uhrmat made is replaced.
        out: output folder of the run.
        settings: of the run.
        rows: names and values shown below a still, from its event.
        overwrite: replace any file of that name.

    Raises:
        InputError: no output that a page can show is written.
        OutputError: the page cannot be written.
    """

    def __init__(self, path: Path, out: Path, settings: Settings, rows: Rows, overwrite: bool = False) -> None:
        check_page(path, overwrite or is_page(path))
        if not any(name in settings.outputs for name in _SHOWN):
            raise InputError("A page shows alphas, and none is written.", "Add alpha or foreground to --outputs.")
        self._path, self._out, self._rows, self._premultiplied = path, out, rows, settings.premultiply
        self._done: dict[str, dict[str, Any]] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        """Receives an event."""
        if event["event"] == "done" and event["kind"] == "still":
            self._done[event["item"]] = event

    def write(self) -> dict[str, Any]:
        """Writes the page, unless no still was done; returns an event about it. Raises OutputError.

        A still that can no longer be read, or whose result cannot, is left out.
        """
        events = [self._done[key] for key in sorted(self._done)]
        album, shown = Album(self._path, len(events), detail=False), 0
        for number in spread(len(events), MOST):
            try:
                album.show(self._exhibit(events[number]))
            except (UhrmatError, OSError):
                continue
            shown += 1
        title = f"{shown} of {len(events)} photographs of {self._out.resolve().name}, evenly spread"
        made = album.write(title if shown < len(events) else None)
        return {"event": "page", "path": None if made is None else str(made), "shown": shown, "stills": len(events)}

    def _exhibit(self, event: Mapping[str, Any]) -> Exhibit:
        name = next(name for name in _SHOWN if name in event["files"])
        photo, made = read_picture(event["source"]), read_picture(self._out / event["files"][name])
        side = read_side(name, made, self._premultiplied)
        rows = [["", "value"], *([what, value] for what, value in self._rows(event))]
        return Exhibit(title=event["item"], sides=(side,), photo=photo.pixels, info=photo.info, table=rows)
