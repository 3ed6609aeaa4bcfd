"""What a mask was drawn as: a mask of the subject, filled rectangles around it, or thin strokes on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.hints.prompts import Box, Prompts
from uhrmat.hints.trimap import edge_fit
from uhrmat.media.distance import distance_to_edge
from uhrmat.media.picture import Picture
from uhrmat.media.resample import area_average, downsample_for_display

_MIDDLE = 0.5


@dataclass(frozen=True, kw_only=True)
class DrawnParams:
    """Parameters of the recognition of boxes and strokes in masks. Not tuned on pictures but for `fit`.

    Attributes:
        filled: share of a rectangle that must be marked; a mask of a screen or a book seen a little askew stays below.
        most: parts of a mask that are looked at; with more it is a mask.
        least_side: shorter rectangles are strokes or specks, as a share of the picture's short side.
        soft: share of a mask's marked pixels that may be neither black nor white.
        thick: half the width of the thickest stroke, as a share of the picture's short side.
        long: length of the longest stroke at least, in stroke widths.
        even: share of the middle line's pixels at which the stroke is at least 0.6 times as wide as where it is widest.
            Of a pen's strokes nearly all are; a thin subject tapers.
        covered: share of the picture that strokes cover at most.
        fit: strokes lie inside the subject: where more of their edge than this follows an edge of the picture, the mask
            is of a thin subject (`hints.trimap.EdgeFit.share`).
        side: short side of the copy on which strokes are measured, pixels.
    """

    filled: float = 0.998
    most: int = 12
    least_side: float = 0.03
    soft: float = 0.02
    thick: float = 0.02
    long: float = 4.0
    even: float = 0.7
    covered: float = 0.08
    fit: float = 0.6
    side: int = 720


DRAWN_DEFAULTS = DrawnParams()


@dataclass(frozen=True)
class Drawn:
    """Prompts that were drawn as a mask.

    Attributes:
        prompts: boxes or strokes, in pixels of the mask.
        note: for the user.
    """

    prompts: Prompts
    note: str


def recognise_prompts(
    mask: np.ndarray, picture: Picture | None = None, params: DrawnParams = DRAWN_DEFAULTS
) -> Drawn | None:
    """The boxes or strokes that a mask consists of; None for a mask of the subject.

    Args:
        mask: (H, W) float32 in [0, 1].
        picture: of the same size; without it strokes are not recognised.
        params: see there.
    """
    inside = mask > _MIDDLE
    if not inside.any() or inside.all():
        return None
    if float(((mask > 0.1) & (mask < 0.9)).sum()) > params.soft * float(inside.sum()) + 4:
        return None
    count, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8), connectivity=8)
    if count - 1 > params.most:
        return None
    boxes = _boxes(stats[1:], mask.shape, params)
    if boxes:
        which = " and ".join(map(str, boxes))
        note = f"the mask is a filled rectangle: it is taken as a box around the subject ({which})"
        return Drawn(Prompts(boxes=boxes), f"{note}; --radius takes it as a mask")
    if picture is None or not _is_strokes(inside, picture, params):
        return None
    note = "the mask consists of thin strokes: they are taken as marks on the subject; --radius takes them as a mask"
    return Drawn(Prompts(strokes=inside), note)


def _boxes(stats: np.ndarray, shape: tuple[int, ...], params: DrawnParams) -> tuple[Box, ...]:
    """The parts of a mask as boxes, if all of them are filled rectangles; else none."""
    least = params.least_side * min(shape)
    boxes = []
    for left, top, width, height, area in stats:
        whole = width * height
        if min(width, height) < least or whole - area > (1 - params.filled) * whole or whole >= shape[0] * shape[1]:
            return ()
        boxes.append(Box(float(left), float(top), float(left + width), float(top + height)))
    return tuple(boxes)


def _is_strokes(inside: np.ndarray, picture: Picture, params: DrawnParams) -> bool:
    """Whether a mask (H, W) consists of lines of even width that do not follow the picture's edges."""
    if inside.mean() > params.covered:
        return False
    scale = min(1.0, params.side / min(inside.shape))
    shape = max(1, round(inside.shape[0] * scale)), max(1, round(inside.shape[1] * scale))
    small = area_average(inside.astype(np.float32), shape)
    drawn = (small > _MIDDLE).astype(np.uint8)
    if not drawn.any():
        return False
    half = distance_to_edge(np.pad(drawn, 1))[1:-1, 1:-1]
    widest = float(half.max())
    if widest > params.thick * min(shape):
        return False
    ridge = (half >= cv2.dilate(half, np.ones((3, 3), np.uint8)) - 1e-3) & (drawn > 0)
    if float((half[ridge] >= 0.6 * widest).mean()) < params.even:
        return False
    longest = max(np.hypot(*stat[2:4]) for stat in cv2.connectedComponentsWithStats(drawn, connectivity=8)[2][1:])
    if longest < params.long * 2 * widest:
        return False
    return edge_fit(downsample_for_display(picture, shape), small).share <= params.fit
