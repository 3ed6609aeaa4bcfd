"""PNG and WebP headers, read chunk by chunk: size, profile, EXIF, and whether the file is whole.

The walk is ours because cv2 decodes a cut file to half a picture and Pillow has limits of its own on a picture's size.
Source: PNG Specification, third edition; WebP Container Specification (Google); RFC 6386 and the WebP lossless format.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from uhrmat.media.colour import grey_icc, rgb_icc
from uhrmat.media.exif import read_orientation, strip_prefix
from uhrmat.media.raster import cv2_decode, pillow_decode
from uhrmat.media.source import Decoded, Source, damaged, load_bytes

_MAX_ICC = 1 << 26


def _png_chunks(data: memoryview, path: Path) -> Iterator[tuple[bytes, memoryview]]:
    """Every chunk up to IEND, its CRC checked; `InputError` when the file ends before."""
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
    raise damaged(path, "PNG")


def _png_profile(body: bytes) -> bytes | None:
    """The ICC bytes of an iCCP chunk; None when they do not unpack or are absurdly large."""
    packed = body.partition(b"\x00")[2][1:]
    try:
        unpack = zlib.decompressobj()
        icc = unpack.decompress(packed, _MAX_ICC)
    except zlib.error:
        return None
    return icc if unpack.eof else None


def _keyed_grey(path: Path, shape: tuple[int, int], key: int) -> Decoded:
    """16-bit grey of which one level means transparent: cv2 does not look, and Pillow truncates."""
    grey, _ = cv2_decode(path, "PNG", shape, "uint16")
    return grey, np.where(grey == key, 0, 65535).astype(np.uint16)


def open_png_source(path: Path) -> Source:
    """Header of a PNG; the whole file is checked for completeness."""
    chunks: dict[bytes, bytes] = {}
    for kind, body in _png_chunks(load_bytes(path).data, path):
        if kind != b"IDAT":
            chunks.setdefault(kind, bytes(body))
    if len(chunks.get(b"IHDR", b"")) != 13:
        raise damaged(path, "PNG")
    width, height, bits, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    keyed = b"tRNS" in chunks
    icc = _png_profile(chunks[b"iCCP"]) if b"iCCP" in chunks else None
    exif = strip_prefix(chunks.get(b"eXIf"))
    if colour == 3 or (keyed and bits <= 8):
        from PIL.PngImagePlugin import PngImageFile

        decode = partial(pillow_decode, path, "PNG", PngImageFile, None)
    else:
        shape = (height, width) if colour == 0 else (height, width, 3 if colour == 2 and not keyed else 4)
        decode = partial(cv2_decode, path, "PNG", shape, "uint16" if bits == 16 else "uint8")
    if keyed and colour == 0 and bits == 16:
        decode = partial(_keyed_grey, path, (height, width), int.from_bytes(chunks[b"tRNS"][:2], "big"))
    depth = 16 if bits == 16 else 8
    alpha = colour in (4, 6) or keyed
    profile, grey = rgb_icc(icc), grey_icc(icc) if colour in (0, 4) else None
    orientation = read_orientation(exif)
    return Source(width, height, f"uint{depth}", depth, alpha, decode, profile, exif, orientation, grey_icc=grey)


def _webp_chunks(data: memoryview, path: Path) -> dict[bytes, memoryview]:
    """The first chunk of every kind; `InputError` when the file is shorter than it says."""
    end = 8 + int.from_bytes(data[4:8], "little")
    chunks: dict[bytes, memoryview] = {}
    position = 12
    while position + 8 <= end <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        chunks.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
    if position < end or not chunks:
        raise damaged(path, "WebP")
    return chunks


def _webp_size(chunks: dict[bytes, memoryview]) -> tuple[int, int, bool]:
    """Width, height and whether there is alpha; `struct.error` or KeyError when the header is broken."""
    if b"VP8X" in chunks:
        flags, width, width_high, height, height_high = struct.unpack_from("<B3xHBHB", chunks[b"VP8X"])
        return 1 + width + (width_high << 16), 1 + height + (height_high << 16), bool(flags & 0x10)
    if b"VP8L" in chunks:
        (packed,) = struct.unpack_from("<xI", chunks[b"VP8L"])
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)
    width, height = struct.unpack_from("<6xHH", chunks[b"VP8 "])
    return width & 0x3FFF, height & 0x3FFF, False


def open_webp_source(path: Path) -> Source:
    """Header of a WebP, its first frame where it moves."""
    chunks = _webp_chunks(load_bytes(path).data, path)
    try:
        width, height, alpha = _webp_size(chunks)
    except (struct.error, KeyError) as error:
        raise damaged(path, "WebP") from error
    icc = bytes(chunks[b"ICCP"]) if b"ICCP" in chunks else None
    exif = strip_prefix(bytes(chunks[b"EXIF"])) if b"EXIF" in chunks else None
    decode = partial(cv2_decode, path, "WebP", (height, width, 4 if alpha else 3))
    lossy = b"VP8L" not in chunks
    return Source(width, height, "uint8", 8, alpha, decode, rgb_icc(icc), exif, read_orientation(exif), lossy=lossy)
