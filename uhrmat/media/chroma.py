"""How much of a screen's colour is in a pixel, for screens of any hue.

The colour difference of Vlahos (US patent 3 595 987, 1971), G - max(R, B) for green, is a cone of 60 degrees about the
key's hue in the chroma plane: with p the chroma along that hue and q across it, G - max(R, B) = p - |q| / sqrt(3). In
this form it can be turned to any hue. Values are linear in a pixel's brightness, whatever the curve of its colours.
"""

from __future__ import annotations

import numpy as np

_PLANE = np.array([[-0.5, 1.0, -0.5], [3**0.5 / 2, 0.0, -(3**0.5) / 2]], np.float32)
"""From RGB to chroma: the first axis points to green, the second to red."""


def chroma(pixels: np.ndarray) -> np.ndarray:
    """(..., 2) float32 of colours (..., 3)."""
    return pixels @ _PLANE.T


def hue_axes(colour: np.ndarray) -> np.ndarray:
    """(2, 3): rows whose products with a colour are p and q, for the hue of `colour` (3,), which must not be grey."""
    along = chroma(np.asarray(colour, np.float32))
    along = along / np.hypot(*along)
    across = np.array([-along[1], along[0]], np.float32)
    return np.stack([along @ _PLANE, across @ _PLANE])


def key_excess(pixels: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(...) float32: how much of a key of these `axes` is in colours (..., 3); at most 0 where there is none."""
    along, across = pixels @ axes[0], pixels @ axes[1]
    return along - np.abs(across) / np.float32(3**0.5)


def pure_key_colour(axes: np.ndarray) -> np.ndarray:
    """(3,): what a unit of `key_excess` adds to a colour: green for green, without any grey."""
    direction = axes[0] * np.float32(2 / 3)
    return direction - direction.min()
