"""The trimap that is painted, strokes over a mask from points, with undo and redo without end."""

from __future__ import annotations

import threading
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uhrmat.hints.prompts import Point
from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN
from uhrmat.painter.strokes import Box, Stroke, covered, outlined

Trimap = npt.NDArray[np.uint8]
_VALUES = {"keep": FOREGROUND, "remove": BACKGROUND, "unknown": UNKNOWN}


@dataclass(frozen=True)
class _Change:
    """What a stroke, or a mask from points, changed.

    Attributes:
        box: where.
        before, after: its pixels, compressed.
        stroke: what was painted; None for a mask from points, and for a trimap from elsewhere.
        around: whether the stroke, an outline, removed what lies outside of it.
        start: the mask from points, compressed: what is painted on from here on.
        points: those that it was made from.
        assigned: whether it is a trimap from elsewhere, which takes the place of all that was there.
    """

    box: Box
    before: bytes
    after: bytes
    stroke: Stroke | None = None
    around: bool = False
    start: bytes = b""
    points: tuple[Point, ...] = ()
    assigned: bool = False


class Canvas:
    """A trimap and the strokes on it. All methods may be called from any thread.

    Args:
        start: (H, W) uint8 {0, 128, 255}, what is painted on; the eraser brings it back.
        painted: what was painted on it in an earlier session, unknown where nothing was; None: nothing was.
    """

    def __init__(self, start: Trimap, painted: Trimap | None = None) -> None:
        self._first, self._start = start, start
        self._painted = b"" if painted is None else _packed(painted)
        self.trimap = start.copy() if painted is None else _over(start, painted)
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

    @property
    def points(self) -> tuple[Point, ...]:
        """The points that the mask below the strokes was made from, in the order of their clicks."""
        with self.lock:
            mask = self._mask_below()
            return () if mask is None else mask.points

    def _mask_below(self) -> _Change | None:
        """The mask from points that is painted on; None where there is none, or all of it was replaced."""
        last = next((change for change in reversed(self._done) if change.start or change.assigned), None)
        return None if last is None or last.assigned else last

    def paint(self, stroke: Stroke) -> bool:
        """Paint a stroke; False where it changes nothing, which is nothing to undo either.

        The first outline to keep something, or to leave it unknown, removes what lies outside and is not painted yet.
        """
        with self.lock:
            around = stroke.shape == "outline" and stroke.tool in ("keep", "unknown")
            around = around and not (self.trimap == BACKGROUND).any()
            box, before = self._apply(stroke, around)
            if not before.size or (self._part(box) == before).all():
                return False
            self._note(_Change(box, _packed(before), _packed(self._part(box)), stroke, around))
            return True

    def paint_over(self, start: Trimap, points: tuple[Point, ...]) -> None:
        """Put a mask below all that is painted, in place of what it was painted on.

        Strokes are painted again over it, on what was painted in an earlier session, or on a trimap that was assigned.

        Args:
            start: (H, W) uint8 {0, 128, 255}; the eraser brings it back from now on.
            points: what it was made from.
        """
        with self.lock:
            before, self._start = self.trimap.copy(), start
            at = max((at for at, change in enumerate(self._done) if change.assigned), default=-1)
            below = self._painted if at < 0 else self._done[at].after
            self.trimap[:] = _over(start, _unpacked(below, self.size)) if below else start
            for change in self._done[at + 1 :]:
                if change.stroke is not None:
                    self._apply(change.stroke, change.around)
            box = (0, 0, self.size[1], self.size[0])
            self._note(_Change(box, _packed(before), _packed(self.trimap), start=_packed(start), points=points))

    def _apply(self, stroke: Stroke, around: bool) -> tuple[Box, Trimap]:
        """Change the pixels of a stroke; the box of what may have changed, and its pixels before."""
        if stroke.shape == "outline":
            box, line, mask = outlined(stroke, self.size)
        else:
            box, mask = covered(stroke, self.size)
        changed = (0, 0, self.size[1], self.size[0]) if around else box
        before, part, value = self._part(changed).copy(), self._part(box), _VALUES.get(stroke.tool)
        part[mask] = self._start[box[1] : box[3], box[0] : box[2]][mask] if value is None else value
        if stroke.shape == "outline":
            if around:
                within = np.zeros(self.size, bool)
                within[box[1] : box[3], box[0] : box[2]] = line | mask
                self.trimap[~within & (self.trimap == UNKNOWN)] = BACKGROUND
            part[line] = UNKNOWN
        return changed, before

    def _part(self, box: Box) -> Trimap:
        return self.trimap[box[1] : box[3], box[0] : box[2]]

    def _note(self, change: _Change) -> None:
        self._done.append(change)
        self._undone.clear()
        self._count(change.box)

    def assign(self, trimap: Trimap) -> bool:
        """Put a trimap in the place of what is painted, as one change; False where it is the same."""
        with self.lock:
            before = self.trimap.copy()
            if (before == trimap).all():
                return False
            self.trimap[:], self._start = trimap, self._first
            box = (0, 0, self.size[1], self.size[0])
            self._note(_Change(box, _packed(before), _packed(self.trimap), assigned=True))
            return True

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
            stored = change.after if after else change.before
            self.trimap[top:bottom, left:right] = _unpacked(stored, (bottom - top, right - left))
            target.append(change)
            if change.start or change.assigned:
                mask = self._mask_below()
                self._start = self._first if mask is None else _unpacked(mask.start, self.size)
            self._count(change.box)
            return True


def _over(start: Trimap, painted: Trimap) -> Trimap:
    """`painted`, and `start` where nothing is painted."""
    return np.where(painted == UNKNOWN, start, painted)


def _packed(part: Trimap) -> bytes:
    return zlib.compress(np.ascontiguousarray(part).tobytes(), 1)


def _unpacked(data: bytes, size: tuple[int, int]) -> Trimap:
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(size)
