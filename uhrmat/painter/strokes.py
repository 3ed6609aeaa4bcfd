"""Strokes, and the pixels that they cover: exact, so that what is saved is what was painted.

A pixel belongs to a brush stroke where its centre lies within the brush's radius of the line through the stroke's
points, and to a filled outline where its centre lies inside by the even-odd rule. An outline drawn with the brush is
both: the closed line of the brush becomes unknown, what it encloses is of the tool's side. Pixel (x, y) has its centre
at (x + 0.5, y + 0.5).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError

Mask = npt.NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom are not included."""
TOOLS = ("keep", "remove", "unknown", "eraser")
"""What a stroke makes of its pixels: foreground, background, unknown, or what they were at the start."""
SHAPES = ("brush", "fill", "outline")
_MOST_POINTS = 100_000
_MOST_PIXELS = 1 << 24
"""Pixels of a box whose distances are computed at once."""


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """One stroke.

    Attributes:
        tool: one of `TOOLS`.
        shape: one of `SHAPES`: a line of the brush, the inside of an outline, or a closed line of the brush
            and what it encloses.
        points: (n, 2) float64 (x, y) in pixels of the picture, at least one; of a fill or an outline at least three.
        radius: of the brush, pixels.
    """

    tool: str
    shape: str
    points: npt.NDArray[np.float64]
    radius: float = 1.0


def parse_stroke(data: Any) -> Stroke:
    """A stroke from the page's JSON.

    Raises:
        InputError: it is none.
    """
    cure = "Reload the page."
    if not isinstance(data, dict) or data.get("tool") not in TOOLS or data.get("shape") not in SHAPES:
        raise InputError("This is no stroke: its tool or its shape is unknown.", cure)
    try:
        points, radius = np.array(data["points"], np.float64), float(data.get("radius", 1))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError("This is no stroke: its points are no numbers.", cure) from error
    least = 1 if data["shape"] == "brush" else 3
    if points.ndim != 2 or points.shape[1] != 2 or not least <= len(points) <= _MOST_POINTS:
        raise InputError(f"This is no stroke: its points have the shape {points.shape}.", cure)
    if not (np.isfinite(points).all() and math.isfinite(radius) and radius > 0):
        raise InputError("This is no stroke: its points or its radius are not finite.", cure)
    return Stroke(tool=data["tool"], shape=data["shape"], points=points, radius=radius)


def covered(stroke: Stroke, size: tuple[int, int]) -> tuple[Box, Mask]:
    """The pixels that a stroke covers.

    Args:
        stroke: the stroke.
        size: (H, W) of the picture.

    Returns:
        A box within the picture, and (bottom - top, right - left) bool. An empty box where nothing is covered.
    """
    reach = stroke.radius if stroke.shape == "brush" else 0.0
    low, high = np.floor(stroke.points.min(0) - reach), np.ceil(stroke.points.max(0) + reach)
    left, top = (int(v) for v in np.clip(low, 0, size[::-1]))
    right, bottom = (int(v) for v in np.clip(high, 0, size[::-1]))
    box = left, top, max(left, right), max(top, bottom)
    if stroke.shape == "fill":
        return box, _inside(stroke.points, box)
    mask = np.zeros((box[3] - top, box[2] - left), bool)
    points = stroke.points if len(stroke.points) > 1 else np.repeat(stroke.points, 2, axis=0)
    for start, end in pairwise(points):
        _add_segment(mask, box, start, end, stroke.radius)
    return box, mask


def outlined(stroke: Stroke, size: tuple[int, int]) -> tuple[Box, Mask, Mask]:
    """The pixels of an outline's closed line and those that it encloses.

    Args:
        stroke: of the shape "outline".
        size: (H, W) of the picture.

    Returns:
        A box within the picture, and twice (bottom - top, right - left) bool; no pixel is in both.
    """
    closed = replace(stroke, shape="brush", points=np.concatenate([stroke.points, stroke.points[:1]]))
    box, line = covered(closed, size)
    return box, line, _inside(stroke.points, box) & ~line


def _add_segment(
    mask: Mask, box: Box, start: npt.NDArray[np.float64], end: npt.NDArray[np.float64], radius: float
) -> None:
    """Set the pixels within `radius` of a segment."""
    first = np.floor(np.minimum(start, end) - radius).astype(int)
    last = np.ceil(np.maximum(start, end) + radius).astype(int)
    left, right = (int(np.clip(x, box[0], box[2])) for x in (first[0], last[0]))
    top, bottom = (int(np.clip(y, box[1], box[3])) for y in (first[1], last[1]))
    along = end - start
    length = float(along @ along)
    rows = max(1, _MOST_PIXELS // max(1, right - left))
    for y0 in range(top, bottom, rows):
        y1 = min(bottom, y0 + rows)
        x, y = np.arange(left, right) + 0.5 - start[0], (np.arange(y0, y1) + 0.5 - start[1])[:, None]
        share = np.clip((x * along[0] + y * along[1]) / length, 0, 1) if length else 0.0
        near = (x - share * along[0]) ** 2 + (y - share * along[1]) ** 2 <= radius * radius
        mask[y0 - box[1] : y1 - box[1], left - box[0] : right - box[0]] |= near


def _inside(points: npt.NDArray[np.float64], box: Box) -> Mask:
    """Pixels of a box whose centres are inside an outline (even-odd): each edge flips what lies to its right."""
    left, top, right, bottom = box
    flips = np.zeros((bottom - top, right - left + 1), bool)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        rows = np.arange(max(top, math.ceil(low - 0.5)), min(bottom, math.ceil(high - 0.5)))
        crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        columns = np.clip(np.ceil(crossing - 0.5), left, right).astype(int) - left
        flips[rows - top, columns] ^= True  # one column a row: no index twice
    return np.logical_xor.accumulate(flips[:, :-1], axis=1)
