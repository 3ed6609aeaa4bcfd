"""What the user says about a picture, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from uhrmat.errors import InputError
from uhrmat.media import Picture, normalise_trimap, read_mask, read_picture, read_trimap
from uhrmat.prior.choose import NAMES, check_given
from uhrmat.prior.keycolour import parse_key
from uhrmat.prior.trimap import default_radius, trimap_from_mask

ArrayOrPath = np.ndarray | str | Path
PlateLike = Picture | np.ndarray | str | Path
_ASPECT_SLACK = 0.03


@dataclass(frozen=True)
class Hints:
    """What was said about a picture (H, W); None is what was not.

    trimap: (H, W) uint8 {0, 128, 255}, the user's or made from the mask; mask: (H, W) float32 in [0, 1]; plate: the
    scene without its subject, of any size in the picture's proportions; key: the screen's colour, see `parse_key`;
    alpha: (h, w) float32 in [0, 1], of any such size too; notes: lines for the user.
    """

    trimap: np.ndarray | None = None
    mask: np.ndarray | None = None
    plate: Picture | None = None
    key: str | None = None
    alpha: np.ndarray | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def given(self) -> frozenset[str]:
        """Names of what was said."""
        return frozenset(name for name in NAMES if getattr(self, name) is not None)


def read_hints(
    size: tuple[int, int], trimap: ArrayOrPath | None = None, mask: ArrayOrPath | None = None, *,
    plate: PlateLike | None = None, key: str | None = None, alpha: ArrayOrPath | None = None,
) -> Hints:  # fmt: skip
    """The hints of a picture of `size` (H, W), with the trimap that a mask makes. Raises InputError.

    Arrays: a trimap in any usual coding (see `media.normalise_trimap`), a mask or alpha bool, uint8, uint16 or float in
    [0, 1], a plate as `Picture.from_array` takes it.
    """
    given = {"trimap": trimap, "mask": mask, "plate": plate, "key": key, "alpha": alpha}
    check_given(frozenset(name for name, value in given.items() if value is not None))
    known, notes = _read_trimap(size, trimap), []
    coarse = None
    if mask is not None:
        coarse = _as_mask(mask, "mask") if isinstance(mask, np.ndarray) else read_mask(mask, size)
        _check_size("mask", coarse, size)
        radius = default_radius(*size)
        known = trimap_from_mask(coarse, radius, radius)
        notes = [f"trimap made from the mask with a radius of {radius} pixels"]
    return Hints(
        known,
        coarse,
        _read_plate(size, plate),
        None if key is None else parse_key(key),
        _read_alpha(size, alpha),
        notes,
    )


def _read_trimap(size: tuple[int, int], trimap: ArrayOrPath | None) -> np.ndarray | None:
    if trimap is None:
        return None
    found = normalise_trimap(np.asarray(trimap)) if isinstance(trimap, np.ndarray) else read_trimap(trimap, size)
    _check_size("trimap", found, size)
    return found


def _read_plate(size: tuple[int, int], plate: PlateLike | None) -> Picture | None:
    if plate is None or isinstance(plate, Picture):
        found = plate
    else:
        found = Picture.from_array(plate) if isinstance(plate, np.ndarray) else read_picture(plate)
    if found is not None:
        check_proportions("plate", (found.height, found.width), size)
    return found


def _read_alpha(size: tuple[int, int], alpha: ArrayOrPath | None) -> np.ndarray | None:
    if alpha is None:
        return None
    found = _as_mask(alpha, "alpha") if isinstance(alpha, np.ndarray) else read_mask(alpha)
    check_proportions("alpha", found.shape[:2], size)
    return found


def _as_mask(mask: np.ndarray, kind: str) -> np.ndarray:
    peak = float(np.iinfo(mask.dtype).max) if mask.dtype.kind == "u" else 1.0
    found = np.clip(mask.astype(np.float32) / np.float32(peak), 0, 1)
    if not np.isfinite(found).all():
        raise InputError(f"The {kind} holds values that are not numbers.", "Replace them with 0 or 1.")
    return found


def _check_size(kind: str, array: np.ndarray, size: tuple[int, int]) -> None:
    if array.shape != tuple(size):
        have = "x".join(str(n) for n in array.shape[::-1])
        raise InputError(f"The {kind} is {have}, but the picture is {size[1]}x{size[0]}.", "Give one of the same size.")


def check_proportions(kind: str, have: tuple[int, ...], size: tuple[int, int]) -> None:
    """Raises InputError unless a hint of size `have` (H, W) shows the same field as a picture of `size`."""
    if len(have) != 2 or 0 in have or abs(have[1] * size[0] / (have[0] * size[1]) - 1) > _ASPECT_SLACK:
        shown = "x".join(str(n) for n in have[::-1])
        raise InputError(
            f"The {kind} is {shown}, but the picture is {size[1]}x{size[0]}.", "Give one of the same proportions."
        )
