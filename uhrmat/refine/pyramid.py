"""Pyramid refinement: from the working size to full resolution by factors of two, only at the active pixels.

HRIMF-AMR (Ye et al., IEEE TIP 2025) refines by one factor of two. Here the levels are the picture's halvings, so that
every step but the first doubles exactly, and the first is the one whose factor is below two: at the coarse end, where
it costs least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uhrmat.media.resample import Shape
from uhrmat.refine.base import RefineInput, RefineLevel
from uhrmat.refine.planes import Plane, PlaneOperations, planes_of


@dataclass(frozen=True, kw_only=True)
class PyramidLevel(RefineInput):
    """One level, a refiner's input whose `prior` is the result of the level before.

    Attributes:
        low: The picture at the prior's size, None where that is `small`.
        maps: (h, w, 10) float32 at the working size, see `ddfe.refiner.line_maps`, or None.
    """

    low: Any = None
    maps: Plane | None = None


def pyramid_shapes(size: Shape, start: Shape) -> list[Shape]:
    """Sizes of the levels: the picture's halvings that are larger than the working size.

    Args:
        size: (H, W) of the picture.
        start: (h, w), the working size.

    Returns:
        (H, W) of each level, coarse to fine, the last one `size`; empty where `start` is no smaller than the picture.
        A difference of one pixel counts as rounding.
    """
    shapes: list[Shape] = []
    shape, times = size, 0
    while min(shape) > min(start) + 1:
        shapes.append(shape)
        times += 1
        shape = (max(1, round(size[0] / 2**times)), max(1, round(size[1] / 2**times)))
    return shapes[::-1]


def refine_pyramid(inputs: RefineInput, alpha: Plane, refine_level: RefineLevel, maps: Plane | None = None) -> Plane:
    """Refine `alpha` level by level, in place.

    Args:
        inputs: The picture with its prior at the working size.
        alpha: (H, W) float32, the upsampled prior.
        refine_level: Refines one `PyramidLevel`.
        maps: Passed on to every level.

    Returns:
        (H, W) bool, the pixels that the last level refined.
    """
    planes = planes_of(alpha)
    shapes = pyramid_shapes(inputs.size, inputs.prior.shape[:2])
    if not shapes:
        return planes.no_pixels(inputs)
    trimap = planes.unknown_trimap(inputs) if inputs.trimap is None else inputs.trimap
    copies = _copies(planes, inputs.picture, shapes[:-1])
    prior, low = inputs.prior, None
    for number, shape in enumerate(shapes[:-1]):
        known = planes.downsample_trimap(trimap, shape)
        active = planes.remaining_active(planes.downsample_mask(inputs.active, shape), prior, refined=number > 0)
        result = planes.upsampled_prior(prior, known)
        level = PyramidLevel(
            copies[number], inputs.small, prior, known, active, inputs.levels, low=low, maps=maps
        )  # fmt: skip
        refine_level(level, result)
        planes.apply_trimap(result, known)
        prior, low = result, copies[number]
        copies[number] = inputs.picture  # so that the memory of the copy before is freed
    active = planes.remaining_active(inputs.active, prior, refined=len(shapes) > 1)
    if len(shapes) > 1:
        planes.upsampled_prior(prior, trimap, out=alpha)
    last = PyramidLevel(
        inputs.picture, inputs.small, prior, inputs.trimap, active, inputs.levels, low=low, maps=maps
    )  # fmt: skip
    refine_level(last, alpha)
    return active


def _copies(planes: PlaneOperations, picture: Any, shapes: list[Shape]) -> list[Any]:
    """The picture at each of `shapes`, each averaged from the next larger one."""
    copies: list[Any] = []
    for shape in reversed(shapes):
        picture = planes.downsample_picture(picture, shape)
        copies.append(picture)
    return copies[::-1]
