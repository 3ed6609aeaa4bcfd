"""Which hints there are, and which of them go together."""

from __future__ import annotations

from uhrmat.core.errors import InputError

HINT_NAMES = ("trimap", "mask", "plate", "key", "alpha")
"""Kinds of hints that a picture can have."""


def check_hint_combination(given: frozenset[str]) -> None:
    """Check that hints may be given together: one of mask, plate, key and alpha; or a trimap alone or beside one of the
    last three.

    Args:
        given: names of the hints, of `HINT_NAMES`.

    Raises:
        InputError: they may not.
    """
    if {"trimap", "mask"} <= given:
        raise InputError("Both a trimap and a mask were given.", "Keep the trimap, which holds more, or the mask.")
    others = sorted(given - {"trimap"})
    if len(others) > 1:
        raise InputError(f"Hints of two kinds were given: {' and '.join(others)}.", "Give one of them.")
