"""Cascade: refine at a quarter and half of the size first, so that fewer pixels are active at full size.

SparseMat (Sun, Tang, Tai, CVPR 2023), §3.3. Each scale's result decides which pixels are still active at the next.
Unlike the authors' release it always ends at full size: what does not fit there, or at any scale, is refined in parts
(`tiling`). Smooth colours stay those of the low-resolution copy, so that no map of three channels grows with the scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from uhrmat.refine.base import RefineInput, TileableRefiner
from uhrmat.refine.memory.tiling import Part, RefineWindow, divide_active
from uhrmat.refine.planes import Plane, planes_of


@dataclass(frozen=True, kw_only=True)
class CascadeParams:
    """Parameters of the cascade.

    Attributes:
        scales: Sizes below the full one, as shares of its sides, ascending. The paper's, not tuned. Only results over
            budget depend on them, weights do not. `python -m benchmarks.budget` compares the cascade with parts, see
            docs/reference/performance.md.
    """

    scales: tuple[float, ...] = (0.25, 0.5)


CASCADE = CascadeParams()


@dataclass(frozen=True)
class RefineStep:
    """What was refined at one scale.

    Attributes:
        scale: Share of the full side length.
        active: Active pixels.
        load: What the engine holds for them, see `cost.Cost`.
        parts: Number of parts, 1 for one shot.
    """

    scale: float
    active: int
    load: int
    parts: int


def refine_coarse_scales(
    refiner: TileableRefiner,
    inputs: RefineInput,
    alpha: Plane,
    capacity: int,
    params: CascadeParams = CASCADE,
) -> tuple[RefineInput, list[RefineStep]]:
    """Refine at the scales below 1 and put what they gave into `alpha`.

    A scale's result decides what stays active and is final elsewhere. Active pixels are refined from the prior itself
    at every scale: the network is trained on the prior's errors, and its own would add up.

    Args:
        refiner: Any tileable refiner.
        inputs: The picture at full size.
        alpha: (H, W) float32, overwritten by the last scale's upsampled result.
        capacity: Load that fits the budget beside the smaller copies, see `cost.Cost.capacity`.
        params: The scales.

    Returns:
        The inputs at full size with the pixels that are still active, and a step for each scale.
    """
    steps: list[RefineStep] = []
    planes = planes_of(alpha)
    trimap = planes.unknown_trimap(inputs) if inputs.trimap is None else inputs.trimap
    prior, active = inputs.prior, inputs.active
    for scale in params.scales:
        shape = (round(inputs.size[0] * scale), round(inputs.size[1] * scale))
        if min(shape) <= min(inputs.prior.shape):
            continue
        known = planes.downsample_trimap(trimap, shape)
        remaining = planes.remaining_active(planes.downsample_mask(inputs.active, shape), prior, refined=bool(steps))
        picture = planes.downsample_picture(inputs.picture, shape)
        scaled = RefineInput(picture, inputs.small, inputs.prior, known, remaining, inputs.levels)
        result = planes.upsampled_prior(prior, known)
        steps.append(refine_at_scale(refiner, scaled, result, capacity, scale))
        planes.apply_trimap(result, known)
        prior = result
    if steps:
        active = planes.remaining_active(inputs.active, prior, refined=True)
        planes.upsampled_prior(prior, trimap, out=alpha)
    return replace(inputs, active=active), steps


def refine_at_scale(
    refiner: TileableRefiner, inputs: RefineInput, alpha: Plane, capacity: int, scale: float
) -> RefineStep:
    """Refine `alpha` in place at one scale, in as many parts as `capacity` demands."""
    cells = planes_of(alpha).count_cells(inputs)
    parts = list(divide_active(cells, inputs.size, refiner.reach, lambda part: refiner.cost.load(part) <= capacity))
    if parts:
        refine_parts(refiner.prepare(inputs, alpha), inputs.active, alpha, parts)
        refiner.finish(inputs, alpha)
    return RefineStep(scale, int(cells.sum(dtype=np.int64)), refiner.cost.load(cells), len(parts))


def refine_parts(refine: RefineWindow, active: Plane, alpha: Plane, parts: list[Part]) -> None:
    """Refine part by part, in place; what a part writes into its halo is undone.

    Args:
        refine: Refines a window of `alpha`.
        active: (H, W) bool.
        alpha: (H, W) float32.
        parts: See `tiling.divide_active`.
    """
    planes = planes_of(alpha)
    for part in parts:
        # The halo of a single part has no active pixel: its core holds them all.
        alone = len(parts) == 1 or part.core == part.window
        restore = None if alone else planes.keep_halo(active, alpha, part)
        refine(part.window)
        if restore is not None:
            restore()


def bytes_of_copies(inputs: RefineInput) -> int:
    """Bytes of the half-size copies: picture, trimap, masks, prior and result."""
    picture = inputs.picture
    return int(picture.height * picture.width // 4 * (3 * picture.pixels.dtype.itemsize + 1 + 3 + 8))
