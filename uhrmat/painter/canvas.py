"""The trimap that is painted, at the picture's size, with undo and redo without end."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN
from uhrmat.painter.strokes import Box, Stroke, covered, outlined

Trimap = npt.NDArray[np.uint8]
_VALUES = {"keep": FOREGROUND, "remove": BACKGROUND, "unknown": UNKNOWN}


@dataclass(frozen=True)
class _Change:
    """What a stroke changed: a box, and its pixels before and after, compressed."""

    box: Box
    before: bytes
    after: bytes


class Canvas:
    """A trimap and the strokes on it. All methods may be called from any thread.

    Args:
        start: (H, W) uint8 {0, 128, 255}, what is painted on; the eraser brings it back.
    """

    def __init__(self, start: Trimap) -> None:
        self._start, self.trimap = start, start.copy()
        self.revision = 0
        """Counts up with every change, undo and redo included."""
        self._done: list[_Change] = []
        self._undone: list[_Change] = []
        self._rows: list[tuple[int, int]] = []  # of each revision's change
        self.lock = threading.RLock()

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.trimap.shape[0], self.trimap.shape[1]

    @property
    def depth(self) -> tuple[int, int]:
        """How many strokes can be undone, and redone."""
        with self.lock:
            return len(self._done), len(self._undone)

    def paint(self, stroke: Stroke) -> bool:
        """Paint a stroke; False where it changes nothing, which is nothing to undo either."""
        if stroke.shape == "outline":
            return self._outline(stroke)
        box, mask = covered(stroke, self.size)
        with self.lock:
            part = self.trimap[box[1] : box[3], box[0] : box[2]]
            before = part.copy()
            value = _VALUES.get(stroke.tool)
            part[mask] = self._start[box[1] : box[3], box[0] : box[2]][mask] if value is None else value
            return self._note(box, before)

    def _outline(self, stroke: Stroke) -> bool:
        """Paint an outline. The first one to keep something removes what lies outside and is not painted yet."""
        box, line, inside = outlined(stroke, self.size)
        with self.lock:
            around = stroke.tool == "keep" and not (self.trimap == BACKGROUND).any()
            changed = (0, 0, self.size[1], self.size[0]) if around else box
            before = self.trimap[changed[1] : changed[3], changed[0] : changed[2]].copy()
            part = self.trimap[box[1] : box[3], box[0] : box[2]]
            value = _VALUES.get(stroke.tool)
            part[inside] = self._start[box[1] : box[3], box[0] : box[2]][inside] if value is None else value
            if around:
                within = np.zeros(self.size, bool)
                within[box[1] : box[3], box[0] : box[2]] = line | inside
                self.trimap[~within & (self.trimap == UNKNOWN)] = BACKGROUND
            part[line] = UNKNOWN
            return self._note(changed, before)

    def _note(self, box: Box, before: Trimap) -> bool:
        """Count a change of a box, which was `before`; False where it is the same."""
        part = self.trimap[box[1] : box[3], box[0] : box[2]]
        if not part.size or (part == before).all():
            return False
        self._done.append(_Change(box, _packed(before), _packed(part)))
        self._undone.clear()
        self._count(box)
        return True

    def assign(self, trimap: Trimap) -> bool:
        """Put a trimap in the place of what is painted, as one change; False where it is the same."""
        with self.lock:
            before = self.trimap.copy()
            self.trimap[:] = trimap
            return self._note((0, 0, self.size[1], self.size[0]), before)

    def undo(self) -> bool:
        """Take the last stroke back; False where there is none."""
        return self._move(self._done, self._undone, after=False)

    def redo(self) -> bool:
        """Paint the last stroke that was taken back; False where there is none."""
        return self._move(self._undone, self._done, after=True)

    def snapshot(self) -> tuple[int, Trimap]:
        """The revision and a copy of its trimap."""
        with self.lock:
            return self.revision, self.trimap.copy()

    def changed_rows(self, revision: int) -> tuple[int, int]:
        """First row, and the one after the last, of what has changed since a revision; all rows since one below 0."""
        with self.lock:
            if revision < 0:
                return 0, self.size[0]
            changed = self._rows[revision:]
            return (min(row[0] for row in changed), max(row[1] for row in changed)) if changed else (0, 0)

    def _count(self, box: Box) -> None:
        self.revision += 1
        self._rows.append((box[1], box[3]))

    def _move(self, source: list[_Change], target: list[_Change], *, after: bool) -> bool:
        with self.lock:
            if not source:
                return False
            change = source.pop()
            left, top, right, bottom = change.box
            stored = zlib.decompress(change.after if after else change.before)
            self.trimap[top:bottom, left:right] = np.frombuffer(stored, np.uint8).reshape(bottom - top, right - left)
            target.append(change)
            self._count(change.box)
            return True


def _packed(part: Trimap) -> bytes:
    return zlib.compress(np.ascontiguousarray(part).tobytes(), 1)
