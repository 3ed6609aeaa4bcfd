"""What the user says about a picture, as the trimap that the path works with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uhrmat.errors import InputError
from uhrmat.media import normalise_trimap, read_mask, read_trimap
from uhrmat.prior.trimap import default_radius, trimap_from_mask

ArrayOrPath = np.ndarray | str | Path


@dataclass(frozen=True)
class Hints:
    """trimap: (H, W) uint8 {0, 128, 255}; notes: lines for the user."""

    trimap: np.ndarray
    notes: list[str] = field(default_factory=list)


def read_hints(size: tuple[int, int], trimap: ArrayOrPath | None, mask: ArrayOrPath | None) -> Hints:
    """The trimap of a picture of `size` (H, W), given as it is or made from a mask. InputError unless one is given.

    Arrays: a trimap in any usual coding (see `media.normalise_trimap`), a mask bool, uint8, uint16 or float in [0, 1].
    """
    if trimap is not None and mask is not None:
        raise InputError("A trimap and a mask were given.", "Give one of them.")
    if trimap is not None:
        found = normalise_trimap(np.asarray(trimap)) if isinstance(trimap, np.ndarray) else read_trimap(trimap, size)
        _check_size("trimap", found, size)
        return Hints(found)
    if mask is not None:
        coarse = _as_mask(mask) if isinstance(mask, np.ndarray) else read_mask(mask, size)
        _check_size("mask", coarse, size)
        radius = default_radius(*size)
        note = f"trimap made from the mask with a radius of {radius} pixels"
        return Hints(trimap_from_mask(coarse, radius, radius), [note])
    raise InputError(
        "Nothing says what the foreground is.",
        "Give a trimap (--trimap) or a mask (--mask); `uhrmat trimap MASK -o T.png` makes one from the other.",
    )


def _as_mask(mask: np.ndarray) -> np.ndarray:
    peak = float(np.iinfo(mask.dtype).max) if mask.dtype.kind == "u" else 1.0
    found = np.clip(mask.astype(np.float32) / peak, 0, 1)
    if not np.isfinite(found).all():
        raise InputError("The mask holds values that are not numbers.", "Replace them with 0 or 1.")
    return found


def _check_size(kind: str, array: np.ndarray, size: tuple[int, int]) -> None:
    if array.shape != tuple(size):
        have = "x".join(str(n) for n in array.shape[::-1])
        raise InputError(f"The {kind} is {have}, but the picture is {size[1]}x{size[0]}.", "Give one of the same size.")
