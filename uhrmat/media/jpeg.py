"""JPEG segments: size, scans, whether the file is complete, and the memory that decoding takes.

Segments are read here because libjpeg fills what is missing with grey without an error, and because thumbnails in EXIF
have end markers of their own.
Source: ITU-T T.81 (https://www.w3.org/Graphics/JPEG/itu-t81.pdf), annex B (markers), annexes F and G (at least one bit
a block).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from uhrmat.media.colour import grey_icc, rgb_icc
from uhrmat.media.exif import read_orientation, strip_prefix
from uhrmat.media.limits import MAX_SCANS, check_count, check_plausible
from uhrmat.media.raster import cv2_decode, pillow_decode
from uhrmat.media.source import Decoded, DecodedHeader, damaged_error, unsupported_error

_MARKER = re.compile(rb"\xff([^\x00\xff])")
_AFTER_SCAN = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
"""What ends a scan's data: any marker but a stuffed zero and the restart markers."""
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_FRAMES = frozenset((0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF))
_HUFFMAN = frozenset((0xC0, 0xC1, 0xC2))
_HIERARCHICAL = frozenset((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF))
_PROGRESSIVE = frozenset((0xC2, 0xCA))
_SIDE = 8
"""Samples along a block's side."""


@dataclass(frozen=True, kw_only=True)
class JpegFrame:
    """What a JPEG's segments state about its picture.

    Attributes:
        kind: The frame's marker, SOF0 to SOF15.
        precision: Bits of a sample.
        width: Columns.
        height: Rows.
        blocks: Blocks of 8 × 8 samples of all components.
        scans: Number of scans.
        stored: Bytes of all scans.
    """

    kind: int
    precision: int
    width: int
    height: int
    blocks: int
    scans: int
    stored: int


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Marker, start and end of each segment's body up to the end marker; a scan's data belong to its SOS.

    Ends early where the file does. Bytes between segments are passed over, as libjpeg does.
    """
    position = 2
    while match := _MARKER.search(data, position):
        marker, position = match[1][0], match.end()
        if marker == _EOI:
            yield marker, position, position
            return
        if marker in (_SOI, _TEM) or 0xD0 <= marker <= 0xD7:
            continue
        start, position = position, position + int.from_bytes(data[position : position + 2], "big")
        if position > len(data):
            return
        if marker == _SOS:
            after = _AFTER_SCAN.search(data, position)
            position = after.start() if after else len(data)
        yield marker, start, position


def read_frame(path: Path, data: bytes) -> JpegFrame:
    """What the segments state about the picture; `InputError` without a frame, a scan or an end marker."""
    frame, scans, stored, ended = b"", 0, 0, False
    kind = 0
    for marker, start, end in _segments(data):
        if marker in _FRAMES and not frame:
            kind, frame = marker, data[start + 2 : end]
        elif marker == _SOS and frame:
            scans, stored = scans + 1, stored + end - start
        ended = marker == _EOI
    if not (ended and scans) or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise damaged_error(path, "JPEG")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    sampling = [(frame[7 + 3 * n] >> 4, frame[7 + 3 * n] & 15) for n in range(components)]
    if not sampling or any(h not in range(1, 5) or v not in range(1, 5) for h, v in sampling):
        raise damaged_error(path, "JPEG")
    most_h, most_v = (max(factors) for factors in zip(*sampling, strict=True))
    blocks = sum(_blocks(width * h, most_h) * _blocks(height * v, most_v) for h, v in sampling)
    return JpegFrame(
        kind=kind, precision=precision, width=width, height=height, blocks=blocks, scans=scans, stored=stored
    )


def _blocks(samples: int, subsampling: int) -> int:
    return -(-samples // (subsampling * _SIDE))


def _check(path: Path, frame: JpegFrame) -> None:
    """Raise for files that libjpeg cannot decode, or only slowly, or to nothing but grey."""
    if frame.precision != 8 or frame.kind in _HIERARCHICAL:
        what = "hierarchical JPEG" if frame.kind in _HIERARCHICAL else f"JPEG of {frame.precision} bits"
        raise unsupported_error(path, f"a {what}")
    check_count(path, frame.scans, MAX_SCANS, "scans")
    if frame.kind in _HUFFMAN:  # arithmetic coding can do with less than a bit a block
        check_plausible(path, "JPEG", frame.stored, frame.blocks // 8)


def open_jpeg_source(path: Path) -> DecodedHeader:
    """Header of a JPEG: grey, YCbCr, RGB or CMYK, baseline or progressive."""
    from PIL.JpegImagePlugin import JpegImageFile

    frame = read_frame(path, path.read_bytes())
    _check(path, frame)
    try:
        with JpegImageFile(str(path)) as image:  # Image.open would apply a pixel limit of its own
            width, height, mode = image.width, image.height, image.mode
            icc, exif = image.info.get("icc_profile"), strip_prefix(image.info.get("exif"))
    except MemoryError:
        raise
    except Exception as error:  # as in pillow_decode
        raise damaged_error(path, "JPEG") from error
    if (width, height) != (frame.width, frame.height):
        raise damaged_error(path, "JPEG")
    pixels = width * height
    coefficients = frame.blocks * _SIDE * _SIDE * 2 if frame.scans > 1 or frame.kind in _PROGRESSIVE else 0
    notes: list[str] = []
    if mode == "CMYK":
        decode, taken = partial(pillow_decode, path, "JPEG", JpegImageFile, icc), (4 + 4 + 3) * pixels
    else:
        shape = (height, width) if mode == "L" else (height, width, 3)
        decode, taken = partial(_decode, path, shape, notes), 3 * pixels
    return DecodedHeader(
        width=width,
        height=height,
        dtype="uint8",
        bit_depth=8,
        has_alpha=False,
        decode=decode,
        icc=rgb_icc(icc),
        exif=exif,
        orientation=read_orientation(exif),
        lossy=True,
        grey_icc=grey_icc(icc) if mode == "L" else None,
        decode_bytes=taken + coefficients,
        notes=notes,
    )


def _decode(path: Path, shape: tuple[int, ...], notes: list[str]) -> Decoded:
    """Through cv2; a note where libjpeg met data that are no JPEG data, an error where they ended early."""
    printed: list[str] = []
    decoded = cv2_decode(path, "JPEG", shape, printed=printed)
    if any(line.startswith("Premature end of JPEG") for line in printed):
        raise damaged_error(path, "JPEG")
    corrupt = [line for line in printed if line.startswith(("Corrupt JPEG data", "Inconsistent progression"))]
    if corrupt:
        notes.append(f"{path.name} is damaged inside ({corrupt[0]}): a part of the picture may be wrong")
    return decoded
