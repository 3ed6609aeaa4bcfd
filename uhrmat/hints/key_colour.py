"""The colour of a screen as a hint."""

from __future__ import annotations

import re

from uhrmat.core.errors import InputError

SCREENS = ("auto", "green", "blue")
_HEX = re.compile(r"#[0-9a-f]{6}")


def parse_key(text: str) -> str:
    """Parse a screen's colour: `auto` (any saturated colour), `green` or `blue` (of that hue), or `#rrggbb`.

    The first three are measured in the picture; the last is the colour itself.

    Returns:
        The key in lower case.

    Raises:
        InputError: anything else.
    """
    key = text.strip().lower()
    if key in SCREENS or _HEX.fullmatch(key):
        return key
    raise InputError(f"{text!r} is no screen colour.", "Give green, blue, auto or #rrggbb, for example '#20c040'.")


def key_rgb(key: str) -> tuple[float, float, float] | None:
    """The colour of `#rrggbb` in [0, 1], None for those that are to be measured."""
    if key in SCREENS:
        return None
    red, green, blue = (int(key[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
