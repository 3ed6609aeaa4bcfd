"""The radius of a mask's unknown band as a user gives it: a number of pixels, "auto" or nothing. Loads no cv2."""

from __future__ import annotations

from typing import Literal

from uhrmat.core.errors import InputError

Radius = int | Literal["auto"] | None
"""Half the width of the unknown band in pixels; None: by the picture's size; "auto": see `trimap.choose_radius`."""


def parse_radius(text: str | None) -> Radius:
    """The radius that a text such as `6` or `auto` says; None for None. Raises InputError."""
    if text is None or text == "auto":
        return text  # type: ignore[return-value]
    try:
        return int(text)
    except ValueError:
        raise InputError(f"The radius {text!r} is no number.", "Give pixels, like 6, or auto.") from None


def check_radius(radius: Radius | str, given: frozenset[str]) -> None:
    """Check a radius.

    Args:
        radius: what was given.
        given: names of the hints, of `hints.compatibility.HINT_NAMES`.

    Raises:
        InputError: it is neither None, "auto" nor a number of pixels, or there is no mask that it could be for.
    """
    if radius is None:
        return
    whole = isinstance(radius, int) and not isinstance(radius, bool)
    if radius != "auto" and not (whole and int(radius) >= 0):
        raise InputError(f"The radius {radius!r} is no number of pixels.", 'Give 0 or more, or "auto".')
    if "mask" not in given:
        raise InputError(f"The radius {radius} was given without a mask.", "Give a mask, or leave the radius out.")
