"""The painted frames of a clip: a canvas each, kept as trimaps in files that carry the frame's number."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError, OutputError, UhrmatError
from uhrmat.core.lock import hold_lock
from uhrmat.hints.files import read_trimap
from uhrmat.media import check_writable, read_info, write_alpha
from uhrmat.media.coding import UNKNOWN
from uhrmat.media.video.names import number_files
from uhrmat.painter.canvas import Canvas, Trimap
from uhrmat.painter.clicks import Points

_SUFFIX = ".png"
_KEPT = 8
"""Canvases that are kept with what can be undone; others are read again from their files."""
_QUIET = 0.4
"""Seconds after a change until it is written: strokes that follow one another are written together."""


class KeyFrames:
    """What is painted on the frames of a clip. All methods may be called from any thread. Close it at the end.

    Every change is written within a moment, so that nothing is lost when the program ends in whatever way. Within the
    folder no other program may paint at the same time.

    Args:
        folder: of the trimaps; it is made with the first of them.
        numbers: of the clip's frames in file names.
        size: (H, W) of the frames.

    Raises:
        InputError: a file in the folder is of another size.
        OutputError: nothing can be written there, or another program paints there.
    """

    def __init__(self, folder: Path, numbers: Sequence[int], size: tuple[int, int]) -> None:
        self.folder, self._numbers, self._size = folder, numbers, size
        self.written: Callable[[], None] = lambda: None
        """Called from a thread of its own when something was written, or could not be."""
        self.in_use: Callable[[int], bool] = lambda index: False
        """Whether something goes on with a frame's canvas, which is kept meanwhile."""
        self.error = ""
        """Why the last change could not be written; empty where it was."""
        self._lock = threading.RLock()
        self._canvases, self._dirty = dict[int, Canvas](), set[int]()
        self._versions = dict[int, int]()
        self._wake, self._closed = threading.Event(), False
        check_writable(folder)
        with ExitStack() as stack:
            stack.enter_context(hold_lock(folder.with_name(f".{folder.name}.lock"), folder))
            self._known = self._find()
            self._stack = stack.pop_all()
        self._writer = threading.Thread(target=self._write_all, name="key frames", daemon=True)
        self._writer.start()

    def _find(self) -> set[int]:
        """Indices of the frames that have a file. Raises InputError."""
        if not self.folder.is_dir():
            return set()
        index = {number: at for at, number in enumerate(self._numbers)}
        paths = [p for p in sorted(self.folder.iterdir()) if p.suffix == _SUFFIX and not p.name.startswith(".")]
        there = {index[file.number]: file.path for file in number_files(paths) if file.number in index}
        for path in there.values():
            info = read_info(path)
            if (info.height, info.width) != self._size:
                raise InputError(
                    f"The key frame {path} is {info.width} × {info.height}, the clip's frames are "
                    f"{self._size[1]} × {self._size[0]}.",
                    "Move that folder away, or save to another one with -o.",
                )
        return {at for at in there if there[at] == self.file(at)}

    def file(self, index: int) -> Path:
        """The file of a frame's trimap."""
        return self.folder / f"{self._numbers[index]:04d}{_SUFFIX}"

    def indices(self) -> list[int]:
        """The painted frames, in order."""
        with self._lock:
            return sorted(self._known)

    def version(self, index: int) -> int:
        """Counts up with every change of a frame's trimap; 0 where it is as it was at the beginning."""
        return self._versions.get(index, 0)

    def versions(self) -> dict[int, int]:
        """The version of every painted frame."""
        with self._lock:
            return {index: self.version(index) for index in sorted(self._known)}

    def canvas(self, index: int) -> Canvas:
        """The canvas of a frame, blank where nothing is painted. Raises InputError where its file cannot be read."""
        with self._lock:
            canvas = self._canvases.pop(index, None)
            if canvas is None:
                painted = read_trimap(self.file(index), self._size) if index in self._known else None
                canvas = Canvas(np.full(self._size, UNKNOWN, np.uint8), painted)
            self._canvases[index] = canvas
            for other in list(self._canvases)[:-_KEPT]:
                if other not in self._dirty and not self.in_use(other):
                    self._canvases.pop(other)
            return canvas

    def depth(self, index: int) -> tuple[int, int]:
        """How many changes of a frame can be undone and redone, whether anything is painted on it now or not."""
        with self._lock:
            canvas = self._canvases.get(index)
        return (0, 0) if canvas is None else canvas.depth

    def points(self, index: int) -> Points:
        """The points that the mask below a frame's strokes was made from; none where it was made in another session."""
        with self._lock:
            canvas = self._canvases.get(index)
        return () if canvas is None else canvas.points

    def trimap(self, index: int) -> Trimap:
        """A copy of a frame's trimap, (H, W) uint8 {0, 128, 255}. Raises InputError where it cannot be read."""
        return self.canvas(index).snapshot()[1]

    def touch(self, index: int) -> None:
        """Take note that a frame's canvas has changed; it is written soon."""
        with self._lock:
            painted = bool((self.canvas(index).trimap != UNKNOWN).any())
            (self._known.add if painted else self._known.discard)(index)
            self._versions[index] = self.version(index) + 1
            self._dirty.add(index)
        self._wake.set()

    def flush(self) -> None:
        """Write what is not written yet. Raises OutputError."""
        with self._lock:
            for index in sorted(self._dirty):
                self._write(index)
                self._dirty.discard(index)
            self.error = ""

    def _write(self, index: int) -> None:
        path = self.file(index)
        try:
            if index not in self._known:
                path.unlink(missing_ok=True)
                return
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot write '{path}': {error.strerror or error}.", "Free the disk.") from error
        write_alpha(path, self.trimap(index).astype(np.float32) / np.float32(255), "png")

    def _write_all(self) -> None:
        while not self._closed:
            self._wake.wait()
            if self._closed:
                return
            self._wake.clear()
            if self._wake.wait(_QUIET):  # more strokes come
                continue
            try:
                self.flush()
            except UhrmatError as error:
                self.error = str(error)
            self.written()

    def close(self) -> None:
        """Write what is not written yet, and let others paint. Raises OutputError."""
        self._closed = True
        self._wake.set()
        self._writer.join()
        with self._stack:
            self.flush()
