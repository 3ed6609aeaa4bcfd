"""Background matting from a clean plate: what differs from the plate is foreground, by as much as it differs.

The plate is registered first (`register_plate`). What differs less than noise, misregistration and compression explain
is background; what differs clearly is foreground. Between them the closed form (Levin et al., see
`closed_form.affinity`) and the plate decide together: with B known and F extended from beside, alpha is the position of
a pixel's colour on the line between the two (Qian, Sezan, "Video Background Replacement without a Blue Screen", ICIP
1999, for differences as alpha).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.clean_plate.register import REGISTRATION_DEFAULTS, RegistrationParams, register_plate
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.pull_push import pull_push


@dataclass(frozen=True, kw_only=True)
class CleanPlateParams:
    """Parameters of matting from a clean plate. Shares of the short side are of the downsampled picture.

    Not tuned by a command; `tests/prior/test_plate.py` holds them to composites with known alpha. All may be changed.

    Attributes:
        background_ratio: difference, in units of what noise and misregistration explain, below which a pixel is
            background.
        foreground_ratio: the same above which a pixel is foreground.
        misregistration: pixels by which the plate may still be off after registration.
        least_noise: least standard deviation of the noise, in [0, 1]: compression, flicker.
        blurred_noise: share of white noise that a Gaussian blur with a standard deviation of 1 pixel leaves.
        speck: diameter of the parts and holes that are dropped, as a share of the short side.
        band: how far known foreground is eroded, as a share of the short side; background by half of it.
        mixed_depth: how far from its edge what differs clearly may still be a mixture with the plate, as a share of the
            short side; at least `least_mixed_depth` pixels.
        least_mixed_depth: pixels.
        mixed_alpha: position on the colour line below which it is a mixture.
        mixed_trust: trust in that position from which on it counts.
        line_length: squared distance of the two colours, in [0, 3], at which their line is trusted by half.
        line_distance: distance from the line, in [0, 1], at which it is trusted by half.
        solid: alpha of the closed form from which on a pixel's colour is taken for the foreground's.
    """

    background_ratio: float = 3.0
    foreground_ratio: float = 9.0
    misregistration: float = 0.35
    least_noise: float = 6 / 255
    blurred_noise: float = 0.28
    speck: float = 0.01
    band: float = 0.012
    mixed_depth: float = 0.05
    least_mixed_depth: float = 4.0
    mixed_alpha: float = 0.9
    mixed_trust: float = 0.5
    line_length: float = 0.003
    line_distance: float = 0.06
    solid: float = 0.95


CLEAN_PLATE_DEFAULTS = CleanPlateParams()


class PlatePrior:
    """A clean plate as a prior.

    Args:
        solver: of the closed form in the unknown region, by default `closed_form.solve.solve` in this process.
        params: of the matting.
        registration: of the plate.
    """

    name = "plate"
    working_size: int | None = None

    def __init__(
        self,
        solver: Solver | None = None,
        params: CleanPlateParams = CLEAN_PLATE_DEFAULTS,
        registration: RegistrationParams = REGISTRATION_DEFAULTS,
    ) -> None:
        self._solve: Solver = solver or solve
        self._params, self._registration = params, registration

    def with_solver(self, wrap: Callable[[Solver], Solver]) -> PlatePrior:
        """See `prior.base.SolvingPrior`."""
        other = copy.copy(self)
        other._solve = wrap(self._solve)
        return other

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if hints.plate is None:
            raise InputError("The prior plate needs a clean plate.", "Give a plate: the scene without its subject.")
        plate, notes = register_plate(small, hints.plate, self._registration)
        trimap = difference_trimap(small, plate, self._params)
        if hints.trimap is not None:
            trimap = np.where(hints.trimap == 128, trimap, hints.trimap)
        if not (trimap == 128).any():
            return PriorResult((trimap == 255).astype(np.float32), self.name, notes)
        alpha, more = known_background_alpha(small, plate, trimap, self._solve, self._params)
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, [*notes, *more])


def difference_trimap(
    picture: np.ndarray, plate: np.ndarray, params: CleanPlateParams = CLEAN_PLATE_DEFAULTS
) -> np.ndarray:
    """Trimap from what differs between a picture and its plate.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        plate: the same, registered.
        params: of the matting.

    Returns:
        (h, w) uint8 {0, 128, 255}.
    """
    off = cv2.GaussianBlur(picture - plate, (0, 0), 1.0)
    slope = sum(np.abs(cv2.Sobel(plate, cv2.CV_32F, *axis, ksize=3, scale=1 / 8)) for axis in ((1, 0), (0, 1)))
    noise = params.blurred_noise * max(_noise(picture - plate), params.least_noise)
    ratio = np.abs(off / np.sqrt(noise**2 + np.square(params.misregistration * slope))).max(-1)
    side = min(ratio.shape)
    least = max(4, round((params.speck * side) ** 2))
    back = _remove_specks(ratio < params.background_ratio, least)
    front = _remove_specks(ratio > params.foreground_ratio, least)
    trimap = np.full(ratio.shape, 128, np.uint8)
    radius = max(2, round(params.band * side))
    trimap[_erode(back, max(1, radius // 2))] = 0
    trimap[_erode(front, radius) & ~_mixed(picture, plate, front, params)] = 255
    return trimap


def _mixed(picture: np.ndarray, plate: np.ndarray, front: np.ndarray, params: CleanPlateParams) -> np.ndarray:
    """(h, w) bool: what differs from the plate like foreground, but lies between it and the foreground further in."""
    depth = cv2.distanceTransform(front.astype(np.uint8), cv2.DIST_L2, 3)
    far = max(params.least_mixed_depth, params.mixed_depth * min(front.shape))
    inner = pull_push(picture, np.square(np.clip(depth / far, 0, 1)))
    place, trust = colour_line_alpha(picture, inner, plate, params)
    return np.asarray((cv2.blur(place, (3, 3)) < params.mixed_alpha) & (trust > params.mixed_trust) & (depth < far))


def colour_line_alpha(
    picture: np.ndarray, front: np.ndarray, back: np.ndarray, params: CleanPlateParams = CLEAN_PLATE_DEFAULTS
) -> tuple[np.ndarray, np.ndarray]:
    """Alpha from the position of colours on the line between background and foreground colour.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        front: the same, the foreground's colours.
        back: the same, the background's colours.
        params: of the matting.

    Returns:
        (h, w) float32 alpha in [0, 1]; and (h, w) float32 in [0, 1], how far it is to be trusted: less where the two
        colours are alike, and off their line.
    """
    line = front - back
    length = np.square(line).sum(-1)
    place = np.clip(((picture - back) * line).sum(-1) / np.maximum(length, 1e-6), 0, 1)
    away = np.square(picture - back - place[..., None] * line).sum(-1)
    return place, length / (length + params.line_length) / (1 + away / params.line_distance**2)


def known_background_alpha(
    picture: np.ndarray, background: np.ndarray, trimap: np.ndarray, solver: Solver,
    params: CleanPlateParams = CLEAN_PLATE_DEFAULTS,
) -> tuple[np.ndarray, list[str]]:  # fmt: skip
    """Alpha where the background is known: closed form and colour line, averaged by the trust in the line.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        background: the same.
        trimap: (h, w) uint8 {0, 128, 255} with an unknown region.
        solver: of the closed form.
        params: of the matting.

    Returns:
        (h, w) float32 in [0, 1]; and notes for the user.
    """
    front = trimap == 255
    solved, notes = front.astype(np.float32), list[str]()
    if front.any() and (trimap == 0).any():
        solved, notes = solver(picture, trimap, "closed-form")
    colour = pull_push(picture, (front | (solved > params.solid)).astype(np.float32))
    place, trust = colour_line_alpha(picture, colour, background, params)
    alpha = trust * place + (1 - trust) * solved
    return constrain_alpha(alpha.astype(np.float32), trimap), notes


def _noise(off: np.ndarray) -> float:
    """Standard deviation of the difference (h, w, 3) where the two agree: of the calmer half of the picture."""
    size = np.abs(off - cv2.blur(off, (7, 7))).mean(-1)
    return 1.25 * float(np.quantile(cv2.blur(size, (9, 9)), 0.3))


def _remove_specks(region: np.ndarray, least: int) -> np.ndarray:
    """Without parts, and without holes, of fewer than `least` pixels."""
    for value in (1, 0):
        flags = (region == value).astype(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(flags, connectivity=4)
        tiny = stats[:, cv2.CC_STAT_AREA] < least
        tiny[0] = False
        region = np.where(tiny[labels], not value, region).astype(bool)
    return region


def _erode(region: np.ndarray, radius: int) -> np.ndarray:
    if region.all():
        return region
    return np.asarray(cv2.distanceTransform(region.astype(np.uint8), cv2.DIST_L2, 3) > radius)
