"""Conversions between stored types: rounding, premultiplying, and to and from scene-linear light."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media.colour import linear_to_display, srgb_decode
from uhrmat.media.icc import Chromaticities, is_srgb, linear_rec709

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]


def quantise(values: Array, bits: int) -> Array:
    """Convert values in [0, 1] of any shape to uint8 or uint16, rounded half up and clipped; 0 and 1 stay exact."""
    precision = np.float32 if bits == 8 else np.float64  # float32 would be 1/250 off a 16-bit half
    top = precision(255 if bits == 8 else 65535)
    scaled = np.multiply(values, top, dtype=precision)
    scaled += precision(0.5)
    np.clip(scaled, precision(0.0), top, out=scaled)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)


def premultiply_integer(rgb: Array, alpha: Array) -> Array:
    """Multiply rgb (h, w, 3) by alpha (h, w) over full scale, both uint8 or uint16, rounded exactly."""
    import cv2

    opacity = cv2.merge([alpha, alpha, alpha]).reshape(rgb.shape)
    if rgb.dtype == np.uint8:
        return np.asarray(cv2.multiply(rgb, opacity, scale=1 / 255)).reshape(rgb.shape)
    wide = rgb.astype(np.uint32) * opacity
    return np.asarray(((wide + np.uint32(32767)) // np.uint32(65535)).astype(np.uint16))


def pack_rgba(rgb: Array, alpha: Array, *, premultiply: bool, keep_hidden: bool) -> Array:
    """Join colour and alpha of one integer type.

    Args:
        rgb: (h, w, 3) straight colour.
        alpha: (h, w).
        premultiply: Multiply colour by alpha.
        keep_hidden: Keep straight colour where alpha is 0, which else becomes 0.

    Returns:
        (h, w, 4).
    """
    import cv2

    out = np.asarray(cv2.cvtColor(premultiply_integer(rgb, alpha) if premultiply else rgb, cv2.COLOR_RGB2RGBA))
    out[..., 3] = alpha
    if not (premultiply or keep_hidden):
        pixels = out.view(np.uint32 if rgb.dtype == np.uint8 else np.uint64)[..., 0]
        np.multiply(pixels, alpha > 0, out=pixels)
    return out


def to_integer(rgb: Array, linear: bool, bits: int, chromaticities: Chromaticities | None = None) -> Array:
    """Convert stored pixels to display-referred integers; unchanged where they are that already.

    Args:
        rgb: (h, w, 3) in a stored type.
        linear: Its floats are scene-linear.
        bits: 8 or 16.
        chromaticities: Of linear pixels; None: those of Rec. 709.
    """
    if rgb.dtype.kind == "f":
        return quantise(linear_to_display(rgb, chromaticities) if linear else rgb, bits)
    if rgb.dtype == np.uint16 and bits == 8:
        return ((rgb.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if rgb.dtype == np.uint8 and bits == 16:
        return rgb.astype(np.uint16) * np.uint16(257)
    return rgb


def to_linear(rgb: Array, linear: bool, icc: bytes | None = None) -> FloatArray:
    """Convert stored pixels to scene-linear float32 of Rec. 709 primaries; linear ones are returned as they are.

    Args:
        rgb: (h, w, 3) in a stored type.
        linear: It is scene-linear.
        icc: Its profile; None: sRGB.
    """
    if not linear and not is_srgb(icc) and icc is not None:
        return linear_rec709(rgb, icc)
    if rgb.dtype.kind == "f":
        return rgb.astype(np.float32, copy=False) if linear else srgb_decode(np.clip(rgb, 0.0, 1.0))
    top = np.iinfo(rgb.dtype).max
    table = srgb_decode(np.arange(top + 1, dtype=np.float32) / np.float32(top))
    return table[rgb]
