"""Reads pictures by their content, not their name: upright, in their stored depth, within limits of size and memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.media.colour import grey_to_srgb
from uhrmat.media.containers import open_png_source, open_webp_source
from uhrmat.media.exif import orient, reset_orientation
from uhrmat.media.exr import open_exr_source
from uhrmat.media.jpeg import open_jpeg_source
from uhrmat.media.limits import check_decode
from uhrmat.media.picture import Picture, PictureInfo
from uhrmat.media.raster import check_size
from uhrmat.media.source import Decoded, DecodedHeader, check_file, sniff
from uhrmat.media.tiff import open_tiff_source

MAX_PIXELS = 2**30
"""Pixels of the largest picture that is read unless the caller allows more."""
_OPENERS: dict[str, Callable[[Path], DecodedHeader]] = {
    "png": open_png_source,
    "jpeg": open_jpeg_source,
    "webp": open_webp_source,
    "tiff": open_tiff_source,
}


def open_source(path: PathLike, max_pixels: int = MAX_PIXELS, overscan: bool = False) -> tuple[Path, DecodedHeader]:
    """Read a picture's header and check that it can be decoded.

    Args:
        path: The file.
        max_pixels: The largest number of pixels.
        overscan: Include an EXR's pixels beyond its display window.

    Returns:
        The file's path and header.

    Raises:
        InputError: The file cannot be read, or has more pixels.
        MemoryBudgetError: It cannot be decoded within the memory that is allowed.
    """
    file = check_file(path)
    kind = sniff(file)
    source = open_exr_source(file, overscan) if kind == "exr" else _OPENERS[kind](file)
    pixels = source.width * source.height
    if pixels < 1:
        raise InputError(f"'{file}' has no pixels ({source.width}x{source.height}).", "Export it again.")
    if max(pixels, source.stored_pixels) > max_pixels:
        stored = f" and stores {source.stored_pixels}" if source.stored_pixels > pixels else ""
        raise InputError(
            f"'{file}' is {source.width}x{source.height}, {pixels} pixels{stored}, and the limit is {max_pixels}.",
            "If you trust the file, raise max_pixels; otherwise it may be a decompression bomb.",
        )
    check_decode(file, source.peak_bytes)
    return file, source


def decode_upright(file: Path, source: DecodedHeader) -> Decoded:
    """Decode samples as stored, with the orientation but no profile applied: for mattes, masks and trimaps.

    Returns:
        Grey (H, W) or RGB (H, W, 3), and alpha (H, W) or None.
    """
    pixels, alpha = source.decode()
    check_size(file, pixels, source)
    turned = orient(pixels, source.orientation)
    return turned, None if alpha is None else orient(alpha, source.orientation)


def _info(file: Path, source: DecodedHeader) -> PictureInfo:
    width, height = source.width, source.height
    if source.orientation >= 5:
        width, height = height, width
    return PictureInfo(
        path=file,
        width=width,
        height=height,
        dtype=source.dtype,
        bit_depth=source.bit_depth,
        icc=source.icc,
        exif=reset_orientation(source.exif),
        orientation=source.orientation,
        linear=source.linear,
        has_alpha=source.has_alpha,
        premultiplied=source.premultiplied,
        notes=tuple(source.notes),
        chromaticities=source.chromaticities,
        png_colour=source.png_colour,
        exr=source.exr,
    )


def read_info(path: PathLike, max_pixels: int = MAX_PIXELS, overscan: bool = False) -> PictureInfo:
    """The `PictureInfo` of a file without decoding its pixels; arguments and errors as for `read_picture`."""
    return _info(*open_source(path, max_pixels, overscan))


def read_picture(path: PathLike, max_pixels: int = MAX_PIXELS, overscan: bool = False) -> Picture:
    """Read JPEG, PNG, TIFF, WebP or EXR as upright RGB in its stored depth.

    Grey becomes RGB, palettes are resolved, and CMYK is converted to sRGB by its profile.

    Args:
        path: The file.
        max_pixels: The largest number of pixels.
        overscan: Include an EXR's pixels beyond its display window, which `PictureInfo.exr` then tells apart.

    Raises:
        InputError: The file cannot be read completely, holds NaN or infinity, or has more pixels.
        MemoryBudgetError: It cannot be decoded within the memory that is allowed.
    """
    file, source = open_source(path, max_pixels, overscan)
    pixels, alpha = decode_upright(file, source)  # before _info: it may add notes
    pixels = grey_to_srgb(pixels, source.grey_icc)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    return Picture(np.ascontiguousarray(pixels), alpha, _info(file, source))
