"""Which hints there are, and which of them go together."""

from __future__ import annotations

from uhrmat.core.errors import InputError

HINT_NAMES = ("trimap", "mask", "plate", "key", "alpha", "prompts")
"""Kinds of hints that a picture can have; "prompts" are points, boxes and strokes."""
HINT_WORDS = {"prompts": "points or boxes"}
"""What a kind is called in messages where that is not its name."""


def check_hint_combination(given: frozenset[str]) -> None:
    """Check that hints may be given together: one of mask, plate, key, alpha and prompts; or a trimap alone or beside
    one of the last four.

    Args:
        given: names of the hints, of `HINT_NAMES`.

    Raises:
        InputError: they may not.
    """
    if {"trimap", "mask"} <= given:
        raise InputError("Both a trimap and a mask were given.", "Keep the trimap, which holds more, or the mask.")
    others = sorted(given - {"trimap"})
    if len(others) > 1:
        words = " and ".join(HINT_WORDS.get(name, name) for name in others)
        raise InputError(f"Hints of two kinds were given: {words}.", "Give one of them.")
