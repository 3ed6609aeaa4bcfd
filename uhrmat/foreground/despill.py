"""A screen's light taken off its subject: what the foreground still has of the screen's colour difference, subtracted.

For green this is the customary G := min(G, max(R, B)); `media.chroma` turns it to any hue. Colours that hold less of
the screen's hue than of another, such as skin, yellow or cyan before green, stay as they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour

_ROWS = 256


def despill(colours: np.ndarray, screen: tuple[float, ...]) -> int:
    """Frees straight colours (H, W, 3) uint8, uint16 or float32 of the colour of `screen` (RGB in [0, 1]), in place.

    Returns how many pixels have changed. Integers are rounded; works in strips.
    """
    axes = hue_axes(np.array(screen, np.float32))
    direction, changed = pure_key_colour(axes), 0
    for top in range(0, len(colours), _ROWS):
        rows: Any = colours[top : top + _ROWS]
        spilt = np.flatnonzero(key_excess(rows.reshape(-1, 3).astype(np.float32), axes) > 0)
        if not spilt.size:
            continue
        flat = rows.reshape(-1, 3)
        values = flat[spilt].astype(np.float32)
        values = np.maximum(values - key_excess(values, axes)[:, None] * direction, 0)
        flat[spilt] = values if flat.dtype == np.float32 else np.rint(values).astype(flat.dtype)
        changed += spilt.size
    return changed
