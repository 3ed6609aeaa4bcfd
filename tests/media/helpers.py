"""Files that the tests of media read: made here, byte by byte where no encoder would make them."""

from __future__ import annotations

import struct
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from uhrmat.media.png import SIGNATURE, chunk


def gradient(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    """(H, W, 3) with no two rows, columns or channels alike, so that any mix-up shows."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    unit = np.stack([x, y, (x + y) / 2], axis=2)
    if dtype == "float32":
        return unit.astype(np.float32)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)


@cache
def display_p3() -> bytes:
    """An sRGB profile whose red and blue colorants are moved: a valid RGB profile that is nobody's default. Made once:
    LittleCMS writes the second of its making into it."""
    icc = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", icc, 128)[0]
    for index in range(count):
        tag, offset, _ = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        if tag == b"rXYZ":
            struct.pack_into(">iii", icc, offset + 8, 33759, 15807, -69)
    return bytes(icc)


def grey_profile() -> bytes:
    """A grey profile of gamma 1.0, written by hand: LittleCMS through Pillow makes none."""
    white = b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">I", 0)
    table = struct.pack(">I", 2)
    table += struct.pack(">4sII", b"wtpt", 128 + 28, len(white)) + struct.pack(
        ">4sII", b"kTRC", 128 + 28 + len(white), len(curve)
    )
    size = 128 + len(table) + len(white) + len(curve)
    head = struct.pack(">I4sI4s4s4s12s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"GRAY", b"XYZ ", bytes(12), b"acsp")
    head += bytes(28) + struct.pack(">iii", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + white + curve


def exif_blob(orientation: int, order: str = "<") -> bytes:
    """A TIFF blob of two entries: a make, and the orientation after it."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(order + "HHI4s", 0x010F, 2, 3, b"Me\0\0")
    entries += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return mark + struct.pack(order + "I", 8) + struct.pack(order + "H", 2) + entries + bytes(4)


def raw_png(path: Path, rows: np.ndarray, colour_type: int, bits: int, *before: tuple[bytes, bytes]) -> Path:
    """A PNG from rows of packed bytes (H, bytes), no filter."""
    height = len(rows)
    width = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    width = rows.shape[1] * 8 // (bits * width)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(
        SIGNATURE
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
        + b"".join(chunk(kind, body) for kind, body in before)
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )
    return path


def save(path: Path, array: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    """An 8-bit file by Pillow, an encoder that is not ours."""
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **options)
    return path
