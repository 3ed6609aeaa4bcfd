"""Between the stored types: rounding to integers, premultiplying, and to and from scene-linear light."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media.colour import srgb_decode, srgb_encode

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]


def quantise(values: Array, bits: int) -> Array:
    """[0, 1] to uint8 or uint16 of the same shape, rounded half up, clipped. Exact 0 and 1 stay exact."""
    top = np.float32(255 if bits == 8 else 65535)
    scaled = np.clip(values, 0.0, 1.0, dtype=np.float32) * top
    return (scaled + np.float32(0.5)).astype(np.uint8 if bits == 8 else np.uint16)


def premultiply_integer(rgb: Array, alpha: Array) -> Array:
    """rgb (h, w, 3) times alpha (h, w) over full scale, uint8 or uint16, rounded exactly."""
    if rgb.dtype == np.uint8:
        product = rgb.astype(np.uint16) * alpha[..., None] + np.uint16(128)
        return ((product + (product >> 8)) >> 8).astype(np.uint8)
    wide = rgb.astype(np.uint32) * alpha[..., None]
    return ((wide + np.uint32(32767)) // np.uint32(65535)).astype(np.uint16)


def to_integer(rgb: Array, linear: bool, bits: int) -> Array:
    """Stored pixels as display-referred uint8 or uint16; untouched when they already are that."""
    if rgb.dtype.kind == "f":
        return quantise(srgb_encode(rgb) if linear else rgb, bits)
    if rgb.dtype == np.uint16 and bits == 8:
        return ((rgb.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if rgb.dtype == np.uint8 and bits == 16:
        return rgb.astype(np.uint16) * np.uint16(257)
    return rgb


def to_linear(rgb: Array, linear: bool) -> FloatArray:
    """Stored pixels as scene-linear float32."""
    if rgb.dtype.kind == "f":
        return rgb.astype(np.float32, copy=False) if linear else srgb_decode(np.clip(rgb, 0.0, 1.0))
    top = np.iinfo(rgb.dtype).max
    table = srgb_decode(np.arange(top + 1, dtype=np.float32) / np.float32(top))
    return table[rgb]
