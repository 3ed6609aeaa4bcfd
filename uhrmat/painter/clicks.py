"""Clicks on the subject and on the background: the point prompt runs in a thread of its own.

A click while one is being searched for adds to its points: what is being searched is stale then and is dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from uhrmat.core.errors import InputError, UhrmatError
from uhrmat.hints.prompts import Point, Prompts
from uhrmat.painter.canvas import Canvas, Trimap

Points = tuple[Point, ...]


def parse_point(data: Any) -> Point:
    """The point of a request: x, y in pixels, and whether the subject is there. Raises InputError where it is none."""
    try:
        return Point(float(data["x"]), float(data["y"]), bool(data.get("foreground", True)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("This is no point of the picture.", "Reload the page.") from error


class Clicks:
    """The points of a canvas, and the search for what they mark. Close it at the end.

    Args:
        canvas: gets the mask that is found, below its strokes.
        find: the trimap (H, W) uint8 {0, 128, 255} of points; may take seconds.
        notify: called when the state has changed; with True where the canvas has.
    """

    def __init__(self, canvas: Canvas, find: Callable[[Points], Trimap], notify: Callable[[bool], None]) -> None:
        self.canvas, self._find, self._notify = canvas, find, notify
        self._lock = threading.Lock()
        self._wanted: Points = ()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.error = ""
        """Why the last search led to nothing."""

    @property
    def busy(self) -> bool:
        """Whether something is being searched for."""
        return bool(self._wanted)

    @property
    def points(self) -> Points:
        """All points, those that are being searched with included."""
        return self._wanted or self.canvas.points

    def add(self, point: Point) -> None:
        """Add a point and search for what all of them mark, in the background.

        Raises:
            InputError: it lies outside of the picture or contradicts another.
        """
        with self._lock:
            if point in self.points:
                return
            wanted = (*self.points, point)
            Prompts(wanted).check(*self.canvas.size)
            self._wanted, self.error = wanted, ""
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="points", daemon=True)
                self._thread.start()
        self._notify(False)

    def cancel(self) -> bool:
        """Give up the search and its points; False where there is none."""
        with self._lock:
            busy, self._wanted = self.busy, ()
        if busy:
            self._notify(False)
        return busy

    def close(self) -> None:
        """Wait until a search that has begun is done; its result is dropped."""
        with self._lock:
            self._closed, self._wanted, thread = True, (), self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while True:
            with self._lock:
                wanted = self._wanted
                if not wanted:
                    self._thread = None
                    return
            trimap, error = None, ""
            try:
                trimap = self._find(wanted)
                if (trimap == trimap.flat[0]).all():
                    raise InputError("Nothing is found at these points.", "Click elsewhere, or paint.")
            except UhrmatError as failure:
                trimap, error = None, str(failure)
            except Exception as failure:
                error = f"{type(failure).__name__}: {failure}"
            with self._lock:
                if self._wanted != wanted:
                    continue
                self.error = error
                if trimap is not None:
                    self.canvas.paint_over(trimap, wanted)
                self._wanted = ()  # last: whoever sees that nothing is searched for any more sees what came of it
            self._notify(trimap is not None)
