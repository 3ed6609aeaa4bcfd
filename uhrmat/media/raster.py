"""The decoders that all formats share: cv2 for most files (16 bits, one copy), Pillow for the others.

cv2 has no palette transparency, no CMYK and no metadata; Pillow truncates 16-bit colour.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.media.colour import convert_to_srgb
from uhrmat.media.decoder_output import capture_decoder_output
from uhrmat.media.names import Parts, readable_name
from uhrmat.media.source import Array, Decoded, DecodedHeader, damaged_error, load_bytes, unsupported_error


def cv2_module() -> Any:
    """Import cv2 without its limit on a picture's size, unless it is loaded already; `media.limits` applies instead."""
    if "cv2" not in sys.modules:
        os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 40))
    import cv2

    return cv2


def blank(shape: tuple[int, ...], dtype: str) -> Array:
    """An array for a decoder to fill, of zeros: a decoder that stops early shows no old memory."""
    return np.zeros(shape, dtype)


def cv2_decode(
    path: Path,
    kind: str,
    shape: tuple[int, ...],
    dtype: str = "uint8",
    parts: Parts | None = None,
    printed: list[str] | None = None,
) -> Decoded:
    """Decode a file by cv2.

    Args:
        path: The file.
        kind: Its format, for the error.
        shape: Of the array that cv2 fills, which saves the copy that it would make of its own.
        dtype: Of that array.
        parts: Decoded instead of the file's bytes.
        printed: Gets the lines that the decoder printed.

    Returns:
        Pixels as stored, grey (H, W) or RGB (H, W, 3), uint8, uint16 or float32, and alpha (H, W) or None.

    Raises:
        InputError: cv2 finds no whole picture in it.
    """
    with capture_decoder_output() as lines, _silent(cv2_module()):
        pixels = _into(blank(shape, dtype), path, parts)
        if pixels is None:  # another shape than the header led us to expect, or a broken file, which fails here too
            pixels = _from_memory(path, parts)
    if printed is not None:
        printed += lines
    if pixels is None:
        raise damaged_error(path, kind)
    return to_rgb(pixels)


@contextmanager
def _silent(cv2: Any) -> Iterator[None]:
    """Switch off OpenCV's messages within the block: its failures are raised as errors."""
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)


def _into(target: Array, path: Path, parts: Parts | None) -> Array | None:
    """Decode into `target` and return it; None where cv2 refuses the picture or cannot open a file of that name.

    Where cv2 cannot read a header it returns the array untouched, as if it held the picture. So its first row is marked
    beforehand; a picture that truly looks like the mark is decoded once more, by `_from_memory`.
    """
    cv2 = cv2_module()
    mark = np.random.default_rng(0).integers(0, 256, target[:1].nbytes, np.uint8).view(target.dtype)
    target[:1] = mark.reshape(target[:1].shape)
    with readable_name(path, parts) as name:
        if name is None:
            return None
        try:
            decoded = cv2.imread(name, target, cv2.IMREAD_UNCHANGED)
        except cv2.error:
            return None
    untouched = np.array_equal(target[:1].reshape(-1).view(np.uint8), mark.view(np.uint8))
    return None if decoded is None or untouched else target


def _from_memory(path: Path, parts: Parts | None) -> Array | None:
    """Decode into a new array; None where there is no picture."""
    cv2 = cv2_module()
    data = load_bytes(path) if parts is None else np.frombuffer(b"".join(parts), np.uint8)
    try:
        decoded: Array | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    return decoded


def cv2_read(path: PathLike, flags: int) -> Array | None:
    """As `cv2.imread(path, flags)`, in BGR order, for files of any name; None where the file is no picture."""
    try:
        with capture_decoder_output(), _silent(cv2_module()):
            decoded: Array | None = cv2_module().imdecode(load_bytes(Path(path)), flags)
    except (OSError, cv2_module().error):
        return None
    return decoded


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


def pillow_array(image: Any, mode: str | None = None) -> npt.NDArray[np.uint8]:
    """A loaded 8-bit Pillow image, converted to `mode`, as a new array.

    256 rows at a time: np.asarray would hold the picture three times, and convert once more.
    """
    bands = len(mode or image.getbands())
    out = np.empty((image.height, image.width, bands), np.uint8)
    for y in range(0, image.height, 256):
        strip = image.crop((0, y, image.width, min(image.height, y + 256)))
        out[y : y + 256] = np.asarray(strip.convert(mode) if mode else strip).reshape(-1, image.width, bands)
    return out[..., 0] if bands == 1 else out


def pillow_decode(path: Path, kind: str, opener: Any, icc: bytes | None, parts: Parts | None = None) -> Decoded:
    """Decode an 8-bit file by Pillow: palettes, transparency keys and CMYK.

    Args:
        path: The file.
        kind: Its format, for the error.
        opener: Pillow's class for the format.
        icc: The profile by which CMYK is converted to sRGB.
        parts: Decoded instead of the file's bytes.

    Raises:
        InputError: The file is damaged, or in a mode that is not read.
    """
    try:
        image = opener(os.fspath(path) if parts is None else io.BytesIO(b"".join(parts)))
        image.load()
        transparent = image.mode == "LA" or image.has_transparency_data
    except MemoryError:
        raise
    except Exception as error:  # Pillow's plugins raise many types: struct, index, value, assertion
        raise damaged_error(path, kind) from error
    if image.mode == "CMYK":
        return pillow_array(convert_to_srgb(image, icc)), None
    if image.mode in ("LAB", "HSV", "F", "I") or image.mode.startswith("I;"):
        raise unsupported_error(path, f"a {image.mode} {kind}")
    if transparent:
        return _split(pillow_array(image, "RGBA"))
    return pillow_array(image, "L" if image.mode in ("1", "L") else "RGB"), None


def _split(rgba: Array) -> Decoded:
    """RGB within the array's own memory, and alpha."""
    height, width = rgba.shape[:2]
    alpha = np.ascontiguousarray(rgba[..., 3])
    rgb = rgba.reshape(-1)[: height * width * 3].reshape(height, width, 3)
    for y in range(0, height, 256):
        rgb[y : y + 256] = rgba[y : y + 256, :, :3].copy()
    return rgb, alpha


def check_size(path: Path, array: Array, source: DecodedHeader) -> None:
    """Raise `InputError` where a decoder gives another size than the header states."""
    if array.shape[:2] != (source.height, source.width):
        raise InputError(f"'{path}' decodes to another size than its header states.", "Save it again from an editor.")
