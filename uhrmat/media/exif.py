"""EXIF orientation: reads it, resets it without changing any other byte, and applies it to pixels.

The blob is patched in place rather than parsed and rebuilt, so maker notes and unknown tags survive.
Source: EXIF 2.32 (CIPA DC-008, https://www.cipa.jp/std/documents/e/DC-008-Translation-2019-E.pdf), tag 0x0112 of the
first image file directory.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

ORIENTATION_TAG = 0x0112
PREFIX = b"Exif\x00\x00"


def _locate(exif: bytes) -> tuple[str, int] | None:
    """Byte order and offset of the orientation value in a TIFF blob, or None."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None or len(exif) < 8:
        return None
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == ORIENTATION_TAG and kind == 3 and entry + 10 <= len(exif):
                return order, entry + 8
    except struct.error:
        return None
    return None


def strip_prefix(exif: bytes | None) -> bytes | None:
    """An EXIF blob without JPEG's `Exif\\0\\0` marker; None where nothing is left."""
    if not exif:
        return None
    return exif.removeprefix(PREFIX) or None


def read_orientation(exif: bytes | None) -> int:
    """The orientation 1 to 8 in an EXIF blob without marker; 1 where it has none or a wrong one."""
    place = _locate(exif) if exif else None
    if exif is None or place is None:
        return 1
    value: int = struct.unpack_from(place[0] + "H", exif, place[1])[0]
    return value if 1 <= value <= 8 else 1


def reset_orientation(exif: bytes | None) -> bytes | None:
    """The same blob with its orientation, if it has one, set to 1."""
    place = _locate(exif) if exif else None
    if exif is None or place is None:
        return exif
    order, offset = place
    return exif[:offset] + struct.pack(order + "H", 1) + exif[offset + 2 :]


def orient(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Turn pixels upright. Mirrors happen in place; only quarter turns need a second array.

    Args:
        pixels: (H, W) or (H, W, C); changed where no quarter turn is needed.
        orientation: As in EXIF, 1 to 8.
    """
    import cv2

    if orientation == 1:
        return pixels
    turned = np.asarray(cv2.transpose(pixels)) if orientation >= 5 else pixels
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)
    if flip is not None:
        cv2.flip(turned, flip, turned)
    return turned
