"""A streaming PNG encoder: rows in, file out, two threads of deflate, no second copy of the picture.

Why not cv2 or Pillow: both take the whole picture and compress on one thread. Rows are filtered with Sub, which needs
no row above, so blocks are independent: each becomes a raw deflate stream ended by a sync flush, and the streams join
into the one zlib stream that the format requires, as in pigz. Camera noise leaves little to match beyond runs (Z_RLE).
Source: PNG Specification, third edition (https://www.w3.org/TR/png-3/); RFC 1950 for the Adler-32 that ends the stream.
"""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import OutputError
from uhrmat.core.files import PathLike, atomic_write
from uhrmat.media.strips import MakeRows, horizontal_differences, map_strips

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}
_BLOCK_BYTES = 1 << 19
"""Bytes of rows that are deflated at once."""
_ADLER_BASE = 65521
_MAX_SIDE = 2**31 - 1

Rows = npt.NDArray[Any]
Chunks = tuple[tuple[bytes, bytes], ...]


def chunk(kind: bytes, data: bytes) -> bytes:
    """One PNG chunk: length, kind, data, CRC."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def _join_adler(first: int, second: int, second_length: int) -> int:
    """Adler-32 of two concatenated byte strings, from their own and the length of the second."""
    a = (first & 0xFFFF) + (second & 0xFFFF) - 1
    b = (first >> 16) + (second >> 16) + second_length * ((first & 0xFFFF) - 1)
    return (b % _ADLER_BASE) << 16 | a % _ADLER_BASE


class PngWriter:
    """Writes a PNG strip by strip, top to bottom. Made by `open_png`, and valid within its block."""

    def __init__(self, file: BinaryIO, width: int, height: int, channels: int, bit_depth: int) -> None:
        if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE) or channels not in _COLOUR_TYPE:
            raise OutputError(f"A PNG of {width}x{height} pixels with {channels} channels cannot be written.")
        if bit_depth not in (8, 16):
            raise OutputError(f"A PNG of {bit_depth} bits cannot be written.", "Choose 8 or 16.")
        self._file = file
        self._shape = (width, channels)
        self._dtype = np.dtype(np.uint8 if bit_depth == 8 else np.uint16)
        self._rows_left = height
        self._adler = 1
        self._stream_start = b"\x78\x01"  # zlib header: deflate, 32 KiB window, fastest
        header = struct.pack(">IIBBBBB", width, height, bit_depth, _COLOUR_TYPE[channels], 0, 0, 0)
        file.write(SIGNATURE + chunk(b"IHDR", header))

    def write(self, rows: Rows) -> None:
        """Append (n, W) or (n, W, C) rows of uint8 or uint16. They may be reused once this returns."""
        if rows.dtype != self._dtype or rows.size != len(rows) * self._shape[0] * self._shape[1]:
            raise ValueError(f"rows of {rows.dtype}, shape {rows.shape}, for a PNG of {self._dtype}, {self._shape}")
        self.write_from(lambda y0, y1: rows[y0:y1], len(rows))

    def write_from(self, make: MakeRows, count: int) -> None:
        """Append `count` rows; `make(y0, y1)` gives rows y0 up to y1 and is called on the encoder's threads."""
        if count > self._rows_left:
            raise ValueError(f"{count} rows for a PNG that lacks {self._rows_left}")
        self._rows_left -= count
        row_bytes = self._shape[0] * self._shape[1] * self._dtype.itemsize
        for block in map_strips(partial(self._encode, make), count, max(1, _BLOCK_BYTES // row_bytes)):
            self._append(*block)

    def _encode(self, make: MakeRows, y0: int, y1: int) -> tuple[bytes, int, int]:
        rows = np.ascontiguousarray(make(y0, y1), self._dtype.newbyteorder(">")).view(np.uint8).reshape(y1 - y0, -1)
        pixel = self._shape[1] * self._dtype.itemsize
        filtered = np.empty((y1 - y0, rows.shape[1] + 1), np.uint8)
        filtered[:, 0] = 1  # the Sub filter
        horizontal_differences(rows, pixel, filtered[:, 1:])
        deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, 9, zlib.Z_RLE)
        return (
            deflate.compress(filtered.data) + deflate.flush(zlib.Z_SYNC_FLUSH),
            zlib.adler32(filtered.data),
            filtered.size,
        )

    def _append(self, data: bytes, adler: int, size: int) -> None:
        self._adler = _join_adler(self._adler, adler, size)
        self._file.write(chunk(b"IDAT", self._stream_start + data))
        self._stream_start = b""

    def finish(self) -> None:
        """Close the stream; `ValueError` when rows are missing."""
        if self._rows_left:
            raise ValueError(f"a PNG that still lacks {self._rows_left} rows")
        self._file.write(chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", self._adler)) + chunk(b"IEND", b""))


def _ancillary(icc: bytes | None, exif: bytes | None, text: Mapping[str, str] | None, colour: Chunks) -> bytes:
    """The chunks before the pixels."""
    chunks = b"".join(chunk(kind, body) for kind, body in colour)
    if icc and not colour:
        chunks += chunk(b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(icc, 9))
    if exif:
        chunks += chunk(b"eXIf", exif)
    for key, value in (text or {}).items():
        chunks += chunk(b"tEXt", key.encode("latin-1") + b"\x00" + value.encode("latin-1", "replace"))
    return chunks


@contextlib.contextmanager
def open_png(
    path: PathLike,
    width: int,
    height: int,
    channels: int,
    bit_depth: int,
    icc: bytes | None = None,
    text: Mapping[str, str] | None = None,
    exif: bytes | None = None,
    colour: Chunks = (),
) -> Iterator[PngWriter]:
    """Open a PNG for writing; it appears when the block ends. Memory: a few blocks of half a megabyte.

    Args:
        path: The file.
        width: Columns.
        height: Rows; all must be written within the block.
        channels: 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA).
        bit_depth: 8 or 16.
        icc: A profile.
        text: Latin-1 keys and values of tEXt chunks.
        exif: A TIFF blob without JPEG's marker.
        colour: Colour chunks (kind, data), in place of `icc`.

    Raises:
        OutputError: The file cannot be written.
    """
    with atomic_write(path) as temporary, open(temporary, "wb") as file:
        writer = PngWriter(file, width, height, channels, bit_depth)
        file.write(_ancillary(icc, exif, text, colour))
        yield writer
        writer.finish()
