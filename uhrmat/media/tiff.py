"""Reading and writing TIFF by tifffile with imagecodecs: 16 bits, floats, separate planes, alpha.

Source: TIFF 6.0 (https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf); Adobe Photoshop TIFF Technical Notes
for kinds of alpha and profiles.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike, atomic_write
from uhrmat.media import raster
from uhrmat.media.colour import grey_icc, rgb_icc
from uhrmat.media.icc import chromaticities_of, is_linear
from uhrmat.media.source import Decoded, DecodedHeader, damaged_error
from uhrmat.media.strips import MakeRows, horizontal_differences, map_strips
from uhrmat.media.tiff_pages import check_jpeg_segments, check_segments, main_page
from uhrmat.media.tiff_samples import RGB, YCBCR, Layout, interpret, read_layout

_STRIP_BYTES = 1 << 19
"""Bytes of pixels in a strip."""
_BIGTIFF_BYTES = 0xF000_0000
"""Bytes of pixels from which on BigTIFF is written: its offsets have 64 bits."""
_ORIENTATION, _ICC = 274, 34675
_LOSSY = (6, 7)
_WORKERS, _BUFFER = 2, 1 << 22
"""Threads that decode, and bytes of strips or tiles that are read before they are needed."""


@contextmanager
def _open_pages(path: Path) -> Iterator[tuple[Any, Any]]:
    """The file's first page and the one that holds the picture; whatever goes wrong with them is an `InputError`."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs what we raise
    try:
        with tifffile.TiffFile(path) as tiff:
            yield tiff.pages[0], main_page(path, tiff)
    except InputError:
        raise
    except Exception as error:  # a damaged file raises many types: struct, index, key, memory
        raise damaged_error(path, "TIFF") from error


def open_tiff_source(path: Path) -> DecodedHeader:
    """Header of a TIFF's picture, which need not be its first page."""
    with _open_pages(path) as (first, page):
        meaning = read_layout(path, page)
        check_segments(path, page)
        orientation = _tag_value(first, page, _ORIENTATION)
        icc = _tag_value(first, page, _ICC)
        icc = icc if isinstance(icc, bytes) else None
        depth = 8 if meaning.dtype == "uint8" else 16 if str(page.dtype) in ("uint16", "float16") else 32
        profile = rgb_icc(icc) if meaning.photometric in (RGB, YCBCR) or meaning.table is not None else None
        grey = grey_icc(icc) if meaning.grey else None
        described = profile or grey
        linear = meaning.dtype == "float32" and (described is None or is_linear(described))
        primaries = chromaticities_of(profile) if linear and profile is not None else None
        return DecodedHeader(
            width=int(page.imagewidth),
            height=int(page.imagelength),
            dtype=meaning.dtype,
            bit_depth=depth,
            has_alpha=meaning.alpha is not None,
            decode=partial(_decode, path, meaning, icc),
            icc=None if linear else profile,
            exif=None,
            orientation=orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1,
            linear=linear,
            lossy=int(page.compression) in _LOSSY,
            grey_icc=None if linear else grey,
            premultiplied=meaning.premultiplied,
            chromaticities=primaries,
            decode_bytes=_decode_bytes(page, meaning),
        )


def _decode_bytes(page: Any, meaning: Layout) -> int:
    """Bytes that decoding takes: samples as stored, strips or tiles being decoded, and the result."""
    item = int(np.dtype(page.dtype).itemsize)
    pixels = int(page.imagewidth) * int(page.imagelength)
    held = np.dtype(meaning.dtype).itemsize * (4 if meaning.alpha is not None else 3 if meaning.colour > 1 else 1)
    whole = pixels * (int(page.samplesperpixel) * item + held)
    if page.is_contiguous:
        return whole
    segment = int(page.tilewidth) * int(page.tilelength) if page.is_tiled else page.imagewidth * page.rowsperstrip
    channels = int(page.samplesperpixel) if page.planarconfig == 1 else 1
    segments = min(_WORKERS, len(page.dataoffsets))
    return whole + segments * (2 * int(segment) * channels * item + max(page.databytecounts, default=0)) + _BUFFER


def _tag_value(first: Any, page: Any, tag: int) -> Any:
    """A tag of the page, or else of the first page, whose tags hold for its SubIFDs; None without either."""
    return page.tags.valueof(tag, first.tags.valueof(tag))


def _decode(path: Path, meaning: Layout, icc: bytes | None) -> Decoded:
    with _open_pages(path) as (_, page):
        check_jpeg_segments(path, page)
        samples = raster.blank(page.shaped, str(page.dtype))
        planes = page.asarray(out=samples, squeeze=False, maxworkers=_WORKERS, buffersize=_BUFFER)[:, 0]
        pixels = planes[0] if len(planes) == 1 else np.moveaxis(planes[..., 0], 0, -1)
        return interpret(path, page, pixels, meaning, icc)


def _deflate(make: MakeRows, dtype: np.dtype[Any], y0: int, y1: int) -> bytes:
    """Rows as one TIFF strip: horizontal differences (predictor 2), deflated."""
    rows = np.ascontiguousarray(make(y0, y1), dtype)
    pixel = rows.shape[2] if rows.ndim == 3 else 1
    rows = rows.reshape(y1 - y0, -1)
    differences = np.empty_like(rows)
    horizontal_differences(rows, pixel, differences)
    deflate = zlib.compressobj(1, zlib.DEFLATED, zlib.MAX_WBITS, 9, zlib.Z_RLE)
    return deflate.compress(differences.data) + deflate.flush()


def write_tiff(
    path: PathLike,
    make: MakeRows,
    shape: tuple[int, ...],
    bits: int,
    icc: bytes | None = None,
    premultiplied: bool = False,
) -> None:
    """Write a TIFF, deflated strip by strip on several threads, atomically.

    Args:
        path: The file.
        make: Gives the rows of the picture.
        shape: (H, W), (H, W, 3) or (H, W, 4).
        bits: 8 or 16.
        icc: A profile.
        premultiplied: A fourth channel is associated alpha, else unassociated.

    Raises:
        OutputError: The file cannot be written.
    """
    import tifffile

    dtype = np.dtype(f"<u{bits // 8}")
    row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    step = max(1, _STRIP_BYTES // row_bytes)
    colour = len(shape) == 3
    extra = ["assocalpha" if premultiplied else "unassalpha"] if colour and shape[2] == 4 else None
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            map_strips(partial(_deflate, make, dtype), shape[0], step),
            shape=shape,
            dtype=dtype,
            byteorder="<",
            rowsperstrip=step,
            photometric="rgb" if colour else "minisblack",
            extrasamples=extra,
            compression="zlib",
            predictor=True,
            iccprofile=icc,
            metadata=None,
            software="uhrmat",
            bigtiff=shape[0] * row_bytes > _BIGTIFF_BYTES,
        )
