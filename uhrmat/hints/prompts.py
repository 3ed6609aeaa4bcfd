"""Points, boxes and strokes that say where the subject is: prompts, as segmentation networks take them.

Loads no cv2.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError

_FORMS = {"point": (2, "x,y", "-x,y"), "box": (4, "x0,y0,x1,y1", "-x0,y0,x1,y1")}


@dataclass(frozen=True)
class Point:
    """A pixel of the subject, or of the background.

    Attributes:
        x: column in pixels from the left edge of the upright picture, 0 ≤ x < width.
        y: row in pixels from the top, 0 ≤ y < height.
        foreground: whether the subject is there; else background.
    """

    x: float
    y: float
    foreground: bool = True

    def __str__(self) -> str:
        return f"{'' if self.foreground else '-'}{self.x:g},{self.y:g}"


@dataclass(frozen=True)
class Box:
    """A box around the subject, or one that holds nothing but background.

    Attributes:
        x0: left edge in pixels, inside.
        y0: upper edge, inside.
        x1: right edge, outside: at most the picture's width.
        y1: lower edge, outside.
        foreground: whether the subject is in it; else all of it is background.
    """

    x0: float
    y0: float
    x1: float
    y1: float
    foreground: bool = True

    def __str__(self) -> str:
        return f"{'' if self.foreground else '-'}{self.x0:g},{self.y0:g},{self.x1:g},{self.y1:g}"

    def holds(self, x: float, y: float) -> bool:
        """Whether a pixel lies in the box."""
        return self.x0 <= x < self.x1 and self.y0 <= y < self.y1


@dataclass(frozen=True, eq=False)
class Prompts:
    """What marks the subject of one picture without being a mask of it.

    Attributes:
        points: pixels of the subject and of the background.
        boxes: the subject lies in those of the foreground, and not in those of the background.
        strokes: (H, W) bool, pixels of the subject, or None.
    """

    points: tuple[Point, ...] = ()
    boxes: tuple[Box, ...] = ()
    strokes: npt.NDArray[np.bool_] | None = None

    def check(self, height: int, width: int) -> None:
        """Check the prompts against a picture's size and against each other.

        Args:
            height: of the upright picture, pixels.
            width: of the picture, pixels.

        Raises:
            InputError: one lies outside the picture, a box holds no pixel, or two contradict each other.
        """
        for point in self.points:
            if not (0 <= point.x < width and 0 <= point.y < height):
                raise InputError(
                    f"The point {point} lies outside the picture, which is {width}x{height}.",
                    "Give pixels of the upright picture, counted from its upper left corner.",
                )
        for box in self.boxes:
            if box.x1 - box.x0 < 1 or box.y1 - box.y0 < 1:
                raise InputError(f"The box {box} holds no pixel.", "Give x0,y0,x1,y1 with x0 below x1 and y0 below y1.")
            if not (box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height):
                raise InputError(
                    f"The box {box} reaches outside the picture, which is {width}x{height}.",
                    "Give pixels of the upright picture, counted from its upper left corner.",
                )
        self._check_contradictions()

    def _check_contradictions(self) -> None:
        inside = [box for box in self.boxes if box.foreground]
        outside = [box for box in self.boxes if not box.foreground]
        background = {(int(p.x), int(p.y)) for p in self.points if not p.foreground}
        for point in (p for p in self.points if p.foreground):
            if (int(point.x), int(point.y)) in background:
                raise InputError(
                    f"The pixel {point} is given as subject and as background.", "Leave out one of the two points."
                )
            if inside and not any(box.holds(point.x, point.y) for box in inside):
                raise InputError(
                    f"The point {point} lies outside the box {inside[0]}, in which the subject is.",
                    "Give a larger box, or one more.",
                )
            if (box := next((box for box in outside if box.holds(point.x, point.y)), None)) is not None:
                raise InputError(f"The point {point} lies in the background box {box}.", "Leave out one of the two.")

    @property
    def has_subject(self) -> bool:
        """Whether anything in them marks the subject, not the background alone."""
        return (
            self.strokes is not None
            or any(point.foreground for point in self.points)
            or any(box.foreground for box in self.boxes)
        )

    def scaled(self, size: tuple[int, int], shape: tuple[int, int]) -> Prompts:
        """The same for a copy of the picture.

        Args:
            size: (H, W) of the picture.
            shape: (h, w) of the copy.
        """
        down, across = shape[0] / size[0], shape[1] / size[1]
        last = shape[1] - 1e-3, shape[0] - 1e-3
        points = tuple(
            replace(p, x=min((p.x + 0.5) * across, last[0]), y=min((p.y + 0.5) * down, last[1])) for p in self.points
        )
        boxes = tuple(
            replace(b, x0=b.x0 * across, y0=b.y0 * down, x1=b.x1 * across, y1=b.y1 * down) for b in self.boxes
        )
        strokes = self.strokes
        if strokes is not None and strokes.shape != shape:
            rows, columns = np.nonzero(strokes)
            small = np.zeros(shape, np.bool_)
            small[(rows * down).astype(np.intp), (columns * across).astype(np.intp)] = True
            strokes = small
        return Prompts(points, boxes, strokes)

    def moved(self, down: int, right: int, shape: tuple[int, int]) -> Prompts:
        """The same in a larger picture of `shape` (H, W), in which this one's corner lies at (down, right)."""
        points = tuple(replace(p, x=p.x + right, y=p.y + down) for p in self.points)
        boxes = tuple(replace(b, x0=b.x0 + right, y0=b.y0 + down, x1=b.x1 + right, y1=b.y1 + down) for b in self.boxes)
        strokes = self.strokes
        if strokes is not None:
            larger = np.zeros(shape, np.bool_)
            larger[down : down + strokes.shape[0], right : right + strokes.shape[1]] = strokes
            strokes = larger
        return Prompts(points, boxes, strokes)


