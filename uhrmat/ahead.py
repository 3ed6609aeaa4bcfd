"""The small copy of a picture, and its prior begun before torch is there. Nothing here imports torch."""

from __future__ import annotations

import numpy as np

from uhrmat.hints import ArrayOrPath, read_hints
from uhrmat.media import Picture
from uhrmat.prior.affinity import METHODS, AffinityPrior, Solver
from uhrmat.prior.base import area_average, small_trimap, working_shape
from uhrmat.refine.shrink import shrunk_strips


def small_copy(picture: Picture, shape: tuple[int, int]) -> np.ndarray:
    """(h, w, 3) float32 in [0, 1], display-referred: the picture averaged over the area of each small pixel."""
    if picture.pixels.dtype == np.float32:
        strips = shrunk_strips(picture.to_float, (picture.height, picture.width), shape)
        return np.concatenate([strip for _, strip in strips])
    return area_average(picture.pixels, shape, float(np.iinfo(picture.pixels.dtype).max))


def small_problem(picture: Picture, trimap: np.ndarray, side: int | None) -> tuple[np.ndarray, np.ndarray]:
    """What a prior is asked: the small copy (h, w, 3) and the small trimap (h, w). side: see `working_shape`."""
    shape = working_shape(picture.height, picture.width, side)
    return small_copy(picture, shape), small_trimap(trimap, shape)


def begin_prior(
    picture: Picture, trimap: ArrayOrPath | None, mask: ArrayOrPath | None, name: str, side: int | None, solver: Solver
) -> None:
    """Asks `solver` for the prior that `Matter.matte` will ask for, so that a solver that remembers has it by then."""
    trimap = read_hints((picture.height, picture.width), trimap, mask).trimap
    if name == "auto" or name in METHODS:
        prior = AffinityPrior("closed-form" if name == "auto" else name, solver)
        prior(*small_problem(picture, trimap, side))
