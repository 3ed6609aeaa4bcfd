"""Despill: what the foreground's colour still has of the screen's colour difference is subtracted.

For green this is the customary G := min(G, max(R, B)); `media.chroma` turns it to any hue. Colours that hold less of
the screen's hue than of another, such as skin, yellow or cyan before green, stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour

_STRIP_ROWS = 256


def despill(colours: np.ndarray, screen: tuple[float, ...]) -> int:
    """Remove a screen's spill from straight colours, in place.

    Args:
        colours: (H, W, 3) uint8, uint16 or float32. Integers are rounded.
        screen: RGB in [0, 1], the screen's colour.

    Returns:
        How many pixels have changed.
    """
    axes = hue_axes(np.array(screen, np.float32))
    direction, changed = pure_key_colour(axes), 0
    for top in range(0, len(colours), _STRIP_ROWS):
        rows: Any = colours[top : top + _STRIP_ROWS]
        spilled = np.flatnonzero(key_excess(rows.reshape(-1, 3).astype(np.float32), axes) > 0)
        if not spilled.size:
            continue
        flat = rows.reshape(-1, 3)
        values = flat[spilled].astype(np.float32)
        values = np.maximum(values - key_excess(values, axes)[:, None] * direction, 0)
        flat[spilled] = values if flat.dtype == np.float32 else np.rint(values).astype(flat.dtype)
        changed += spilled.size
    return changed
