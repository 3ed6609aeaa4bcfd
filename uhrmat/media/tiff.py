"""TIFF. tifffile, in plain numpy, passes on what the file holds: 16 bits, float, planes, kinds of alpha, profiles.

LZW, JPEG and the float predictor would need imagecodecs, 100 codecs for three: there Pillow decodes 8 bits and cv2 the
rest (cv2 would premultiply 8-bit alpha). Source: TIFF 6.0; Adobe Photoshop TIFF notes for alpha kinds and profiles.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uhrmat.errors import InputError
from uhrmat.media.colour import convert_to_srgb, rgb_icc
from uhrmat.media.files import PathLike, atomic
from uhrmat.media.picture import check_finite
from uhrmat.media.raster import cv2_module, pillow_array, pillow_decode, to_rgb, with_grey_profile
from uhrmat.media.source import Array, Decoded, Source, damaged, load_bytes, unsupported
from uhrmat.media.strips import MakeRows, deltas, in_strips

_PLAIN_CODECS = frozenset((1, 8, 32946, 32773))  # none, deflate, old deflate, PackBits
_STRIP_BYTES = 1 << 19
_BIGTIFF_BYTES = 0xF000_0000
_WHITE_IS_ZERO, _PALETTE, _CMYK = 0, 3, 5
_STORED = {"bool": "uint8", "uint8": "uint8", "uint16": "uint16"} | {f"float{n}": "float32" for n in (16, 32, 64)}
_COLOUR_CHANNELS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}


def open_tiff_source(path: Path) -> Source:
    """Header of a TIFF's first page."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it logs what we raise
    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[0]
            return _describe(path, page)
    except InputError:
        raise
    except Exception as error:  # damage surfaces as whatever the parser stumbled over: struct, index, key, memory
        raise damaged(path, "TIFF") from error


def _describe(path: Path, page: Any) -> Source:
    stored = _STORED.get(str(page.dtype))
    channels = _COLOUR_CHANNELS.get(int(page.photometric))
    if channels is None or stored is None or page.imagedepth != 1:
        raise unsupported(path, f"a TIFF of {page.bitspersample} bits and colour model {page.photometric!s}")
    if page.photometric == _CMYK and stored != "uint8":
        raise unsupported(path, "a CMYK TIFF of more than 8 bits")
    kinds = tuple(int(k) for k in page.extrasamples)
    extra = int(page.samplesperpixel) - channels
    alpha = extra > 0 and (not kinds or kinds[0] in (1, 2)) and page.photometric != _CMYK
    tag = page.tags.get(274)
    orientation = int(tag.value) if tag is not None and 1 <= int(tag.value) <= 8 else 1
    icc = page.iccprofile if isinstance(page.iccprofile, bytes) else None
    plain = int(page.compression) in _PLAIN_CODECS and int(page.predictor) in (1, 2)
    decode: Callable[[], Decoded]
    if plain:
        decode = partial(_decode_plain, path, channels, alpha, icc)
    else:
        decode = partial(_decode_foreign, path, stored, icc, tag.valueoffset if tag is not None else None)
    depth = 8 if stored == "uint8" else 16 if str(page.dtype) in ("uint16", "float16") else 32
    return Source(
        int(page.imagewidth),
        int(page.imagelength),
        stored,
        depth,
        alpha,
        partial(with_grey_profile, decode, icc),
        rgb_icc(icc),
        None,
        orientation,
        linear=stored == "float32",
        lossy=int(page.compression) in (6, 7),
    )


def _decode_plain(path: Path, channels: int, alpha: bool, icc: bytes | None) -> Decoded:
    """Through tifffile, to interleaved samples in a stored type."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            page: Any = tiff.pages[0]
            _check_segments(path, page)
            pixels, colormap = page.asarray(), page.colormap
    except InputError:
        raise
    except Exception as error:  # as above
        raise damaged(path, "TIFF") from error
    if pixels.ndim == 3 and page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == _PALETTE:
        table = np.ascontiguousarray((np.asarray(colormap).T >> 8).astype(np.uint8))
        return table[pixels if pixels.ndim == 2 else pixels[..., 0]], None
    pixels = _stored_type(pixels, bool(page.photometric == _WHITE_IS_ZERO), str(path))
    if page.photometric == _CMYK:
        return _cmyk(pixels, icc), None
    if pixels.ndim == 2:
        return pixels, None
    opacity = np.ascontiguousarray(pixels[..., channels]) if alpha else None
    colour = pixels[..., 0] if channels == 1 else pixels[..., :3]
    return np.ascontiguousarray(colour), opacity


def _check_segments(path: Path, page: Any) -> None:
    """Raise when a strip or tile lies beyond the end of the file: tifffile would fill it with zeros."""
    size = path.stat().st_size
    if any(offset + count > size for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise damaged(path, "TIFF")


def _stored_type(pixels: Array, inverted: bool, name: str) -> Array:
    """bool to 0/255, half and double to float32, white-is-zero turned round."""
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32, copy=False)
        check_finite(pixels, f"'{name}'")
    elif inverted:
        pixels = np.invert(pixels)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def _cmyk(pixels: Array, icc: bytes | None) -> Array:
    from PIL import Image

    inks = np.ascontiguousarray(pixels[..., :4])
    image = Image.frombuffer("CMYK", (inks.shape[1], inks.shape[0]), inks, "raw", "CMYK", 0, 1)
    return pillow_array(convert_to_srgb(image, icc))


def _decode_foreign(path: Path, stored: str, icc: bytes | None, orientation_at: int | None) -> Decoded:
    """The codecs tifffile leaves to imagecodecs. cv2 would turn the pixels itself, so the tag is set to 1 for it."""
    if stored == "uint8":
        from PIL.TiffImagePlugin import TiffImageFile

        return pillow_decode(path, "TIFF", TiffImageFile, icc)
    data = load_bytes(path)
    if orientation_at is not None:
        order: Literal["big", "little"] = "big" if data[0] == ord("M") else "little"
        data[orientation_at : orientation_at + 2] = list((1).to_bytes(2, order))
    stored_pixels = cv2_module().imdecode(data, cv2_module().IMREAD_UNCHANGED)
    if stored_pixels is None:
        raise damaged(path, "TIFF")
    pixels, alpha = to_rgb(stored_pixels)
    if pixels.dtype.kind == "f":
        check_finite(pixels, f"'{path}'")
    return pixels, alpha


def _deflate(make: MakeRows, dtype: np.dtype[Any], y0: int, y1: int) -> bytes:
    """Rows as one TIFF strip: horizontal differences (predictor 2), deflated."""
    rows = np.ascontiguousarray(make(y0, y1), dtype)
    pixel = rows.shape[2] if rows.ndim == 3 else 1
    rows = rows.reshape(y1 - y0, -1)
    differences = np.empty_like(rows)
    deltas(rows, pixel, differences)
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
    """Write (H, W), (H, W, 3) or (H, W, 4) uint8 or uint16, deflated on two threads, strip by strip from `make`.

    A fourth channel is marked as associated alpha with `premultiplied`, else as unassociated. Atomic.
    """
    import tifffile

    dtype = np.dtype(f"<u{bits // 8}")
    row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    step = max(1, _STRIP_BYTES // row_bytes)
    colour = len(shape) == 3
    extra = ["assocalpha" if premultiplied else "unassalpha"] if colour and shape[2] == 4 else None
    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary,
            in_strips(partial(_deflate, make, dtype), shape[0], step),
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
