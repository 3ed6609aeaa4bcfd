"""Background matting from a clean plate: what differs from the plate is foreground, by as much as it differs.

The plate is registered first (`register_plate`). What differs less than noise, misplacement and compression explain is
background; what differs clearly is foreground; between them a closed form decides (Levin et al., see `affinity`), and
the plate's own word is weighed in: with B known and F carried over from beside, alpha is the place of a pixel on the
line between the two (Qian, Sezan, ICIP 1999, for the idea of differences as alpha).
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.clean_plate.register import register_plate
from uhrmat.prior.closed_form.affinity import Solver, solve
from uhrmat.prior.pull_push import pull_push

BACK, FRONT = 3.0, 9.0
"""Differences in units of what noise explains, below which a pixel is background, above which it is foreground."""
MISPLACED = 0.35
"""Pixels by which the plate may still be off after registration."""
AWAY = 0.06
"""Distance from the line between foreground and background colour at which its word counts half."""
_SPECK, _BAND, _DEEP = 0.01, 0.012, 0.05
_LINE = 0.003
_LEFT, _FLOOR = 0.28, 6 / 255
"""What a blur of one pixel leaves of white noise; the least noise reckoned with: compression, flicker."""


class PlatePrior:
    """A clean plate as a prior. solver: what solves the closed form in the unsure region."""

    name = "plate"
    working_size: int | None = None

    def __init__(self, solver: Solver | None = None) -> None:
        self._solve: Solver = solver or solve

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.plate is None:
            raise InputError("The prior plate needs a clean plate.", "Give --plate: the scene without its subject.")
        plate, notes = register_plate(small, hints.plate)
        trimap = difference_trimap(small, plate)
        if hints.trimap is not None:
            trimap = np.where(hints.trimap == 128, trimap, hints.trimap)
        if not (trimap == 128).any():
            return PriorResult((trimap == 255).astype(np.float32), self.name, notes)
        alpha, more = known_background_alpha(small, plate, trimap, self._solve)
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, [*notes, *more])


def difference_trimap(picture: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """(h, w) uint8 {0, 128, 255} from what differs between two registered pictures (h, w, 3) in [0, 1]."""
    off = cv2.GaussianBlur(picture - plate, (0, 0), 1.0)
    slope = sum(np.abs(cv2.Sobel(plate, cv2.CV_32F, *axis, ksize=3, scale=1 / 8)) for axis in ((1, 0), (0, 1)))
    noise = _LEFT * max(_noise(picture - plate), _FLOOR)
    ratio = np.abs(off / np.sqrt(noise**2 + np.square(MISPLACED * slope))).max(-1)
    side = min(ratio.shape)
    back, front = _despeckled(ratio < BACK, side), _despeckled(ratio > FRONT, side)
    trimap = np.full(ratio.shape, 128, np.uint8)
    radius = max(2, round(_BAND * side))
    trimap[_inner(back, max(1, radius // 2))] = 0
    trimap[_inner(front, radius) & ~_mixed(picture, plate, front)] = 255
    return trimap


def _mixed(picture: np.ndarray, plate: np.ndarray, front: np.ndarray) -> np.ndarray:
    """(h, w) bool: what differs from the plate like foreground, but lies between it and the foreground further in."""
    depth = cv2.distanceTransform(front.astype(np.uint8), cv2.DIST_L2, 3)
    far = max(4.0, _DEEP * min(front.shape))
    place, trust = colour_line_alpha(picture, pull_push(picture, np.square(np.clip(depth / far, 0, 1))), plate)
    return (cv2.blur(place, (3, 3)) < 0.9) & (trust > 0.5) & (depth < far)


def colour_line_alpha(picture: np.ndarray, front: np.ndarray, back: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where colours lie between a background and a foreground colour, in [0, 1], and how far that is to be trusted.

    All (h, w, 3) float32; returns two (h, w). Trust falls where the two colours are alike, and off their line.
    """
    line = front - back
    length = np.square(line).sum(-1)
    place = np.clip(((picture - back) * line).sum(-1) / np.maximum(length, 1e-6), 0, 1)
    away = np.square(picture - back - place[..., None] * line).sum(-1)
    return place, length / (length + _LINE) / (1 + away / AWAY**2)


def known_background_alpha(
    picture: np.ndarray, background: np.ndarray, trimap: np.ndarray, solver: Solver
) -> tuple[np.ndarray, list[str]]:
    """(h, w) float32 alpha where the background is known, and notes: closed form and colour line, weighed.

    picture, background: (h, w, 3) float32 in [0, 1]; trimap: (h, w) uint8 {0, 128, 255} with an unknown region.
    """
    front = trimap == 255
    solved, notes = front.astype(np.float32), list[str]()
    if front.any() and (trimap == 0).any():
        solved, notes = solver(picture, trimap, "closed-form")
    colour = pull_push(picture, (front | (solved > 0.95)).astype(np.float32))
    place, share = colour_line_alpha(picture, colour, background)
    alpha = share * place + (1 - share) * solved
    return constrain_alpha(alpha.astype(np.float32), trimap), notes


def _noise(off: np.ndarray) -> float:
    """Standard deviation of the difference (h, w, 3) where the two agree: of the calmer half of the picture."""
    size = np.abs(off - cv2.blur(off, (7, 7))).mean(-1)
    return 1.25 * float(np.quantile(cv2.blur(size, (9, 9)), 0.3))


def _despeckled(region: np.ndarray, side: int) -> np.ndarray:
    """Without parts, and without holes, smaller than a share of the picture's short side across."""
    least = max(4, round((_SPECK * side) ** 2))
    for value in (1, 0):
        flags = (region == value).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(flags, connectivity=4)
        tiny = stats[:, cv2.CC_STAT_AREA] < least
        tiny[0] = False
        region = np.where(tiny[labels], not value, region).astype(bool)
    return region


def _inner(region: np.ndarray, radius: int) -> np.ndarray:
    return region if region.all() else cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 3) > radius
