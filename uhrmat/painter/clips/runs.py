"""Matting the painted clip from the page: one run at a time, in a process of its own, with progress and an end."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from uhrmat.core.children import command, environment
from uhrmat.core.errors import InputError
from uhrmat.core.options import ModelOptions
from uhrmat.painter.clips.frames import ClipFrames
from uhrmat.painter.clips.keys import KeyFrames
from uhrmat.painter.clips.request import ClipRequest, ResultForm
from uhrmat.video.ranges import FrameRange, check_ranges
from uhrmat.video.targets import choose_targets

_PATIENCE = 20.0
"""Seconds that a run may take to stop before its process is ended."""
Figures = Sequence[Mapping[str, Any]]


class ClipRuns:
    """Runs of `uhrmat video` on the clip that is painted. All methods may be called from any thread.

    Args:
        frames: of the clip.
        keys: the painted frames.
        model: networks, device and memory.
        folder: of the results; None: beside the clip.
        notify: called from any thread when `state` has changed.
        finished: called with the request of a run that has ended, the versions of the painted frames when it began, and
            the figures of the frames that it has matted.
        form: of the results.
    """

    def __init__(
        self, frames: ClipFrames, keys: KeyFrames, model: ModelOptions, folder: Path | None,
        notify: Callable[[], None], finished: Callable[[ClipRequest, Mapping[int, int], Figures], None],
        form: ResultForm | None = None,
    ) -> None:  # fmt: skip
        self._frames, self._keys, self._model, self._folder = frames, keys, model, folder
        self._form = form or ResultForm()
        self._notify, self._finished, self._lock = notify, finished, threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self.state: dict[str, Any] = {"state": "none"}
        """"state": "none", "exists", "saving", "saved", "failed" or "cancelled"; with "done" and "total" frames of a
        run, and with the "files", "notes" and "command" of one that has ended."""

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return bool(self.state["state"] == "saving")

    def start(self, replace: bool = False, redo: FrameRange | None = None) -> None:
        """Begin a run with what is painted now.

        Args:
            replace: whether results that are there are replaced. Else `state` says so, and nothing is begun.
            redo: the frames that are matted again inside the results; None: all frames are matted.

        Raises:
            InputError: nothing is painted, the range leaves the clip, or a run goes on already.
            OutputError: what is painted cannot be written.
        """
        with self._lock:
            if self.running:
                raise InputError("The clip is being matted already.", "Wait until that is done, or cancel it.")
            if not self._keys.indices():
                raise InputError("No frame is painted yet.", "Paint what to keep and what to remove on one first.")
            if redo is not None:
                if redo[1] < redo[0]:
                    raise InputError(f"The range {redo[0]} to {redo[1]} ends before it begins.", "Exchange the two.")
                check_ranges((redo,), 0, self._frames.count)
            versions = self._keys.versions()
            self._keys.flush()
            request = ClipRequest(
                source=self._frames.source, keys=self._keys.folder, folder=self._folder, model=self._model,
                redo=redo, replace=replace, form=self._form,
            )  # fmt: skip
            there = [] if replace or redo is not None else self._existing(request)
            if there:
                self._set({"state": "exists", "files": [str(path) for path in there]})
                return
            self._launch(request, versions)

    def _existing(self, request: ClipRequest) -> list[Path]:
        """Results that a run would replace; what is painted, and its lock, may lie beside stills and is none."""
        _, targets = choose_targets(request.spec, self._frames.info)
        paths = [target.path for target in targets]
        own = self._keys.folder.name

        def holds_results(folder: Path) -> bool:
            return any(not path.name.removeprefix(".").startswith(own) for path in folder.iterdir())

        return [path for path in paths if (holds_results(path) if path.is_dir() else path.exists())]

    def _launch(self, request: ClipRequest, versions: Mapping[int, int]) -> None:
        process = subprocess.Popen(
            command("uhrmat.painter.clips.worker"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            encoding="utf-8", env=environment(), start_new_session=True,
        )  # fmt: skip
        assert process.stdin is not None
        process.stdin.write(request.encode() + "\n")
        process.stdin.flush()
        self._process = process
        self._set({"state": "saving", "done": 0, "total": 0})
        self._reader = threading.Thread(target=self._follow, args=(process, request, versions), daemon=True)
        self._reader.start()

    def _follow(self, process: subprocess.Popen[str], request: ClipRequest, versions: Mapping[int, int]) -> None:
        """Take in a run's events until its process ends."""
        assert process.stdout is not None
        last: dict[str, Any] = {}
        for line in process.stdout:
            last = json.loads(line)
            if last["event"] == "progress":
                self._set({"state": "saving", "done": last["done"], "total": last["total"]})
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        kind = last.get("event")
        if kind == "done":
            self._finished(request, versions, last["frames"])
            result = {"state": "saved", "files": last["files"], "notes": last["notes"], "command": request.command}
            self._set(result if request.redo is None else {**result, "redo": list(request.redo)})
        elif kind == "cancelled":
            self._set({"state": "cancelled"})
        else:
            ended = f"The process that mattes the clip ended early (exit code {code}). Is the memory exhausted?"
            self._set({"state": "failed", "error": last["error"] if kind == "failed" else ended})

    def cancel(self) -> None:
        """Stop the run that goes on, if any; what it has done is kept, and the next run goes on from there."""
        process, reader = self._process, self._reader
        if process is None or reader is None:
            return
        with suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        reader.join(_PATIENCE)
        if process.poll() is None:
            process.kill()
            reader.join()

    def _set(self, state: dict[str, Any]) -> None:
        self.state = state
        self._notify()
