"""A clip being painted: what the server hands out and what it takes in, without HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.media.coding import FOREGROUND, UNKNOWN
from uhrmat.painter.canvas import Canvas, Trimap
from uhrmat.painter.clicks import Clicks, parse_point
from uhrmat.painter.clips.ahead import MasksAhead
from uhrmat.painter.clips.finished import FinishedMatte
from uhrmat.painter.clips.frames import ClipFrames
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.painter.clips.request import ClipRequest, ResultForm
from uhrmat.painter.clips.runs import ClipRuns
from uhrmat.painter.live import LiveMatte, View
from uhrmat.painter.session import LazyPipeline
from uhrmat.painter.strokes import parse_stroke
from uhrmat.painter.tiles import crop_low_res, encode_alpha, encode_strokes, full_box, level_sizes, tile_box
from uhrmat.video.propagate import scaled_to_certain, trimap_of_tracked
from uhrmat.video.propagation.advice import best_hint_frame
from uhrmat.video.propagation.report import consecutive_runs, frames_in_state
from uhrmat.video.ranges import FrameRange


class _FrameMatte(LiveMatte):
    """The live matte of one frame, which says when it has changed."""

    def __init__(self, tell: Callable[[bool], None], *parts: Any) -> None:
        self._tell = tell
        super().__init__(*parts)

    def notify(self, alpha: bool = True) -> None:
        super().notify(alpha)
        self._tell(alpha)


class ClipSession:
    """A clip and its painted frames. One frame, the one looked at or painted on last, has a live matte.

    Args:
        frames: of the clip.
        keys: the painted frames; closed with the session.
        title: shown above the picture.
        pipeline: refines what is seen of a painted frame.
        model: networks, device and memory of the runs.
        folder: of the results; None: beside the clip.
        form: of the results.
        saves: whether the clip is matted from the page; else what is painted is only handed back (`uhrmat.paint`).
    """

    def __init__(
        self, frames: ClipFrames, keys: KeyFrames, *, title: str, pipeline: LazyPipeline, model: ModelOptions,
        folder: Path | None = None, form: ResultForm | None = None, saves: bool = True,
    ) -> None:  # fmt: skip
        self.title, self.frames, self.keys, self._pipeline = title, frames, keys, pipeline
        self._saves = saves
        self.finished = threading.Event()
        """Set when the user is done."""
        self._changed, self._version = threading.Condition(), 0
        keys.written = self.notify
        self.runs = ClipRuns(frames, keys, model, folder, self._run_changed, self._run_finished, form)
        self._result = FinishedMatte()
        self._figures = dict[int, dict[str, Any]]()
        self.ahead = MasksAhead(frames, keys, pipeline.process.solve, model.device, self._take_masks)
        self._tell_ahead()
        self._lock = threading.RLock()
        self._live: tuple[int, _FrameMatte] | None = None
        self._shown, self._views = dict[int, int](), dict[str, tuple[int, View]]()
        self._blank = np.broadcast_to(np.uint8(UNKNOWN), frames.size)
        self._clicks = dict[int, Clicks]()
        keys.in_use = self._searching

    # ------------------------------------------------------------------------------------------------------- for pages
    def wait(self, version: int, seconds: float) -> int:
        """Wait until `version` differs from the present one, at most `seconds`; returns the present one."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version or self.finished.is_set(), seconds)
            return self._version

    def notify(self) -> None:
        """Tell the pages that wait that something has changed."""
        with self._changed:
            self._version += 1
            self._changed.notify_all()

    def state(self, frame: int) -> dict[str, Any]:
        """What a page needs to know that shows a frame, as plain data. Raises InputError where there is none."""
        self.frames.check(frame)
        with self._changed:
            version = self._version  # first: what changes from here on has a later one
        with self._lock:
            live, clicks = self._live_of(frame), self._clicks.get(frame)
            undo, redo = self.keys.depth(frame)
            points = self.keys.points(frame) if clicks is None or not clicks.busy else clicks.points
        height, width = self.frames.size
        solution = None if live is None else live.solution
        return {
            "version": version, "frame": frame, "revision": self.keys.version(frame), "undo": undo, "redo": redo,
            "busy": "points" if self._searching(frame) else "" if live is None else live.busy,
            "error": (clicks.error if clicks else "") or ("" if live is None else live.error),
            "points": [[point.x, point.y, point.foreground] for point in points],
            "save": self.runs.state, "title": self.title, "width": width, "height": height,
            "levels": len(level_sizes((height, width))), "alpha": self._shown.get(frame, 0),
            "solved": -1 if solution is None else solution.revision,
            "notes": [] if solution is None else list(solution.notes), "saves": self._saves,
            "clip": self._clip_state(frame),
        }  # fmt: skip

    def _clip_state(self, frame: int) -> dict[str, Any]:
        """What a page needs to know of the clip as a whole."""
        keys = self.keys.indices()
        with self._changed:
            figures = [self._figures[index] for index in sorted(self._figures)]
        return {
            "count": self.frames.count, "number": self.frames.numbers[frame], "keys": keys,
            "folder": str(self.keys.folder), "problem": self.keys.error, "best": best_hint_frame(figures, keys),
            **{state: consecutive_runs(frames_in_state(figures, state)) for state in ("doubtful", "lost")},
            "finished": self._result.shown(self.keys.versions()),
            "confidence": self._figures.get(frame, {}).get("confidence"), "busy": self.ahead.busy,
            "ahead_error": self.ahead.error, "masked": consecutive_runs(sorted(self.ahead.figures())),
        }  # fmt: skip

    def _run_changed(self) -> None:
        self.ahead.hold(self.runs.running)
        self.notify()

    def _run_finished(
        self, request: ClipRequest, versions: Mapping[int, int], frames: Sequence[Mapping[str, Any]]
    ) -> None:
        """Take in what a run has written: its matte is shown until something is painted."""
        self._take_figures(frames)
        self._result.take(request, versions)
        self._note_shown(range(self.frames.count))

    def _tell_ahead(self) -> None:
        """Let masks be made where something is painted already."""
        if self.keys.indices():
            self.ahead.touch()

    def _take_masks(self, frames: Sequence[int]) -> None:
        """Take in new masks of the thread that propagates them."""
        figures = self.ahead.figures()
        with self._changed:
            for frame in frames:
                self._figures.pop(frame, None)
                if frame in figures:
                    self._figures[frame] = figures[frame]
        self._note_shown(frames)
        self.notify()

    def _take_figures(self, frames: Sequence[Mapping[str, Any]]) -> None:
        """Take in the figures of frames whose masks were propagated, see `video.propagation.report.frame_figures`."""
        with self._changed:
            self._figures |= {int(frame["number"]): dict(frame) for frame in frames}

    def tile(self, frame: int, layer: str, level: int, x: int, y: int) -> tuple[bytes, str]:
        """An encoded tile of a frame and its media type. Raises InputError where there is none."""
        self.frames.check(frame)
        if layer == "photo":
            return self.frames.tiles(frame).encode(level, x, y), "image/jpeg"
        if layer == "strokes":
            with self._lock:
                if frame not in self.keys.indices():
                    return encode_strokes(self._blank, level, x, y), "image/png"
                canvas = self.keys.canvas(frame)
            with canvas.lock:
                return encode_strokes(canvas.trimap, level, x, y), "image/png"
        if layer == "alpha":
            return encode_alpha(self._alpha_tile(frame, level, x, y)), "image/png"
        raise InputError(f"There is no layer {layer!r}.", "Reload the page.")

    def _alpha_tile(self, frame: int, level: int, x: int, y: int) -> np.ndarray:
        """The alpha of a tile as uint8: the finished matte, else the live one, else what was propagated.

        255 where nothing is known yet.
        """
        if self._result.shown(self.keys.versions()):
            finished = self._result.tile(frame, self.frames.size, level, x, y)
            if finished is not None:
                return finished
        with self._lock:
            live = self._live_of(frame)
        if live is not None:
            return live.tile(level, x, y)
        box = tile_box(self.frames.size, level, x, y)
        shape = box[3] - box[1], box[2] - box[0]
        mask = self._mask(frame)
        if mask is None:
            return np.full(shape, FOREGROUND, np.uint8)
        size, soft = self.frames.size, scaled_to_certain(mask.astype(np.float32) / 255)  # as a run goes on from it
        alpha = crop_low_res(soft, size, full_box(box, level, size), shape)
        return np.asarray(np.rint(alpha.clip(0, 1) * 255), np.uint8)

    def _mask(self, frame: int) -> np.ndarray | None:
        """The propagated mask of a frame, (h, w) uint8; None where there is none."""
        return self.ahead.mask(frame)

    def _adopt(self, frame: int, canvas: Canvas) -> bool:
        """Paint the propagated mask's trimap where nothing is painted. Raises InputError where there is no mask."""
        mask = self._mask(frame)
        if mask is None:
            raise InputError(
                f"No mask has been propagated to frame {frame} yet.", "Paint a frame nearby, and wait for its mask."
            )
        soft = cv2.resize(mask.astype(np.float32) / 255, self.frames.size[::-1], interpolation=cv2.INTER_CUBIC)
        trimap = trimap_of_tracked(scaled_to_certain(np.clip(soft, 0, 1)))
        with canvas.lock:
            return canvas.assign(np.where(canvas.trimap == UNKNOWN, trimap, canvas.trimap))

    def change(self, frame: int, action: str, data: Any) -> bool:
        """Do what the page asks for: "stroke" with a stroke's data, "undo", "redo", "clear", or "adopt" the propagated
        mask; whether anything changed. While points are searched with, "undo" gives that up.

        Raises:
            InputError: it asks for something else, or the frame cannot be painted on.
        """
        self.frames.check(frame)
        with self._lock:
            canvas, clicks = self.keys.canvas(frame), self._clicks.get(frame)
            if clicks is not None:
                clicks.error = ""
                if action == "undo" and clicks.cancel():
                    return True
            actions: dict[str, Callable[[], bool]] = {
                "stroke": lambda: canvas.paint(parse_stroke(data)), "undo": canvas.undo, "redo": canvas.redo,
                "clear": lambda: canvas.assign(np.asarray(self._blank)), "adopt": lambda: self._adopt(frame, canvas),
            }  # fmt: skip
            if action not in actions:
                raise InputError(f"There is no action {action!r}.", "Reload the page.")
            changed = actions[action]()
            if changed:
                self._note_painted(frame)
        if changed:
            self.ahead.touch()
            self.notify()
        return changed

    def _note_painted(self, frame: int) -> None:
        """Take note that a frame's canvas has changed."""
        if self._result.shown(self.keys.versions()):
            self._note_shown(range(self.frames.count))
        self.keys.touch(frame)
        live = self._open(frame)
        if live is not None:
            live.notify()
        self._note_shown([frame])

    def click(self, frame: int, data: Any) -> None:
        """Search for a frame's subject with one more point, in the background; the mask comes below what is painted.

        Raises:
            InputError: it is no point of the frame, or contradicts another.
        """
        point = parse_point(data)
        with self._lock:
            canvas = self.keys.canvas(self.frames.check(frame))
            clicks = self._clicks.get(frame)
            if clicks is None or clicks.canvas is not canvas:
                picture = self.frames.picture(frame)
                clicks = self._clicks[frame] = Clicks(
                    canvas, partial(self._pipeline.find_points, picture), partial(self._clicked, frame)
                )
        clicks.add(point)

    def _clicked(self, frame: int, changed: bool) -> None:
        """Take in what a search has led to."""
        if changed:
            with self._lock:
                self._note_painted(frame)
            self.ahead.touch()
        self.notify()

    def _searching(self, frame: int) -> bool:
        """Whether points of a frame are searched with."""
        return frame in self._clicks and self._clicks[frame].busy

    def show(self, page: str, frame: int, data: Any) -> None:
        """Take note of what a page shows. Raises InputError where that is no view."""
        try:
            box, zoom = [round(float(v)) for v in data["box"]], float(data["zoom"])
            left, top, right, bottom = box
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise InputError("This is no view of the picture.", "Reload the page.") from error
        view = View((left, top, right, bottom), zoom)
        with self._lock:
            self._views[page] = self.frames.check(frame), view
            self.ahead.look(frame)
            live = self._open(frame)
            if live is not None:
                live.show(page, view)

    def start_run(self, replace: bool = False, redo: FrameRange | None = None) -> None:
        """Begin to matte the clip, or a range of it; see `ClipRuns.start`.

        Raises:
            InputError: it cannot be matted now, or not from this page.
            OutputError: what is painted cannot be written.
        """
        if not self._saves:
            raise InputError("The clip is not matted here: the hints go back to the program.", "Press Done.")
        self.runs.start(replace, redo)

    def trimaps(self) -> dict[int, Trimap]:
        """Copies of what is painted, (H, W) uint8 {0, 128, 255}, by index of frame."""
        return {index: self.keys.trimap(index) for index in self.keys.indices()}

    def versions(self, frame: int) -> dict[str, int]:
        """Of what is painted on a frame, and of its alpha."""
        return {"revision": self.keys.version(frame), "alpha": self._shown.get(frame, 0)}

    # ------------------------------------------------------------------------------------------------------ live matte
    def _live_of(self, frame: int) -> _FrameMatte | None:
        return self._live[1] if self._live is not None and self._live[0] == frame else None

    def _open(self, frame: int) -> _FrameMatte | None:
        """The live matte of a painted frame, made where it is another one's; None for a frame that is not painted."""
        live = self._live_of(frame)
        if live is not None or frame not in self.keys.indices():
            return live
        if self._live is not None:
            threading.Thread(target=self._live[1].close, daemon=True).start()  # it may be at work for a while
        live = _FrameMatte(
            lambda alpha: self._tell(frame, alpha), self.frames.picture(frame), self.keys.canvas(frame),
            self._pipeline.process.solve, self._pipeline.load,
        )  # fmt: skip
        self._live = frame, live
        for page, (at, view) in self._views.items():
            if at == frame:
                live.show(page, view)
        return live

    def _tell(self, frame: int, alpha: bool) -> None:
        if alpha:
            self._note_shown([frame])
        self.notify()

    def _note_shown(self, frames: Iterable[int]) -> None:
        """Count a change of the alpha of some frames."""
        with self._changed:
            for frame in frames:
                self._shown[frame] = self._shown.get(frame, 0) + 1

    def close(self) -> None:
        """Stop computing, and write what is not written yet. Raises OutputError."""
        self.runs.cancel()
        for clicks in self._clicks.values():
            clicks.close()
        self._pipeline.process.close()  # first, so that no solution is waited for
        try:
            self.ahead.close()
            if self._live is not None:
                self._live[1].close()
        finally:
            self.keys.close()
