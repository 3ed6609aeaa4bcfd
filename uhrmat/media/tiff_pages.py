"""Finds the image of a TIFF that is the picture, recognises cameras' raw files, and checks that image data are sound.

Source: TIFF 6.0 (NewSubfileType); TIFF Technical Note 1 (SubIFDs) and 2 (JPEG); Adobe DNG 1.7 and TIFF/EP (raw files).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

from uhrmat.media.limits import MAX_SEGMENTS, check_count, check_plausible
from uhrmat.media.source import damaged_error, unsupported_error

_MAX_IMAGES = 32
"""Images of one file that are examined, in the chain and in the SubIFDs of each of its members."""
_MOST_TO_ONE = {1: 1, 5: 2048, 8: 1032, 32946: 1032, 32773: 64}
"""The most bytes that one byte can unpack to, by compression: none, LZW, deflate, PackBits."""
_REDUCED, _MASK = 1, 4
_NEW_SUBFILE_TYPE, _OLD_SUBFILE_TYPE, _OLD_REDUCED = 254, 255, 2
_MAKE, _DNG_VERSION = 271, 50706
_SLACK = 1 << 14
"""Bytes that a strip or tile may be longer than four times its pixels: tables of JPEG, tiles at the edge."""
_CONTIGUOUS, _SEPARATE = 1, 2
_CFA, _LINEAR_RAW, _JPEG = 32803, 34892, 7
_RAW_NAMES = {
    "canon": "CR2",
    "epson": "ERF",
    "hasselblad": "3FR",
    "kodak": "DCR",
    "leaf": "MOS",
    "mamiya": "MEF",
    "nikon": "NEF",
    "pentax": "PEF",
    "phase one": "IIQ",
    "ricoh": "PEF",
    "samsung": "SRW",
    "sony": "ARW",
}


def main_page(path: Path, tiff: Any) -> Any:
    """The page of the picture: the first that is neither a reduced copy nor a mask, in the chain or in its SubIFDs.

    Args:
        path: The file.
        tiff: A `tifffile.TiffFile`.

    Raises:
        InputError: It is a camera's raw file, whatever its name.
    """
    first = tiff.pages[0]
    with open(path, "rb") as file:
        magic = file.read(12)
    if magic[8:10] == b"CR":
        raise _raw(path, "CR2")
    if magic[8:12] in (b"IIII", b"MMMM"):
        raise _raw(path, "IIQ")
    if _DNG_VERSION in first.tags:
        raise _raw(path, "DNG")
    pages = [first, *_below(first)]
    if _is_secondary(first):
        pages += [page for other in _chain(tiff) for page in (other, *_below(other))]
    if any(int(page.photometric) in (_CFA, _LINEAR_RAW) for page in pages):
        make = str(first.tags.valueof(_MAKE, "")).strip().lower()
        raise _raw(path, next((name for start, name in _RAW_NAMES.items() if make.startswith(start)), "raw"))
    return next((page for page in pages if not _is_secondary(page)), first)


def _raw(path: Path, kind: str) -> Exception:
    named = "a camera's raw photograph" if kind == "raw" else f"a raw photograph ({kind})"
    return unsupported_error(path, named, "Develop it first, and export it as 16-bit TIFF or PNG.")


def _is_secondary(page: Any) -> bool:
    """A reduced copy or a transparency mask of another image."""
    if _NEW_SUBFILE_TYPE in page.tags:
        return bool(int(page.subfiletype) & (_REDUCED | _MASK))
    return bool(page.tags.valueof(_OLD_SUBFILE_TYPE, 0) == _OLD_REDUCED)


def _chain(tiff: Any) -> Iterator[Any]:
    """The pages after the first, up to the first damaged one."""
    for index in range(1, _MAX_IMAGES):
        try:
            yield tiff.pages[index]
        except Exception:  # the end, or damage behind the picture, which does not matter
            return


def _below(page: Any) -> list[Any]:
    """The images in the SubIFDs of a page, as far as they can be read."""
    try:
        return [] if page.pages is None else list(islice(page.pages, _MAX_IMAGES))
    except Exception:  # as above
        return []


def check_segments(path: Path, page: Any) -> None:
    """Raise `InputError` unless all strips or tiles lie within the file and are long enough.

    tifffile would leave out those that are missing.
    """
    if page.planarconfig not in (_CONTIGUOUS, _SEPARATE) or prod(page.chunked) != _segments(page):
        raise damaged_error(path, "TIFF")
    size = path.stat().st_size
    count = _segments(page)
    check_count(path, max(count, len(page.dataoffsets)), MAX_SEGMENTS, "strips or tiles")
    places = list(zip(page.dataoffsets, page.databytecounts, strict=False))
    if len(places) < count or any(length < 1 or offset < 1 or offset + length > size for offset, length in places):
        raise damaged_error(path, "TIFF")
    stored = sum(length for _, length in places)
    if stored > size:
        raise damaged_error(path, "TIFF")
    bits = int(page.imagewidth) * int(page.imagelength) * int(page.samplesperpixel) * int(page.bitspersample)
    check_count(path, stored, bits // 2 + _SLACK * count, "bytes of pixel data")
    ratio = _MOST_TO_ONE.get(int(page.compression))
    if ratio is not None:
        check_plausible(path, "TIFF", stored, bits // 8 // ratio)


def _segments(page: Any) -> int:
    """The number of strips or tiles by the picture's size; tifffile's own is wrong for damaged headers."""
    width, height = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    planes = int(page.samplesperpixel) if page.planarconfig == _SEPARATE else 1
    return planes * -(-int(page.imagelength) // int(height)) * -(-int(page.imagewidth) // int(width))


def check_jpeg_segments(path: Path, page: Any) -> None:
    """Raise `InputError` unless each JPEG strip or tile is complete and fits its place: decoders rely on that."""
    if int(page.compression) != _JPEG:
        return
    limit = (page.tilewidth, page.tilelength) if page.is_tiled else (page.imagewidth, page.rowsperstrip)
    with open(path, "rb") as file:
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=False):
            file.seek(offset)
            if not _sound_jpeg(file.read(length), *limit):
                raise damaged_error(path, "TIFF")


def _sound_jpeg(data: bytes, width: int, height: int) -> bool:
    """Whether JPEG data are at most `width` × `height`, have a scan, and end with an end marker."""
    position = 2
    sized = False
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        if marker == 0xFF:
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            rows = int.from_bytes(data[position + 5 : position + 7], "big")
            columns = int.from_bytes(data[position + 7 : position + 9], "big")
            sized = 0 < rows <= height and 0 < columns <= width
            if not sized:
                return False
        if marker == 0xDA:
            return sized and data.find(b"\xff\xd9", position) >= 0
        position += 2 + length
    return False
