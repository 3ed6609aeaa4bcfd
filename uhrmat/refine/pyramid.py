"""From the working size to full resolution by factors of two, each level only where it is active.

The sizes are the picture's halves, so that every step but the first doubles exactly, and the first is the one whose
factor is below two: at the coarse end, where it costs least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from uhrmat.media import Picture
from uhrmat.media.resample import Shape, downsample_mask, downsample_picture, downsample_trimap
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.refiner import RefineInput
from uhrmat.sparsity.spatial import remaining_active


@dataclass(frozen=True)
class PyramidLevel(RefineInput):
    """One step. prior: the result of the step before; low: the picture at that size, None where it is `small`; maps:
    (h, w, 10) of the working size or None, see `ddfe_refiner.line_maps`."""

    low: Picture | None = None
    maps: np.ndarray | None = None


RefineLevel = Callable[[RefineInput, np.ndarray], None]
"""Refines the active pixels of one level's alpha in place."""


def pyramid_shapes(size: Shape, start: Shape) -> list[Shape]:
    """The picture's halves that are larger than `start`, coarse to fine, `size` (H, W) last.

    None where `start` is no smaller than the picture; a difference of one pixel is rounding and no step.
    """
    found: list[Shape] = []
    shape, times = size, 0
    while min(shape) > min(start) + 1:
        found.append(shape)
        times += 1
        shape = (max(1, round(size[0] / 2**times)), max(1, round(size[1] / 2**times)))
    return found[::-1]


def refine_pyramid(
    job: RefineInput, alpha: np.ndarray, attempt: RefineLevel, maps: np.ndarray | None = None
) -> np.ndarray:
    """Refines `alpha` (H, W) float32 in place, level by level; returns (H, W) bool, what the last level refined."""
    shapes = pyramid_shapes(job.size, job.prior.shape[:2])
    if not shapes:
        return np.zeros(job.size, bool)
    trimap = np.full(job.size, 128, np.uint8) if job.trimap is None else job.trimap
    copies = _copies(job.picture, shapes[:-1])
    prior, low = job.prior, None
    for number, shape in enumerate(shapes[:-1]):
        known = downsample_trimap(trimap, shape)
        active = remaining_active(downsample_mask(job.active, shape), prior, refined=number > 0)
        result = upsampled_prior(prior, known)
        attempt(PyramidLevel(copies[number], job.small, prior, known, active, low, maps), result)
        apply_trimap(result, known)
        prior, low = result, copies[number]
        copies[number] = job.picture  # lets the copy before go
    active = remaining_active(job.active, prior, refined=len(shapes) > 1)
    if len(shapes) > 1:
        upsampled_prior(prior, trimap, out=alpha)
    attempt(PyramidLevel(job.picture, job.small, prior, job.trimap, active, low, maps), alpha)
    return active


def _copies(picture: Picture, shapes: list[Shape]) -> list[Picture]:
    """The picture at each of `shapes`, each averaged from the next larger one."""
    found: list[Picture] = []
    for shape in reversed(shapes):
        picture = downsample_picture(picture, shape)
        found.append(picture)
    return found[::-1]
