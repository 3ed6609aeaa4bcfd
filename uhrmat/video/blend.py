"""Temporal averaging of static regions: a frame's new alpha is averaged with the one of the frame before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.refine.refiner import RefineInput
from uhrmat.video.averaging import STIRS, average, movement, steady, stir


@dataclass(frozen=True)
class Moment:
    """A refined frame that has not yet been averaged, and the frame before it.

    now, before: their refiner inputs, of one size (H, W); last: (H, W) float32, the last alpha; where: (H, W) bool,
    pixels computed now that have a last alpha of this shot; noise: standard deviation in [0, 1].
    """

    now: RefineInput
    before: RefineInput
    last: np.ndarray
    where: np.ndarray
    noise: float


def by_rule(moment: Moment, alpha: np.ndarray) -> None:
    """Averages the alpha (H, W) with the last one, in place, at the pixels `where`; see `standing`."""
    now, before = moment.now, moment.before
    scale = now.size[0] / len(now.small)
    present = np.maximum(before.prior, now.prior)
    stirred = stir(before.small, now.small, present, moment.noise / scale)
    same = steady(now.picture, before.picture, moment.noise, moment.where)
    length = np.zeros_like(stirred)
    if stirred.max() > STIRS / 3:  # else the motion would count for less than a twenty-fifth
        length = alpha.shape[0] / len(stirred) * movement(before.small, now.small, now.prior)[..., 2]
    average(alpha, moment.last, moment.where, length, stirred, same)
