"""Colour difference against a screen of any hue: how much of the key colour a pixel holds.

The colour difference of Vlahos (US patent 3 595 987, 1971), G - max(R, B) for green, is a cone of 60 degrees about the
key's hue in the chroma plane: with p the chroma along that hue and q across it, G - max(R, B) = p - |q| / sqrt(3). In
this form it can be turned to any hue. Values are linear in a pixel's brightness, whatever the curve of its colours.
"""

from __future__ import annotations

import numpy as np

_PLANE = np.array([[-0.5, 1.0, -0.5], [3**0.5 / 2, 0.0, -(3**0.5) / 2]], np.float32)
"""From RGB to chroma: the first axis points to green, the second to red."""


def chroma(pixels: np.ndarray) -> np.ndarray:
    """The two chroma coordinates (..., 2) float32 of RGB colours (..., 3)."""
    return np.asarray(pixels @ _PLANE.T)


def hue_axes(colour: np.ndarray) -> np.ndarray:
    """The axes of a hue in RGB.

    Args:
        colour: (3,) RGB of the key, not grey.

    Returns:
        (2, 3) float32; the products of its rows with a colour are p, along the hue, and q, across it.
    """
    along = chroma(np.asarray(colour, np.float32))
    along = along / np.hypot(*along)
    across = np.array([-along[1], along[0]], np.float32)
    return np.stack([along @ _PLANE, across @ _PLANE])


def key_excess(pixels: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """The colour difference p - |q| / sqrt(3) of colours against a key.

    Args:
        pixels: (..., 3) float32 RGB in any unit.
        axes: The key's `hue_axes`.

    Returns:
        (...) float32 in the unit of `pixels`: the share of the key colour; at most 0 where there is none.
    """
    along, across = pixels @ axes[0], pixels @ axes[1]
    return np.asarray(along - np.abs(across) / np.float32(3**0.5))


def pure_key_colour(axes: np.ndarray) -> np.ndarray:
    """The colour (3,) that adds 1 to `key_excess`, with a smallest channel of 0: (0, 1, 0) for green."""
    direction = axes[0] * np.float32(2 / 3)
    return np.asarray(direction - direction.min())
