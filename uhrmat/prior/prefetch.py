"""The inputs of a prior, and affinity priors that are solved while torch still loads. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.hints.read import Hints
from uhrmat.hints.scribbles import are_scribbles, downsample_scribbles
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_for_display, downsample_trimap
from uhrmat.prior.base import WORKING_SIZE, LowResHints, working_shape
from uhrmat.prior.choose import CLOSED_FORM_KNN, LPN_TRIMAP, SOLVING_PRIORS, choose_prior
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.corrected import keeping_system
from uhrmat.prior.closed_form.problem import Solver

PriorInputs = tuple[np.ndarray, LowResHints]
"""The downsampled picture (h, w, 3) float32 in [0, 1] and the hints at its size."""

downsample_picture = downsample_for_display
"""The small copy of a picture that priors work on."""


@dataclass(frozen=True)
class PrefetchedPrior:
    """An affinity prior that is being solved before the pipeline exists.

    Attributes:
        method: one of `choose.AFFINITY_PRIORS`, or `LPN_TRIMAP`, whose first solution it is.
        working_size: that `inputs` was made with, see `prior_inputs`.
        halved: that `inputs` was made with, see `prior_inputs`.
        inputs: of the prior.
    """

    method: str
    working_size: int | None
    halved: bool
    inputs: PriorInputs


def downsample_hints(hints: Hints, size: tuple[int, int], shape: tuple[int, int]) -> LowResHints:
    """Downsample the hints of a picture of `size` (H, W) by area averaging to `shape` (h, w).

    A trimap's pixel stays known only where all of it is; of scribbles, where a stroke covers enough of it.
    """
    return LowResHints(
        None if hints.trimap is None else downsample_known(hints.trimap, shape),
        None if hints.mask is None else area_average(hints.mask, shape),
        None if hints.plate is None else downsample_picture(hints.plate, shape),
        hints.key,
        None if hints.alpha is None else area_average(hints.alpha, shape),
        None if hints.prompts is None else hints.prompts.scaled(size, shape),
        hints.subject,
        hints.band * shape[0] / size[0],
    )


def downsample_known(trimap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Downsample a trimap (H, W) to (h, w); see `downsample_hints`."""
    if are_scribbles(trimap):
        return downsample_scribbles(trimap, shape)
    return downsample_trimap(trimap, shape)


def prior_inputs(picture: Picture, hints: Hints, working_size: int | None, halved: bool = False) -> PriorInputs:
    """The downsampled picture and hints that a prior takes.

    Args:
        picture: at full resolution.
        hints: of the picture.
        working_size: pixels on the short side, see `working_shape`.
        halved: at most half the picture's size, for refiners that predict the difference between two scales
            (HRIMF-AMR).
    """
    short = min(picture.height, picture.width)
    if halved:
        working_size = min(working_size or WORKING_SIZE.short_side, max(1, short // 2))
    shape = working_shape(picture.height, picture.width, working_size)
    return downsample_picture(picture, shape), downsample_hints(hints, (picture.height, picture.width), shape)


def prefetch_prior(
    picture: Picture, hints: Hints, name: str, working_size: int | None, halved: bool = False
) -> PrefetchedPrior | None:
    """Prepare the affinity prior that `StillPipeline.matte` is going to run on a picture.

    Args:
        picture: at full resolution.
        hints: of the picture.
        name: of the prior, or "auto".
        working_size: see `prior_inputs`.
        halved: see `prior_inputs`.

    Returns:
        The prior with its inputs, or None where the prior solves no affinity prior at first.

    Raises:
        InputError: the prior cannot be used with these hints, see `choose_prior`.
    """
    chosen = choose_prior(name, hints.given).name
    if chosen not in SOLVING_PRIORS:
        return None
    return PrefetchedPrior(chosen, working_size, halved, prior_inputs(picture, hints, working_size, halved))


def solve_prefetched(prefetched: PrefetchedPrior, solver: Solver) -> None:
    """Solve a prior now, by a solver that keeps its last solution (`worker.PriorProcess`) for the pipeline."""
    if prefetched.method == LPN_TRIMAP:
        AffinityPrior(CLOSED_FORM_KNN, keeping_system(solver))(*prefetched.inputs)
    else:
        AffinityPrior(prefetched.method, solver)(*prefetched.inputs)
