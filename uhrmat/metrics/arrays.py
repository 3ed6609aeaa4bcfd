"""Inputs of the measures: alphas of any usual type and a region, checked and converted once."""

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

STRIP = 512
"""Rows handled at a time, which bounds the memory of every measure. Results do not depend on it."""


def as_unit(alpha: Array) -> Floats:
    """Convert an alpha to float32 in [0, 1].

    Args:
        alpha: (H, W) uint8, uint16, bool or float. Integers are divided by their full scale; floats are not clipped:
            slight overshoot is an error of the method and is measured.

    Returns:
        (H, W) float32.

    Raises:
        InputError: Another shape or type, NaN, or values below -0.5 or above 1.5.
    """
    if alpha.ndim != 2 or alpha.size == 0:
        raise InputError(f"The alpha has shape {alpha.shape}; it must be (H, W).", "Pass a single channel.")
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
    """Unknown pixels of a trimap, (H, W) bool; for its codings see `media.coding.normalise_trimap`."""
    return np.asarray(normalise_trimap(trimap) == UNKNOWN)


def as_region(region: Array | None, shape: tuple[int, ...]) -> Mask | None:
    """Convert a region to a mask.

    Args:
        region: (H, W) bool mask, a trimap, whose unknown pixels count, or None for the whole picture.
        shape: (H, W) of the alpha.

    Returns:
        (H, W) bool, or None for the whole picture.

    Raises:
        InputError: The sizes differ.
    """
    if region is None:
        return None
    mask = np.asarray(region, np.bool_) if region.dtype == np.bool_ else unknown_region(region)
    if mask.shape != shape:
        raise InputError(f"The region is {mask.shape}, the alpha {shape}.", "Both need the same size.")
    return mask


def same_size(pred: Array, truth: Array) -> None:
    """Check that two alphas have one size; nothing is resampled.

    Raises:
        InputError: The sizes differ.
    """
    if pred.shape != truth.shape:
        raise InputError(
            f"The prediction is {_size(pred)}, the ground truth {_size(truth)}.", "Compare alphas of one size."
        )


def strips(height: int) -> Iterator[slice]:
    """Yield the rows 0 to `height` in slices of `STRIP`."""
    for y in range(0, height, STRIP):
        yield slice(y, min(y + STRIP, height))


def _size(array: Array) -> str:
    return "x".join(str(n) for n in array.shape[::-1])
