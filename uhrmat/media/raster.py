"""JPEG, and the decoders shared by all: cv2 for the common varieties (16 bits, one copy), Pillow for the others.

cv2 has no palette transparency, no CMYK and no metadata; Pillow truncates 16-bit colour. Between them nothing is lost.
"""

from __future__ import annotations

import os
import struct
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.errors import InputError
from uhrmat.media.colour import convert_to_srgb, grey_icc, rgb_icc
from uhrmat.media.exif import read_orientation, strip_prefix
from uhrmat.media.source import Array, Decoded, Source, damaged, load_bytes, unsupported


def cv2_module() -> Any:
    """cv2, imported late and, if we are first, without its limit of 2^30 pixels: `max_pixels` stands guard."""
    if "cv2" not in sys.modules:
        os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 40))
    import cv2

    return cv2


def cv2_decode(path: Path, kind: str, shape: tuple[int, ...], dtype: str = "uint8") -> Decoded:
    """Pixels as stored through cv2: grey (H, W) or RGB (H, W, 3), uint8/uint16/float32, and alpha or None.

    `shape` is that of the array that cv2 should fill: left to itself it decodes into one and returns a copy.
    """
    cv2 = cv2_module()
    if os.name != "nt" or str(path).isascii():  # on Windows cv2 opens no other names
        try:
            return to_rgb(cv2.imread(str(path), np.empty(shape, dtype), cv2.IMREAD_UNCHANGED))
        except (cv2.error, AttributeError):
            pass  # another shape than the header led us to expect, or a broken file, which now fails again
    try:
        return to_rgb(cv2.imdecode(load_bytes(path), cv2.IMREAD_UNCHANGED))
    except (cv2.error, AttributeError) as error:  # None, where cv2 found no picture, has no attributes
        raise damaged(path, kind) from error


def to_rgb(pixels: Array) -> Decoded:
    """Grey as it is; BGR or BGRA as RGB and alpha, within the array's own memory, 256 rows at a time."""
    cv2 = cv2_module()
    if pixels.ndim == 2:
        return pixels, None
    height, width, channels = pixels.shape
    alpha = np.ascontiguousarray(pixels[..., 3]) if channels == 4 else None
    code = cv2.COLOR_BGRA2RGB if channels == 4 else cv2.COLOR_BGR2RGB
    rgb = pixels.reshape(-1)[: height * width * 3].reshape(height, width, 3)
    for y in range(0, height, 256):  # what is written never reaches past what has been read
        rgb[y : y + 256] = cv2.cvtColor(pixels[y : y + 256], code).reshape(-1, width, 3)
    return rgb, alpha


def pillow_array(image: Any) -> npt.NDArray[np.uint8]:
    """A loaded 8-bit Pillow image as an array of our own, 256 rows at a time (np.asarray would hold it three times)."""
    bands = len(image.getbands())
    out = np.empty((image.height, image.width, bands), np.uint8)
    for y in range(0, image.height, 256):
        box = (0, y, image.width, min(image.height, y + 256))
        out[y : box[3]] = np.asarray(image.crop(box)).reshape(-1, image.width, bands)
    return out[..., 0] if bands == 1 else out


def pillow_decode(path: Path, kind: str, opener: Any, icc: bytes | None) -> Decoded:
    """8-bit pixels through Pillow, for palette, transparency keys and CMYK; the latter converted to sRGB by `icc`."""
    try:
        image = opener(str(path))
        image.load()
    except (OSError, SyntaxError, ValueError, struct.error) as error:
        raise damaged(path, kind) from error
    if image.mode == "CMYK":
        return pillow_array(convert_to_srgb(image, icc)), None
    if image.mode in ("LAB", "HSV", "F", "I"):
        raise unsupported(path, f"a {image.mode} {kind}")
    if image.has_transparency_data or image.mode == "LA":
        pixels = pillow_array(image.convert("RGBA"))
        return np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3])
    return pillow_array(image.convert("L" if image.mode in ("1", "L") else "RGB")), None


def _whole_jpeg(path: Path) -> None:
    """Raise unless an end marker follows the first scan: libjpeg paints what is missing grey and says nothing."""
    data = load_bytes(path).tobytes()
    if data.find(b"\xff\xd9", max(0, data.find(b"\xff\xda"))) < 0 or b"\xff\xda" not in data:
        raise damaged(path, "JPEG")


def open_jpeg_source(path: Path) -> Source:
    """Header of a JPEG: grey, YCbCr, RGB or CMYK, baseline or progressive."""
    from PIL.JpegImagePlugin import JpegImageFile

    _whole_jpeg(path)
    try:
        with JpegImageFile(str(path)) as image:  # Image.open would apply a pixel limit of its own
            width, height, mode = image.width, image.height, image.mode
            icc, exif = image.info.get("icc_profile"), strip_prefix(image.info.get("exif"))
    except (OSError, SyntaxError, ValueError, struct.error, KeyError, IndexError) as error:
        raise damaged(path, "JPEG") from error
    shape = (height, width) if mode == "L" else (height, width, 3)
    if mode == "CMYK":
        decode = partial(pillow_decode, path, "JPEG", JpegImageFile, icc)
    else:
        decode = partial(cv2_decode, path, "JPEG", shape)
    profile, grey = rgb_icc(icc), grey_icc(icc) if mode == "L" else None
    orientation = read_orientation(exif)
    return Source(width, height, "uint8", 8, False, decode, profile, exif, orientation, lossy=True, grey_icc=grey)


def check_size(path: Path, array: Array, source: Source) -> None:
    """Raise when a decoder delivered another size than the header promised."""
    if array.shape[:2] != (source.height, source.width):
        raise InputError(f"'{path}' decodes to another size than its header states.", "Save it again from an editor.")
