"""The hints of a picture, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.compatibility import HINT_NAMES, check_hint_combination
from uhrmat.hints.drawn import recognise_prompts
from uhrmat.hints.files import ArrayOrPath, check_hint_size, read_mask, read_matte, read_trimap
from uhrmat.hints.key_colour import parse_key
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.radius import Radius, check_radius
from uhrmat.hints.subject import SubjectMask
from uhrmat.hints.trimap import choose_radius, trimap_from_mask
from uhrmat.media import MAX_PIXELS, Picture, read_picture
from uhrmat.media.coding import BACKGROUND, FOREGROUND, KNOWN, UNKNOWN

PlateLike = Picture | ArrayOrPath
_LEAST_RANGE = 0.01
"""A matte whose values differ by less than this holds no subject."""


@dataclass(frozen=True)
class Hints:
    """The hints of a picture (H, W); None is what was not given.

    trimap: (H, W) uint8 {0, 128, 255}, the user's or made from the mask; mask: (H, W) float32 in [0, 1]; plate: the
    scene without its subject, of any size in the picture's proportions; key: the screen's colour, see `parse_key`;
    alpha: (h, w) float32 in [0, 1], of any such size too; prompts: points, boxes and strokes in pixels of the picture;
    choices: lines on what was made of them; warnings: lines on what may have been meant otherwise; propagated: `alpha`
    was propagated from other frames, so it is no finished matte; subject: what a network has marked, which is no hint
    of the user: a network that needs none takes it in the place of looking itself; band: half the width in pixels of
    the unknown band that the mask has got, where that may be widened (`hints.widen`), else 0.
    """

    trimap: np.ndarray | None = None
    mask: np.ndarray | None = None
    plate: Picture | None = None
    key: str | None = None
    alpha: np.ndarray | None = None
    prompts: Prompts | None = None
    choices: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    propagated: bool = False
    subject: SubjectMask | None = None
    band: int = 0

    @property
    def given(self) -> frozenset[str]:
        """Names of the hints that there are."""
        return frozenset(name for name in HINT_NAMES if getattr(self, name) is not None)


def read_hints(
    size: tuple[int, int], trimap: ArrayOrPath | None = None, mask: ArrayOrPath | None = None, *,
    plate: PlateLike | None = None, key: str | None = None, alpha: ArrayOrPath | None = None,
    resize: bool = False, max_pixels: int = MAX_PIXELS, strict: bool = True, radius: Radius = None,
    picture: Picture | None = None, prompts: Prompts | None = None, recognise: bool = False,
    widen: bool = False,
) -> Hints:  # fmt: skip
    """The hints of a picture of `size` (H, W), with the trimap that a mask makes.

    Args:
        trimap, mask, alpha: arrays or paths, in any usual coding and with the same meaning, see `media.coding`.
        plate: a picture, an array as `Picture.from_array` takes it, or a path.
        resize: a trimap of another size, and a mask of other proportions, are resampled.
        strict: a hint that marks nothing (black or white all over, or unknown all over) is an error, else a note: in
            a clip there may be frames without the subject.
        radius: half the width in pixels of the unknown band that a mask gets, see `hints.trimap.choose_radius`.
        picture: the picture, by which the radius "auto" is chosen, and strokes are distinguished from thin subjects.
        prompts: points and boxes, in pixels of the picture.
        recognise: a mask that is filled rectangles or thin strokes is taken as boxes or strokes, with a note, unless a
            radius is given.
        widen: the unknown band of a mask may be widened, unless a radius is given.

    Raises:
        InputError: for what cannot be used.
    """
    given = {"trimap": trimap, "mask": mask, "plate": plate, "key": key, "alpha": alpha, "prompts": prompts}
    names = frozenset(name for name, value in given.items() if value is not None)
    check_hint_combination(names)
    check_radius(radius, names)
    notes, choices = list[str](), list[str]()
    known, coarse, matte, pixels = None, None, None, 0
    if trimap is not None:
        known = read_trimap(trimap, size, resize, max_pixels, notes)
        _report(_trimap_fault(known, names == {"trimap"}), "trimap", trimap, strict, notes)
        if not (known == UNKNOWN).any():
            notes.append("the trimap leaves nothing unknown: the alpha is the trimap itself")
    if mask is not None:
        coarse = read_mask(mask, size, resize, max_pixels, notes)
        _report(mask_fault(coarse), "mask", mask, strict, notes)
        notes += mask_notes(coarse)
        drawn = recognise_prompts(coarse, picture) if recognise and radius is None else None
        if drawn is not None:
            prompts, coarse = drawn.prompts, None
            choices.append(drawn.note)
    if coarse is not None:
        pixels, why = choose_radius(radius, coarse, picture)
        known = trimap_from_mask(coarse, pixels, pixels)
        choices.append(f"trimap made from the mask with a radius of {pixels} pixels{why}")
        if coarse.max() >= 1 - KNOWN and not (known == FOREGROUND).any():
            notes.append(f"the radius of {pixels} pixels leaves no known foreground")
    if alpha is not None:
        matte = read_matte(alpha, max_pixels, notes)
        check_hint_size(hint_label("alpha", alpha), "alpha", matte.shape, size)
        _report(_matte_fault(matte), "alpha", alpha, strict, notes)
    if prompts is not None:
        prompts.check(*size)
    scene = None if plate is None else _read_plate(size, plate, max_pixels, notes)
    colour = None if key is None else parse_key(key)
    band = pixels if widen and coarse is not None and not isinstance(radius, int) else 0
    return Hints(known, coarse, scene, colour, matte, prompts, choices, notes, band=band)


def hint_label(kind: str, source: Any) -> str:
    """A hint as errors name it: by its file, where it has one."""
    return f"The {kind}" if isinstance(source, (np.ndarray, Picture)) else f"The {kind} '{source}'"


def mask_fault(mask: np.ndarray) -> tuple[str, str] | None:
    """What is wrong with a mask (H, W) in [0, 1] that marks nothing, and what to do; else None."""
    low, high = float(mask.min()), float(mask.max())
    cure = "Make the subject white and everything else black."
    if high <= KNOWN:
        return "is black, or nearly, all over: it marks no subject", cure
    if low >= 1 - KNOWN:
        return "is white, or nearly, all over: it marks no background", cure
    if low > KNOWN and high < 1 - KNOWN:
        return f"has values from {low:.0%} to {high:.0%} only: it marks neither subject nor background", cure
    return None


def mask_notes(mask: np.ndarray) -> list[str]:
    """Lines on a mask that marks one side only."""
    low, high = float(mask.min()), float(mask.max())
    if low <= KNOWN < high < 1 - KNOWN:
        return [f"the mask's highest value is {high:.0%}: nothing in it is known foreground"]
    if KNOWN < low < 1 - KNOWN <= high:
        return [f"the mask's lowest value is {low:.0%}: nothing in it is known background"]
    return []


def _trimap_fault(trimap: np.ndarray, alone: bool) -> tuple[str, str] | None:
    """The same of a trimap (H, W) {0, 128, 255}. alone: no other hint says what the subject is."""
    back, unknown, front = ((trimap == value).any() for value in (BACKGROUND, UNKNOWN, FOREGROUND))
    cure = "Make the subject white, the background black, and what is to be found out grey (128 of 255)."
    if not (unknown or front):
        return "is background (black, or nearly) all over: it marks no subject", cure
    if not (unknown or back):
        return "is foreground (white, or nearly) all over: it marks no background", cure
    if alone and not (back or front):
        return "is unknown (grey) all over: it marks neither subject nor background", cure
    return None


def _matte_fault(matte: np.ndarray) -> tuple[str, str] | None:
    """The same of a low-resolution matte (h, w) in [0, 1]."""
    low, high = float(matte.min()), float(matte.max())
    if high - low >= _LEAST_RANGE:
        return None
    return f"is {low:.0%} all over: it marks no subject before a background", "Give the matte of this picture."


def _report(fault: tuple[str, str] | None, kind: str, source: Any, strict: bool, notes: list[str]) -> None:
    if fault is None:
        return
    what, cure = fault
    if strict:
        raise InputError(f"{hint_label(kind, source)} {what}.", cure)
    notes.append(f"the {kind} {what}")


def _read_plate(size: tuple[int, int], plate: PlateLike, max_pixels: int, notes: list[str]) -> Picture:
    if isinstance(plate, Picture):
        picture = plate
    else:
        picture = Picture.from_array(plate) if isinstance(plate, np.ndarray) else read_picture(plate, max_pixels)
    check_hint_size(hint_label("plate", plate), "plate", (picture.height, picture.width), size, notes=notes)
    return picture
