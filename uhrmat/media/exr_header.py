"""Parses the header of an EXR, so that the memory that decoding takes is known before the library is called.

Source: OpenEXR File Layout (https://openexr.com/en/latest/OpenEXRFileLayout.html). Of a file with several parts the
first is the picture.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uhrmat.core.errors import InputError
from uhrmat.media.icc import REC709, Chromaticities, differs, is_plausible
from uhrmat.media.limits import MAX_CHANNELS, check_count, check_plausible
from uhrmat.media.source import damaged_error, unsupported_error

HALF, FLOAT = 1, 2
_MAX_ATTRIBUTES = 4096
_MAX_NAME = 255
_LONGEST_KEPT = 1 << 16
"""Limits on what a header is read for: its attributes, the bytes of a name and of a value that is kept."""
_DEEP_DATA, _MULTI_PART = 0x800, 0x1000
_TYPE_BYTES = {0: 4, HALF: 2, FLOAT: 4}
_ROWS_OF_CHUNK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
_MOST_TO_ONE = {0: 1, 1: 64, 2: 1032, 3: 1032}
"""The most bytes that one byte can unpack to, by compression: none, run lengths of 128, ZIP by one and by 16 rows."""
Window = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Header:
    """The header of an EXR's first part.

    Attributes:
        display: Display window: left, top, right, bottom, inclusive.
        data: Data window, likewise.
        channels: The type of each channel by name, in the file's order: 0 integer, 1 half, 2 float.
        pixel_aspect: A pixel's width over its height.
        chromaticities: None where they are Rec. 709's.
        alpha_meaning: The value of uhrmat's own attribute, "straight" or "premultiplied"; "" where it is missing.
        stored_bytes: Bytes of all channels of all parts over their data windows, as the library holds them.
    """

    display: Window
    data: Window
    channels: Mapping[str, int]
    pixel_aspect: float
    chromaticities: Chromaticities | None
    alpha_meaning: str
    stored_bytes: int


def size_of(window: Window) -> tuple[int, int]:
    """Width and height."""
    return window[2] - window[0] + 1, window[3] - window[1] + 1


def read_header(path: Path, alpha_attribute: str) -> Header:
    """Read a header.

    Args:
        path: The file.
        alpha_attribute: Name of the text attribute that becomes `alpha_meaning`.

    Raises:
        InputError: The file is damaged, has deep data or subsampled channels, or counts or sizes that no picture has.
    """
    try:
        with open(path, "rb") as file:
            parts = _parts(path, file)
        first = parts[0]
        header = _header(first, alpha_attribute, sum(_stored_bytes(part) for part in parts))
        compression = first["compression"][0]
        samplings = _samplings(first["channels"])
    except InputError:
        raise
    except (struct.error, KeyError, ValueError, IndexError) as error:
        raise damaged_error(path, "EXR") from error
    check_count(path, len(header.channels), MAX_CHANNELS, "channels")
    if any(sampling != (1, 1) for sampling in samplings):
        raise unsupported_error(path, "an EXR of subsampled channels")
    if min(*size_of(header.data), *size_of(header.display)) < 1:
        raise damaged_error(path, "EXR")
    if len(parts) == 1:
        _check_length(path, header, compression, "tiles" in first)
    return header


def _check_length(path: Path, header: Header, compression: int, tiled: bool) -> None:
    """The file must be long enough for its table of chunks, and for its pixels where those can be compared."""
    needed = header.stored_bytes // _MOST_TO_ONE[compression] if compression in _MOST_TO_ONE else 0
    if not tiled:
        needed = max(needed, 8 * (size_of(header.data)[1] // _ROWS_OF_CHUNK.get(compression, 256)))
    check_plausible(path, "EXR", path.stat().st_size, needed)


def _parts(path: Path, file: BinaryIO) -> list[dict[str, bytes]]:
    """The attributes of each part: of the first only where the file has but one."""
    _, version = struct.unpack("<II", file.read(8))
    if version & _DEEP_DATA and not version & _MULTI_PART:
        raise unsupported_error(path, "an EXR of deep data")
    parts = [_attributes(path, file)]
    while version & _MULTI_PART and (more := _attributes(path, file)):
        parts.append(more)
        check_count(path, len(parts), MAX_CHANNELS, "parts")
    return parts


def _stored_bytes(part: Mapping[str, bytes]) -> int:
    width, height = size_of(struct.unpack("<4i", part["dataWindow"]))
    return max(0, width) * max(0, height) * sum(_TYPE_BYTES[kind] for kind in _channels(part["channels"]).values())


def _attributes(path: Path, file: BinaryIO) -> dict[str, bytes]:
    """The attributes of one part, by name; those that are too long and not needed are empty."""
    attributes: dict[str, bytes] = {}
    while True:
        name = _text(file)
        if not name:
            break
        check_count(path, len(attributes) + 1, _MAX_ATTRIBUTES, "header attributes")
        _text(file)
        (length,) = struct.unpack("<I", file.read(4))
        if length <= _LONGEST_KEPT or name == "channels":
            value = file.read(min(length, _LONGEST_KEPT))
            if len(value) < min(length, _LONGEST_KEPT):
                raise ValueError("the header ends early")
            attributes[name] = value
            file.seek(length - len(value), 1)
        else:
            attributes[name] = b""
            file.seek(length, 1)
    if attributes.get("type", b"").startswith(b"deep"):
        raise unsupported_error(path, "an EXR of deep data")
    return attributes


def _text(file: BinaryIO) -> str:
    """A string that ends with a zero."""
    start = file.tell()
    head, end, _ = file.read(_MAX_NAME + 1).partition(b"\0")
    if not end:
        raise ValueError("a name without an end")
    file.seek(start + len(head) + 1)
    return head.decode("latin-1")


def _header(attributes: Mapping[str, bytes], alpha_attribute: str, stored_bytes: int) -> Header:
    numbers = (
        struct.unpack("<8f", attributes["chromaticities"]) if len(attributes.get("chromaticities", b"")) == 32 else None
    )
    (aspect,) = struct.unpack("<f", attributes.get("pixelAspectRatio", struct.pack("<f", 1.0)))
    display: Window = struct.unpack("<4i", attributes["displayWindow"])
    data: Window = struct.unpack("<4i", attributes["dataWindow"])
    meaning = attributes.get(alpha_attribute, b"").decode("latin-1")
    aspect = aspect if 0.01 < aspect < 100 else 1.0
    return Header(
        display=display,
        data=data,
        channels=_channels(attributes["channels"]),
        pixel_aspect=aspect,
        chromaticities=_own_chromaticities(numbers),
        alpha_meaning=meaning,
        stored_bytes=stored_bytes,
    )


def _own_chromaticities(numbers: tuple[float, ...] | None) -> Chromaticities | None:
    """Chromaticities that mean something else than Rec. 709, which a file without them means."""
    if numbers is None:
        return None
    given: Chromaticities = (
        numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], numbers[6], numbers[7],
    )  # fmt: skip
    return given if differs(given, REC709) and is_plausible(given) else None


def _channels(value: bytes) -> dict[str, int]:
    """Name and type of each channel: 0 integer, 1 half, 2 float."""
    types: dict[str, int] = {}
    position = 0
    while value[position]:
        end = value.index(b"\x00", position)
        kind = int.from_bytes(value[end + 1 : end + 5], "little")
        if kind not in _TYPE_BYTES:
            raise ValueError(f"a channel of type {kind}")
        types[value[position:end].decode("latin-1")] = kind
        position = end + 17
    return types


def _samplings(value: bytes) -> list[tuple[int, int]]:
    """The horizontal and vertical subsampling of each channel."""
    samplings: list[tuple[int, int]] = []
    position = 0
    while value[position]:
        end = value.index(b"\x00", position)
        x, y = struct.unpack_from("<ii", value, end + 9)
        samplings.append((x, y))
        position = end + 17
    return samplings
