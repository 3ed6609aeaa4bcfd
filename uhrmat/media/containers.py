"""PNG and WebP headers, read chunk by chunk: size, profile, EXIF, and whether the file is whole.

Chunks are read here because cv2 decodes a truncated file to half a picture, and Pillow limits a picture's size.
Decoders get only the chunks that make the pixels: text and profiles may unpack to gigabytes, and libpng warns about
profiles that are in wide use.
Sources: PNG Specification, third edition (https://www.w3.org/TR/png-3/); WebP Container Specification
(https://developers.google.com/speed/webp/docs/riff_container); RFC 6386 and the WebP lossless format (RFC 9649).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from uhrmat.media.colour import grey_icc, rgb_icc
from uhrmat.media.exif import read_orientation, strip_prefix
from uhrmat.media.limits import check_count, check_plausible
from uhrmat.media.png_colour import colour_chunks, png_profile
from uhrmat.media.raster import cv2_decode, pillow_decode
from uhrmat.media.source import Decoded, DecodedHeader, damaged_error, load_bytes, unsupported_error

_MAX_ICC = 1 << 24
"""Bytes of the largest profile that is read; those in use are far smaller."""
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MAKE_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
_HARMLESS = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"pHYs": 9, b"tIME": 7}
"""Other chunks that decoders may see, by their fixed length in bytes."""
_DEFLATE_MOST = 1032
"""The most bytes that one byte of deflated data can unpack to (zlib, https://zlib.net/zlib_tech.html)."""
_SLACK = 1 << 16
"""Bytes of tolerance on the largest plausible size of deflated data."""
_LIBPNG_SIDE = 1_000_000
"""libpng's limit on a side in pixels (PNG_USER_WIDTH_MAX)."""
_MAX_CHUNKS = 10_000
"""Chunks beside the pixels that are read at most; libpng's own limit is a thousand."""


def _png_chunks(data: memoryview, path: Path) -> Iterator[tuple[bytes, memoryview]]:
    """Every chunk up to IEND, its CRC checked; `InputError` where the file ends before."""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        position += 12 + length
        if position > len(data):
            break
        if zlib.crc32(body, zlib.crc32(kind)) != struct.unpack_from(">I", data, position - 4)[0]:
            break
        yield kind, body
        if kind == b"IEND":
            return
    raise damaged_error(path, "PNG")


def _png_profile(body: bytes) -> bytes | None:
    """The ICC bytes of an iCCP chunk; None when they do not unpack or are absurdly large."""
    packed = body.partition(b"\x00")[2][1:]
    try:
        unpack = zlib.decompressobj()
        icc = unpack.decompress(packed, _MAX_ICC)
    except zlib.error:
        return None
    return icc if unpack.eof else None


def _pixel_chunks(path: Path) -> list[memoryview] | None:
    """The file in pieces, without the chunks that make no pixels; None where it can be decoded as it is."""
    data, pieces, left_out = load_bytes(path).data, list[memoryview](), False
    pieces.append(data[:8])
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind in _MAKE_PIXELS:
            pieces.append(data[position : position + 12 + length])
        elif _HARMLESS.get(kind) != length:
            left_out = True
        position += 12 + length
        if kind == b"IEND":
            break
    return pieces if left_out else None


def _cv2_png(path: Path, shape: tuple[int, ...], dtype: str) -> Decoded:
    return cv2_decode(path, "PNG", shape, dtype, _pixel_chunks(path))


def _pillow_png(path: Path) -> Decoded:
    from PIL.PngImagePlugin import PngImageFile

    return pillow_decode(path, "PNG", PngImageFile, None, _pixel_chunks(path))


def _keyed_grey(path: Path, shape: tuple[int, int], key: int) -> Decoded:
    """16-bit grey of which one level means transparent: cv2 does not look, and Pillow truncates."""
    grey, _ = _cv2_png(path, shape, "uint16")
    return grey, np.where(grey == key, 0, 65535).astype(np.uint16)


def _png_header(path: Path, body: bytes, stored: int) -> tuple[int, int, int, int]:
    """Width, height, bits and colour type; `InputError` for a header that no PNG has, or too few `stored` bytes."""
    if len(body) != 13:
        raise damaged_error(path, "PNG")
    width, height, bits, colour, packing, filters, interlace = struct.unpack(">IIBBBBB", body)
    if bits not in _DEPTHS.get(colour, ()) or packing or filters or interlace > 1:
        raise damaged_error(path, "PNG")
    unpacked = width * height * bits * _SAMPLES[colour] // 8
    check_plausible(path, "PNG", stored, unpacked // _DEFLATE_MOST)
    check_count(path, stored, 4 * (unpacked + height) + _SLACK, "bytes of pixel data")
    return width, height, bits, colour


def open_png_source(path: Path) -> DecodedHeader:
    """Header of a PNG; the whole file is checked for completeness."""
    chunks: dict[bytes, bytes] = {}
    stored = others = 0
    for kind, body in _png_chunks(load_bytes(path).data, path):
        if kind == b"IDAT":
            stored += len(body)
        else:
            others += 1
            check_count(path, others, _MAX_CHUNKS, "chunks beside the pixels")
            chunks.setdefault(kind, bytes(body))
    if b"CgBI" in chunks:
        raise unsupported_error(path, "a PNG in the variety of iPhone programs (CgBI)")
    width, height, bits, colour = _png_header(path, chunks.get(b"IHDR", b""), stored)
    keyed = b"tRNS" in chunks
    icc = _png_profile(chunks[b"iCCP"]) if b"iCCP" in chunks else None
    exif = strip_prefix(chunks.get(b"eXIf"))
    depth = 16 if bits == 16 else 8
    alpha = colour in (4, 6) or keyed
    decode: Callable[[], Decoded]
    wide = max(width, height) > _LIBPNG_SIDE
    if wide and bits == 16:
        raise unsupported_error(path, f"a PNG of 16 bits with a side of more than {_LIBPNG_SIDE} pixels")
    if colour == 3 or (keyed and bits <= 8) or wide:
        decode, taken = partial(_pillow_png, path), (8 if alpha else 7)
    else:
        channels = {0: 1, 2: 4 if keyed else 3}.get(colour, 4)
        shape = (height, width) if channels == 1 else (height, width, channels)
        decode, taken = partial(_cv2_png, path, shape, f"uint{depth}"), (depth // 8) * (channels + (channels == 4))
    if keyed and colour == 0 and bits == 16:
        decode, taken = partial(_keyed_grey, path, (height, width), int.from_bytes(chunks[b"tRNS"][:2], "big")), 12
    is_grey = colour in (0, 4)
    stated = colour_chunks(chunks, icc, is_grey)
    icc = png_profile(chunks, icc, is_grey)
    profile, grey = rgb_icc(icc), grey_icc(icc) if is_grey else None
    orientation = read_orientation(exif)
    return DecodedHeader(
        width=width,
        height=height,
        dtype=f"uint{depth}",
        bit_depth=depth,
        has_alpha=alpha,
        decode=decode,
        icc=profile,
        exif=exif,
        orientation=orientation,
        grey_icc=grey,
        png_colour=stated,
        decode_bytes=width * height * taken + 2 * stored,
    )


def _webp_chunks(data: memoryview, path: Path) -> dict[bytes, memoryview]:
    """The first chunk of every kind; `InputError` where the file is shorter than its header states."""
    end = 8 + int.from_bytes(data[4:8], "little")
    chunks: dict[bytes, memoryview] = {}
    position = 12
    while position + 8 <= end <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    if position < end or not chunks:
        raise damaged_error(path, "WebP")
    return chunks


def _webp_size(chunks: dict[bytes, memoryview]) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha; `struct.error` or KeyError when the header is broken."""
    if b"VP8X" in chunks:
        flags, width, width_high, height, height_high = struct.unpack_from("<B3xHBHB", chunks[b"VP8X"])
        canvas = 1 + width + (width_high << 16), 1 + height + (height_high << 16)
        still = {kind: body for kind, body in chunks.items() if kind in (b"VP8 ", b"VP8L")}
        if still and _webp_size(still)[:2] != canvas:
            raise KeyError("a canvas of another size than its picture")
        return *canvas, bool(flags & 0x10)
    if b"VP8L" in chunks:
        (packed,) = struct.unpack_from("<xI", chunks[b"VP8L"])
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)
    width, height = struct.unpack_from("<6xHH", chunks[b"VP8 "])
    return width & 0x3FFF, height & 0x3FFF, False


def open_webp_source(path: Path) -> DecodedHeader:
    """Header of a WebP, its first frame where it moves."""
    chunks = _webp_chunks(load_bytes(path).data, path)
    try:
        width, height, alpha = _webp_size(chunks)
    except (struct.error, KeyError) as error:
        raise damaged_error(path, "WebP") from error
    icc = bytes(chunks[b"ICCP"]) if b"ICCP" in chunks else None
    exif = strip_prefix(bytes(chunks[b"EXIF"])) if b"EXIF" in chunks else None
    decode = partial(cv2_decode, path, "WebP", (height, width, 4 if alpha else 3))
    lossy = b"VP8L" not in chunks
    pixels = width * height
    taken = (5 if alpha else 3) * pixels + (0 if lossy else 4 * pixels) + (8 * pixels if b"ANIM" in chunks else 0)
    return DecodedHeader(
        width=width,
        height=height,
        dtype="uint8",
        bit_depth=8,
        has_alpha=alpha,
        decode=decode,
        icc=rgb_icc(icc),
        exif=exif,
        orientation=read_orientation(exif),
        lossy=lossy,
        decode_bytes=taken,
    )
