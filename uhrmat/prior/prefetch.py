"""What a prior is asked, and the first one begun before torch is there. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, area_average_strips, downsample_trimap
from uhrmat.prior.base import WORKING_SIZE, LowResHints, working_shape
from uhrmat.prior.choose import AFFINITY_PRIORS, CLOSED_FORM_KNN, choose_prior
from uhrmat.prior.closed_form.affinity import AffinityPrior, Solver

PriorInputs = tuple[np.ndarray, LowResHints]
"""What a prior is asked: the small copy (h, w, 3) and the small hints."""


_SOLVED_BY = {"lpn-trimap": CLOSED_FORM_KNN}
"""Priors that begin with another one's answer."""


@dataclass(frozen=True)
class PrefetchedPrior:
    """An affinity prior that is solved before the pipeline is there. method: one of `choose.AFFINITY_PRIORS`; problem:
    its inputs, made with `side` and `halved`, see `prior_inputs`."""

    method: str
    side: int | None
    halved: bool
    problem: PriorInputs


def downsample_picture(picture: Picture, shape: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1], display-referred: the picture averaged over the area of each small pixel."""
    if picture.pixels.dtype == np.float32:
        if picture.height < shape[0] or picture.width < shape[1]:
            return area_average(picture.to_float(), shape)
        strips = area_average_strips(picture.to_float, (picture.height, picture.width), shape)
        return np.concatenate([strip for _, strip in strips])
    return area_average(picture.pixels, shape, float(np.iinfo(picture.pixels.dtype).max))


def downsample_hints(hints: Hints, shape: tuple[int, int]) -> LowResHints:
    """The hints averaged over the area of each small pixel; what is smaller than `shape` (h, w) is enlarged."""
    return LowResHints(
        None if hints.trimap is None else downsample_trimap(hints.trimap, shape),
        None if hints.mask is None else area_average(hints.mask, shape),
        None if hints.plate is None else downsample_picture(hints.plate, shape),
        hints.key,
        None if hints.alpha is None else area_average(hints.alpha, shape),
    )


def prior_inputs(picture: Picture, hints: Hints, side: int | None, halved: bool = False) -> PriorInputs:
    """What a prior is asked: the small copy and the small hints. side: see `working_shape`; halved: half the picture's
    size at most, for a refiner that lives on the difference (HRIMF-AMR)."""
    short = min(picture.height, picture.width)
    shape = working_shape(
        picture.height, picture.width, min(side or WORKING_SIZE.short_side, max(1, short // 2)) if halved else side
    )
    return downsample_picture(picture, shape), downsample_hints(hints, shape)


def prefetch_prior(
    picture: Picture, hints: Hints, name: str, side: int | None, halved: bool = False
) -> PrefetchedPrior | None:
    """What `StillPipeline.matte` will ask of the prior called `name`; None where that is no affinity prior.

    side and halved: as for `prior_inputs`. Raises InputError.
    """
    chosen = choose_prior(name, hints.given).name
    method = _SOLVED_BY.get(chosen, chosen)
    if method not in AFFINITY_PRIORS:
        return None
    return PrefetchedPrior(method, side, halved, prior_inputs(picture, hints, side, halved))


def solve_prefetched(begun: PrefetchedPrior, solver: Solver) -> None:
    """Has `solver`, which remembers its last answer, answer what the matter will ask it."""
    AffinityPrior(begun.method, solver)(*begun.problem)
