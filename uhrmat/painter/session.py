"""One picture being painted: what the server hands out and what it takes in, without HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError, UhrmatError
from uhrmat.core.options import ModelOptions
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.read import read_hints
from uhrmat.media import Picture
from uhrmat.painter.canvas import Canvas, Trimap
from uhrmat.painter.clicks import Clicks, Points, parse_point
from uhrmat.painter.live import LiveMatte, View
from uhrmat.painter.save import SaveSpec, save
from uhrmat.painter.strokes import parse_stroke
from uhrmat.painter.tiles import PhotoTiles, encode_alpha, encode_strokes, level_sizes
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.worker import PriorProcess


class LazyPipeline:
    """A pipeline that is loaded when it is first used, by whatever thread.

    Attributes:
        process: of its affinity priors; closed with the session.
    """

    def __init__(self, model: ModelOptions, process: PriorProcess) -> None:
        self.process = process
        self._model, self._loading = model, threading.Lock()
        self._pipeline: StillPipeline | None = None

    def load(self) -> StillPipeline:
        """Return the pipeline. Raises what making it raises, again at every call."""
        with self._loading:
            if self._pipeline is None:
                self._pipeline = StillPipeline.from_options(self._model, solver=self.process.solve)
            return self._pipeline

    def find_points(self, picture: Picture, points: Points) -> Trimap:
        """The trimap of what points mark in a picture, by the prior that takes prompts. Raises UhrmatError."""
        hints = read_hints((picture.height, picture.width), picture=picture, prompts=Prompts(points))
        return self.load().run_prior(picture, hints, fresh=True).trimap


class PaintSession:
    """A picture, its canvas and its live matte. Close it at the end.

    Args:
        picture: the photograph.
        start: (H, W) uint8 {0, 128, 255}, what is painted on.
        title: shown above the picture.
        pipeline: refines what is seen and computes what is saved.
        saving: where work is saved; None: only handed back (`uhrmat.paint`).
    """

    def __init__(
        self, picture: Picture, start: Trimap, *, title: str, pipeline: LazyPipeline,
        saving: SaveSpec | None = None,
    ) -> None:  # fmt: skip
        self.title, self._saving, self._pipeline = title, saving, pipeline
        self._picture, self.canvas, self._photo = picture, Canvas(start), PhotoTiles(picture)
        self.live = LiveMatte(picture, self.canvas, pipeline.process.solve, pipeline.load)
        self.clicks = Clicks(self.canvas, self._find, self.live.notify)
        self.finished = threading.Event()
        """Set when the user is done."""
        self._save: dict[str, Any] = {"state": "none"}
        self._saver: threading.Thread | None = None

    def state(self) -> dict[str, Any]:
        """What a page needs to know, as plain data."""
        undo, redo = self.canvas.depth
        height, width = self.canvas.size
        solution = self.live.solution
        return {
            "version": self.live.version, "revision": self.canvas.revision, "undo": undo, "redo": redo,
            "busy": "points" if self.clicks.busy else self.live.busy, "error": self.clicks.error or self.live.error,
            "points": [[point.x, point.y, point.foreground] for point in self.clicks.points],
            "save": self._save, "title": self.title,
            "width": width, "height": height, "levels": len(level_sizes((height, width))),
            "alpha": self.live.shown, "solved": -1 if solution is None else solution.revision,
            "notes": [] if solution is None else list(solution.notes),
            "seconds": dict(self.live.seconds), "saves": self._saving is not None,
        }  # fmt: skip

    def tile(self, layer: str, level: int, x: int, y: int) -> tuple[bytes, str]:
        """An encoded tile and its media type. Raises InputError where there is none."""
        if layer == "photo":
            return self._photo.encode(level, x, y), "image/jpeg"
        if layer == "strokes":
            with self.canvas.lock:
                return encode_strokes(self.canvas.trimap, level, x, y), "image/png"
        if layer == "alpha":
            return encode_alpha(self.live.tile(level, x, y)), "image/png"
        raise InputError(f"There is no layer {layer!r}.", "Reload the page.")

    def change(self, action: str, data: Any) -> bool:
        """Do what the page asks for: "stroke" with a stroke's data, "undo" or "redo"; whether anything changed.

        While points are searched with, "undo" gives that up.

        Raises:
            InputError: it asks for something else.
        """
        actions: dict[str, Callable[[], bool]] = {
            "stroke": lambda: self.canvas.paint(parse_stroke(data)), "redo": self.canvas.redo,
            "undo": lambda: self.clicks.cancel() or self.canvas.undo(),
        }  # fmt: skip
        if action not in actions:
            raise InputError(f"There is no action {action!r}.", "Reload the page.")
        self.clicks.error = ""
        changed = actions[action]()
        if changed:
            self.live.notify()
        return changed

    def click(self, data: Any) -> None:
        """Search for the subject with one more point, in the background; the mask comes below all strokes.

        Raises:
            InputError: it is no point of the picture, or contradicts another.
        """
        self.clicks.add(parse_point(data))

    def _find(self, points: Points) -> Trimap:
        return self._pipeline.find_points(self._picture, points)

    def show(self, page: str, data: Any) -> None:
        """Take note of what a page shows. Raises InputError where that is no view."""
        try:
            box, zoom = [round(float(v)) for v in data["box"]], float(data["zoom"])
            left, top, right, bottom = box
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError("This is no view of the picture.", "Reload the page.") from error
        self.live.show(page, View((left, top, right, bottom), zoom))

    def start_saving(self, replace: bool) -> None:
        """Begin to save, in the background; `state()["save"]` tells how it goes.

        Raises:
            InputError: there is nowhere to save to, or it is being saved already.
        """
        if self._saving is None:
            raise InputError("There is nothing to save here: the hints go back to the program.", "Press Done.")
        if self._saver is not None and self._saver.is_alive():
            raise InputError("It is being saved already.", "Wait until that is done.")
        existing = self._saving.existing()
        if existing and not replace:
            self._set_save({"state": "exists", "files": [str(path) for path in existing]})
            return
        revision, trimap = self.canvas.snapshot()
        self._set_save({"state": "saving"})
        self._saver = threading.Thread(target=self._run_save, args=(self._saving, trimap, revision, replace))
        self._saver.start()

    def _run_save(self, spec: SaveSpec, trimap: Trimap, revision: int, replace: bool) -> None:
        try:
            if not ((trimap == 0).any() or (trimap == 255).any()):
                raise InputError("Nothing is painted yet.", "Paint what to keep and what to remove first.")
            saved = save(spec, trimap, replace, self._pipeline.load)
            files = {name: str(path) for name, path in saved.files.items()}
            result = {"state": "saved", "files": files, "command": saved.command, "notes": saved.notes}
            self._set_save({**result, "revision": revision})
        except UhrmatError as error:
            self._set_save({"state": "failed", "error": str(error)})
        except Exception as error:
            self._set_save({"state": "failed", "error": f"{type(error).__name__}: {error}"})

    def _set_save(self, state: dict[str, Any]) -> None:
        self._save = state
        self.live.notify(alpha=False)

    def trimap(self) -> np.ndarray:
        """A copy of what is painted, (H, W) uint8 {0, 128, 255}."""
        return self.canvas.snapshot()[1]

    def close(self) -> None:
        """Stop computing. Work that is being saved is finished first."""
        if self._saver is not None:
            self._saver.join()
        self.clicks.close()
        self._pipeline.process.close()  # first, so that no solution is waited for
        self.live.close()
