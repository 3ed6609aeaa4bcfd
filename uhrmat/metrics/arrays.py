"""What the measures accept: alphas of any usual dtype and a region, checked once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uhrmat.core.errors import InputError
from uhrmat.media.coding import UNKNOWN, normalise_trimap

Array = NDArray[Any]
Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

STRIP = 512  # rows that are worked on at a time: bounds the memory of every measure


def as_unit(alpha: Array) -> Floats:
    """Float32 in [0, 1] of (H, W) uint8, uint16, bool or float; the two integer types are divided by their full scale.

    Floats are taken as they are (slight overshoot is the method's error and is measured). Raises InputError for another
    shape or type, NaN, or values far outside [0, 1].
    """
    if alpha.ndim != 2 or alpha.size == 0:
        raise InputError(f"An alpha is an array (H, W), this one is {alpha.shape}.", "Pass a single channel.")
    if alpha.dtype == np.bool_:
        return alpha.astype(np.float32)
    if alpha.dtype in (np.uint8, np.uint16):
        return np.divide(alpha, np.float32(np.iinfo(alpha.dtype).max), dtype=np.float32)
    if alpha.dtype.kind != "f":
        raise InputError(
            f"An alpha of type {alpha.dtype} has no full scale.", "Give uint8, uint16, bool, or floats from 0 to 1."
        )
    unit = alpha.astype(np.float32, copy=False)
    low, high = float(unit.min()), float(unit.max())
    if not (low > -0.5 and high < 1.5):  # NaN fails both
        raise InputError(f"The alpha ranges from {low:g} to {high:g}, not from 0 to 1.", "Divide it by its full scale.")
    return unit


def unknown_region(trimap: Array) -> Mask:
    """The unknown pixels (H, W) of a trimap in any usual coding, see `media.normalise_trimap`."""
    return np.asarray(normalise_trimap(trimap) == UNKNOWN)


def as_region(region: Array | None, shape: tuple[int, ...]) -> Mask | None:
    """A bool mask (H, W): `region` itself where it is one, a trimap's unknown pixels, or None (all)."""
    if region is None:
        return None
    mask = np.asarray(region, np.bool_) if region.dtype == np.bool_ else unknown_region(region)
    if mask.shape != shape:
        raise InputError(f"The region is {mask.shape}, the alpha {shape}.", "Both need the same size.")
    return mask


def same_size(pred: Array, truth: Array) -> None:
    """Raises InputError where the sizes differ: nothing is resampled in silence."""
    if pred.shape != truth.shape:
        raise InputError(
            f"The prediction is {_size(pred)}, the ground truth {_size(truth)}.", "Compare alphas of one size."
        )


def strips(height: int) -> Iterator[slice]:
    """Rows 0..height in slices of STRIP."""
    for y in range(0, height, STRIP):
        yield slice(y, min(y + STRIP, height))


def _size(array: Array) -> str:
    return "x".join(str(n) for n in array.shape[::-1])
