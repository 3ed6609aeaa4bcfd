"""A trimap from a mask: foreground inside the eroded mask, background outside the dilated one."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.hints.radius import Radius
from uhrmat.media.coding import KNOWN
from uhrmat.media.picture import Picture
from uhrmat.media.resample import area_average, downsample_for_display

_MIDDLE = 0.5


@dataclass(frozen=True, kw_only=True)
class TrimapParams:
    """Parameters of a trimap made from a mask.

    Attributes:
        radius: erosion and dilation where the user names none, as a share of the picture's short side. `--radius`
            replaces it. Not tuned.
        least_radius: pixels.
        fitting_radius: the radius "auto" of a mask whose edge fits the picture, as a share of the short side. The best
            of six on exact masks of 19 of the mattes below.
        fit: `EdgeFit.share` from which on a mask's edge fits the picture. On 21 mattes of people and animals exact
            masks had 0.64 to 0.92 and their polygons 0.31 to 0.61.
        contrast: `EdgeFit.contrast` from which on it does. On the same mattes exact masks had 0.61 to 2.02. Below 0.7,
            with much fur, a band of `radius` was better on three of four; above it a narrow one.
        side: short side of the small copy on which the fit is measured, pixels.
        near: distance from the mask's edge, in pixels of the small copy, up to which the subject's edge counts as met.
        far: distance up to which gradients are compared with those near the edge.
        floor: added to gradients, in [0, 1] per pixel, before their logarithm is taken, so that noise weighs little.
        smoothing: standard deviation in pixels of the blur before gradients are taken, against noise.
    """

    radius: float = 0.02
    least_radius: int = 2
    fitting_radius: float = 0.0075
    fit: float = 0.7
    contrast: float = 0.73
    side: int = 550
    near: int = 2
    far: int = 8
    floor: float = 0.01
    smoothing: float = 0.8


TRIMAP_DEFAULTS = TrimapParams()


def default_radius(height: int, width: int, params: TrimapParams = TRIMAP_DEFAULTS) -> int:
    """Pixels of erosion and of dilation of a mask of (height, width) where the user names none."""
    return max(params.least_radius, round(params.radius * min(height, width)))


def choose_radius(
    radius: Radius, mask: np.ndarray, picture: Picture | None, params: TrimapParams = TRIMAP_DEFAULTS
) -> tuple[int, str]:
    """The half width of a mask's unknown band, in pixels, and why it is that, for a note.

    Args:
        radius: a number of pixels; None: `default_radius`; "auto": the same, and less where the mask's edge fits the
            picture.
        mask: (H, W) float32 in [0, 1].
        picture: of the same size; without one "auto" is `default_radius`.
        params: see there.
    """
    height, width = mask.shape
    if isinstance(radius, int):
        return radius, ""
    usual = default_radius(height, width, params)
    if radius is None or picture is None:
        return usual, ""
    scale = min(1.0, params.side / min(height, width))
    shape = max(1, round(height * scale)), max(1, round(width * scale))
    fit = edge_fit(downsample_for_display(picture, shape), area_average(mask, shape), params)
    if fit.share >= params.fit and fit.contrast >= params.contrast:
        narrow = max(params.least_radius, round(params.fitting_radius * min(height, width)))
        return narrow, ", because its edge fits the picture"
    return usual, ", because its edge does not fit the picture closely"


@dataclass(frozen=True)
class EdgeFit:
    """How well a mask's edge follows an edge of the picture.

    Attributes:
        share: share of the mask's edge at which the picture's strongest gradient near the edge is at least as strong as
            the strongest beside it, where copies of the edge would lie that are moved inside or outside; in [0, 1]. It
            tells exact masks from those that are moved, widened or drawn by hand.
        contrast: by how much the logarithm of the gradient near the edge is higher than beside it, on the mean. Low
            where the subject has no sharp outline, like hair.
    """

    share: float = 0.0
    contrast: float = 0.0


def edge_fit(small: np.ndarray, mask: np.ndarray, params: TrimapParams = TRIMAP_DEFAULTS) -> EdgeFit:
    """How well a mask's edge follows the picture; zeros where it has no edge away from the picture's border.

    Args:
        small: (h, w, 3) float32 RGB in [0, 1].
        mask: (h, w) float32 in [0, 1].
        params: see there.
    """
    inside = (mask > _MIDDLE).astype(np.uint8)
    border = params.far + 1
    interior = np.zeros(inside.shape, bool)  # the picture's own border is no edge
    interior[border:-border, border:-border] = True
    if inside.all() or not inside.any():
        return EdgeFit()
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 5) + cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    distance -= _MIDDLE  # 0.5 at the pixels on either side of the edge
    edge = (distance < 1) & interior
    by, off = distance <= params.near, (distance > params.near + 1) & (distance <= params.far)
    if not edge.any() or not (off & interior).any():
        return EdgeFit()
    smooth = cv2.GaussianBlur(small, (0, 0), params.smoothing)
    steps = [cv2.Scharr(smooth, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1))]
    gradient = np.hypot(*steps).max(axis=2)
    near, beside = _strongest(gradient, by, params.near + 1), _strongest(gradient, off, params.far)
    levels = np.log(gradient + np.float32(params.floor))
    contrast = float(levels[by & interior].mean()) - float(levels[off & interior].mean())
    return EdgeFit(float((near[edge] >= beside[edge]).mean()), contrast)


def _strongest(gradient: np.ndarray, where: np.ndarray, reach: int) -> np.ndarray:
    """The largest gradient among the pixels `where`, up to `reach` pixels from each pixel."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(cv2.dilate(np.where(where, gradient, 0).astype(np.float32), disc))


def trimap_from_mask(mask: np.ndarray, erode: int, dilate: int, known: float = KNOWN) -> np.ndarray:
    """Trimap from a mask or a coarse alpha.

    Args:
        mask: (H, W) float32 in [0, 1].
        erode: pixels (Euclidean) by which the unknown region is widened into the foreground.
        dilate: pixels by which it is widened into the background.
        known: values up to this far from 0 or 1 are known, in [0, 0.5).

    Returns:
        (H, W) uint8 {0, 128, 255}.
    """
    front = (mask >= np.float32(1 - known)).astype(np.uint8)
    back = (mask <= np.float32(known)).astype(np.uint8)
    trimap = np.full(mask.shape, 128, np.uint8)
    trimap[_erode(back, dilate)] = 0
    trimap[_erode(front, erode)] = 255
    return trimap


def _erode(region: np.ndarray, radius: int) -> np.ndarray:
    if region.all() or radius <= 0:
        return region > 0
    return np.asarray(cv2.distanceTransform(region, cv2.DIST_L2, cv2.DIST_MASK_5) > radius)
