"""The pixel aspect in the header of Matroska and WebM, which FFmpeg writes from a field that PyAV does not reach.

The muxer is given a track name of blanks. Afterwards its room is used for DisplayWidth and DisplayHeight, so that no
other element moves. Elements: RFC 9559 (Matroska), sections 5.1.4.1.28.12 to 14; sizes and CRC-32: RFC 8794 (EBML).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

SUFFIXES = (".mkv", ".webm")
ROOM = " " * 32
"""The track name to give to the picture's stream before the header is written."""

_SEGMENT, _TRACKS, _ENTRY, _VIDEO, _NAME = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x536E
_VOID, _CRC = 0xEC, 0xBF
_DISPLAY = (0x54B0, 0x54BA, 0x54B2)
"""Width, height and their unit."""
_ASPECT_RATIO = 3
_HEAD = 1 << 20


def write_pixel_aspect(path: Path, size: tuple[int, int], aspect: Fraction) -> None:
    """State in a finished file, muxed with the track name `ROOM`, that its pixels are `aspect` times as wide as high.

    Matroska gets the exact ratio of the sides, WebM, which knows only pixels, the width rounded to one.
    """
    with open(path, "r+b") as file:
        head = bytearray(file.read(_HEAD))
        start, end = _tracks(head)
        for kind, first, last in _children(head, start, end):
            if kind == _ENTRY:
                head[first:last] = _rebuilt(bytes(head[first:last]), _display(size, aspect, path))
        kind, first, last = _header(head, start)
        if kind == _CRC:
            head[first:last] = struct.pack("<I", zlib.crc32(head[last:end]))
        file.seek(start)
        file.write(head[start:end])


def _tracks(head: bytearray) -> tuple[int, int]:
    """Where the contents of the first segment's Tracks lie."""
    position = 0
    while position < len(head):
        kind, start, end = _header(head, position)
        if kind == _TRACKS and end <= len(head):
            return start, end
        position = start if kind == _SEGMENT else end
    raise ValueError(f"no Tracks in the first {len(head)} bytes")


def _rebuilt(entry: bytes, display: bytes) -> bytes:
    """The contents of a track entry in the same length, its blank name exchanged for `display` in its video settings.

    What is over becomes a Void element; an entry without the blank name is another track and stays.
    """
    blank, made = False, b""
    for kind, first, last in _children(entry, 0, len(entry)):
        data = entry[first:last]
        if kind == _VIDEO:
            kept = [(k, data[a:b]) for k, a, b in _children(data, 0, len(data)) if k not in _DISPLAY]
            data = b"".join(_packed(k, body) for k, body in kept) + display
        if kind == _NAME and data == ROOM.encode():
            blank = True
        else:
            made += _packed(kind, data)
    return made + _packed(_VOID, bytes(len(entry) - len(made) - 2)) if blank else entry


def _display(size: tuple[int, int], aspect: Fraction, path: Path) -> bytes:
    width, height = size
    if path.suffix.lower() == ".webm":
        sides, unit = (round(width * aspect), height), b""
    else:
        shape = Fraction(width, height) * aspect
        sides, unit = (shape.numerator, shape.denominator), _packed(_DISPLAY[2], bytes([_ASPECT_RATIO]))
    return _packed(_DISPLAY[0], _number(sides[0])) + _packed(_DISPLAY[1], _number(sides[1])) + unit


def _children(data: bytes | bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(ID, begin and end of the contents) of the elements in data[start:end]."""
    while start < end:
        kind, first, start = _header(data, start)
        yield kind, first, start


def _header(data: bytes | bytearray, position: int) -> tuple[int, int, int]:
    """An element's ID, and where its contents begin and end."""
    length = 9 - data[position].bit_length()
    kind = int.from_bytes(data[position : position + length], "big")
    position += length
    length = 9 - data[position].bit_length()
    value = int.from_bytes(data[position : position + length], "big") & ((1 << 7 * length) - 1)
    return kind, position + length, position + length + value


def _packed(kind: int, data: bytes) -> bytes:
    """An element, its size in as few bytes as hold it."""
    length = next(n for n in range(1, 9) if len(data) < (1 << 7 * n) - 1)
    return _number(kind) + (len(data) | 1 << 7 * length).to_bytes(length, "big") + data


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, -(-value.bit_length() // 8)), "big")