def parse_prompts(points: Iterable[Any] = (), boxes: Iterable[Any] = ()) -> Prompts | None:
    """Prompts from texts or numbers; None where there are none.

    Args:
        points: each "x,y", or "-x,y" for background; or a `Point`; or numbers (x, y[, foreground]).
        boxes: each "x0,y0,x1,y1", or "-x0,y0,x1,y1"; or a `Box`; or numbers (x0, y0, x1, y1[, foreground]).

    Raises:
        InputError: for anything else.
    """
    made = tuple(_parse("point", one) for one in _listed(points)), tuple(_parse("box", one) for one in _listed(boxes))
    return Prompts(*made) if any(made) else None


def _listed(given: Iterable[Any]) -> list[Any]:
    """What was given as a list; a single text, point or box counts as one."""
    if isinstance(given, (str, Point, Box)):
        return [given]
    values = list(given)
    return [values] if values and all(isinstance(value, (int, float)) for value in values) else values


def _parse(kind: str, value: Any) -> Any:
    of: type = Point if kind == "point" else Box
    if isinstance(value, of):
        return value
    count, form, negative = _FORMS[kind]
    fault = InputError(f"{value!r} is no {kind}.", f"Give pixels as {form}, or as {negative} for background.")
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(-?)\s*([\d.]+(?:\s*,\s*[\d.]+)*)\s*", value)
        if match is None:
            raise fault
        numbers: Sequence[Any] = match[2].split(",")
        foreground = not match[1]
    else:
        try:
            numbers = list(value)
        except TypeError:
            raise fault from None
        foreground = True
        if len(numbers) == count + 1:
            foreground = bool(numbers.pop())
    try:
        coordinates = [float(number) for number in numbers]
    except (TypeError, ValueError):
        raise fault from None
    if len(coordinates) != count or not all(math.isfinite(number) for number in coordinates):
        raise fault
    return of(*coordinates, foreground)
