"""Normalises the values of hints: trimaps, masks and mattes in any usual coding, from arrays and files alike.

A trimap becomes uint8 {0, 128, 255}, a mask or matte float32 in [0, 1]. Up to a tenth of full scale is background, from
nine tenths on it is foreground, as in PyMatting and in the tools around the matting benchmarks. Full scale is 1 for
bool and floats, 255 or 65535 for integers and for floats that are plainly larger than 1. Small integers are labels.
Values of no usual coding are refused: nothing wraps, and nothing is clipped silently.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255


@dataclass(frozen=True, kw_only=True)
class CodingParams:
    """Tolerances by which the coding of a hint is recognised.

    Attributes:
        known_share: Share of full scale at either end that counts as known. 0.1, as in PyMatting (`trimap_split`'s
            defaults 0.1 and 0.9).
        overshoot: How far floats may leave [0, full scale] and still have that scale. 0.5: resampling filters
            overshoot by less, and the next larger coding, labels from 2 on, is further away.
        label_top: The largest value of integers that are taken for labels if nothing is larger. 25, a tenth of 255:
            a mask none of whose pixels exceeds it would be background everywhere.
    """

    known_share: float = 0.1
    overshoot: float = 0.5
    label_top: int = 25


CODING = CodingParams()
KNOWN = CODING.known_share

Array = npt.NDArray[Any]
Trimap = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def normalise_trimap(
    values: Array,
    *,
    lossy: bool = False,
    name: str = "The trimap",
    notes: list[str] | None = None,
    params: CodingParams = CODING,
) -> Trimap:
    """Convert a trimap in any usual coding to uint8 {0, 128, 255}.

    Args:
        values: (H, W) bool, integer or float. The labels 0, 1, 2 and -1, 0, 1 are background, unknown, foreground.
            Where tolerance would leave nothing unknown, but there are exactly three values, the middle one is unknown.
        lossy: The values come from a file that does not keep them exactly, so that small values are no labels.
        name: Of the trimap, in errors.
        notes: Gets a line where the coding could be meant otherwise.
        params: Tolerances by which the coding is recognised.

    Raises:
        InputError: The values are no numbers, negative or of no usual range.
    """
    low, high = _extent(values, name)
    if values.dtype == np.bool_:
        return np.where(values, np.uint8(FOREGROUND), np.uint8(BACKGROUND))
    first = -1 if low == -1 else 0
    if not lossy and high <= first + 2 and _labels(values, low, high):
        if high == 1 and low == 0 and notes is not None:
            notes.append("the trimap's values 0 and 1 are read as labels: 0 is background, 1 is unknown")
        return np.array([BACKGROUND, UNKNOWN, FOREGROUND], np.uint8)[values.astype(np.int8) - first]
    full = _full_scale(values, low, high, name, params)
    trimap = np.full(values.shape, UNKNOWN, np.uint8)
    dark, bright = _known_levels(values, full, params.known_share)
    trimap[values <= dark] = BACKGROUND
    trimap[values >= bright] = FOREGROUND
    if not lossy and low <= dark and high >= bright and not (trimap == UNKNOWN).any():
        trimap[_middle(values, low, high)] = UNKNOWN
    return trimap


def normalise_mask(
    values: Array,
    *,
    lossy: bool = False,
    exact: bool = False,
    name: str = "The mask",
    notes: list[str] | None = None,
    params: CodingParams = CODING,
) -> FloatArray:
    """Convert a mask or matte in any usual coding to float32 in [0, 1].

    Args:
        values: (H, W) bool, integer or float. Integers 0 and 1 are binary; so are 0 and one other small label.
        lossy: The values come from a file that does not keep them exactly, so that small values are no labels.
        exact: It is a matte, whose values are kept. A mask whose darkest and brightest values are within the tolerance
            of 0 and 1 is stretched to reach both.
        name: Of the mask, in errors.
        notes: Gets a line where the coding could be meant otherwise.
        params: Tolerances by which the coding is recognised.

    Raises:
        InputError: The values are no numbers, negative, of no usual range, or several labels.
    """
    low, high = _extent(values, name)
    if values.dtype == np.bool_:
        return values.astype(np.float32)
    small = 0 <= low < high <= params.label_top or low == high == 1
    if not lossy and small and _labels(values, low, high):
        subject = values > 0
        if bool((values[subject] == high).all()):
            if high > 1 and notes is not None:
                notes.append(f"the mask's values are 0 and {high:g}: {high:g} is taken as the subject")
            return subject.astype(np.float32)
        if not exact:
            raise InputError(
                f"{name} holds nothing but small whole numbers, 0 to {high:g}: labels, or a nearly black picture.",
                "Make the subject 255 and everything else 0.",
            )
    mask = np.divide(values, np.float32(_full_scale(values, low, high, name, params)), dtype=np.float32)
    np.clip(mask, 0.0, 1.0, out=mask)
    return mask if exact else _stretch(mask, params.known_share)


def _extent(values: Array, name: str) -> tuple[float, float]:
    """The lowest and the highest value. InputError for what is no (H, W) array of finite numbers."""
    if values.ndim != 2 or values.size == 0:
        raise InputError(f"{name} is an array of shape {values.shape}.", "Give height × width values.")
    if values.dtype.kind not in "buif":
        raise InputError(f"{name} holds values of type {values.dtype}.", "Give booleans, integers or floats.")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # min and max pass NaN on
        raise InputError(f"{name} holds values that are not numbers (NaN or infinite).", "Replace them with 0 or 1.")
    return low, high


def _labels(values: Array, low: float, high: float) -> bool:
    """Whether small values are whole numbers that count something: integers, or floats that leave [0, 1]."""
    if values.dtype.kind in "iu":
        return True
    beyond = low == -1 or high >= 2
    return beyond and bool((values == np.rint(values)).all())


def _full_scale(values: Array, low: float, high: float, name: str, params: CodingParams) -> float:
    """The value that means 1."""
    whole = values.dtype.kind in "iu"
    scales = [255.0, 65535.0] if whole else [1.0, 255.0, 65535.0]
    if whole and values.dtype.itemsize == 4:
        scales.append(float(np.iinfo(values.dtype).max))
    slack = 0.0 if whole else params.overshoot
    for full in scales:
        if low >= -slack and high <= full + slack:
            return full
    raise InputError(
        f"{name} ranges from {low:g} to {high:g}, which is no usual coding.", "Use 0 to 1 for floats, or 0 to 255."
    )


def _known_levels(values: Array, full: float, known_share: float) -> tuple[Any, Any]:
    """Up to which value a pixel is background and from which on foreground, in the array's own type: no copy of a large
    array is made to compare it."""
    dark, bright = known_share * full, (1 - known_share) * full
    if values.dtype.kind in "iu":
        return math.floor(dark), math.ceil(bright)
    return values.dtype.type(dark), values.dtype.type(bright)


def _middle(values: Array, low: float, high: float) -> npt.NDArray[np.bool_]:
    """Where the middle one of exactly three values is; nowhere, where there are more or fewer."""
    between: npt.NDArray[np.bool_] = (values != low) & (values != high)
    inside = values[between]
    if inside.size and inside.min() != inside.max():
        between[:] = False
    return between


def _stretch(mask: FloatArray, known_share: float) -> FloatArray:
    """Stretch a mask whose extremes are nearly 0 and 1 to reach both, in place."""
    low, high = float(mask.min()), float(mask.max())
    if (low > 0 or high < 1) and low <= known_share and high >= 1 - known_share:
        mask -= np.float32(low)
        mask /= np.float32(high - low)
        np.clip(mask, 0.0, 1.0, out=mask)
    return mask
