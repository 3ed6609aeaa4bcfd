"""An EXR's header, attribute by attribute, so that what decoding would take is known before the library is asked.

Source: OpenEXR File Layout (openexr.com); of a file of several parts, the first.
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
_DEEP_DATA, _MULTI_PART = 0x800, 0x1000
_TYPE_BYTES = {0: 4, HALF: 2, FLOAT: 4}
_ROWS_OF_CHUNK = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
_MOST_TO_ONE = {0: 1, 1: 64, 2: 1032, 3: 1032}
"""The most bytes that one byte can stand for: uncompressed, run lengths of 128, ZIP by the row, ZIP by 16 rows."""
Window = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Header:
    """Windows are left, top, right, bottom, inclusive; `channels` gives each one's type, in the file's order.

    `stored_bytes` are those of all channels of all parts over their data windows, as the library holds them.
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
    """Raises `InputError` for damage, deep data, subsampled channels, and counts or sizes that no picture has."""
    try:
        with open(path, "rb") as file:
            parts = _parts(path, file)
        found = parts[0]
        header = _header(found, alpha_attribute, sum(_stored_bytes(part) for part in parts))
        compression = found["compression"][0]
        samplings = _samplings(found["channels"])
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
        _check_length(path, header, compression, "tiles" in found)
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
    found: dict[str, bytes] = {}
    while True:
        name = _text(file)
        if not name:
            break
        check_count(path, len(found) + 1, _MAX_ATTRIBUTES, "header attributes")
        _text(file)
        (length,) = struct.unpack("<I", file.read(4))
        if length <= _LONGEST_KEPT or name == "channels":
            value = file.read(min(length, _LONGEST_KEPT))
            if len(value) < min(length, _LONGEST_KEPT):
                raise ValueError("the header ends early")
            found[name] = value
            file.seek(length - len(value), 1)
        else:
            found[name] = b""
            file.seek(length, 1)
    if found.get("type", b"").startswith(b"deep"):
        raise unsupported_error(path, "an EXR of deep data")
    return found


def _text(file: BinaryIO) -> str:
    """A string that ends with a zero."""
    start = file.tell()
    head, end, _ = file.read(_MAX_NAME + 1).partition(b"\0")
    if not end:
        raise ValueError("a name without an end")
    file.seek(start + len(head) + 1)
    return head.decode("latin-1")


def _header(found: Mapping[str, bytes], alpha_attribute: str, stored_bytes: int) -> Header:
    numbers = struct.unpack("<8f", found["chromaticities"]) if len(found.get("chromaticities", b"")) == 32 else None
    (aspect,) = struct.unpack("<f", found.get("pixelAspectRatio", struct.pack("<f", 1.0)))
    display: Window = struct.unpack("<4i", found["displayWindow"])
    data: Window = struct.unpack("<4i", found["dataWindow"])
    meaning = found.get(alpha_attribute, b"").decode("latin-1")
    aspect = aspect if 0.01 < aspect < 100 else 1.0
    return Header(
        display=display,
        data=data,
        channels=_channels(found["channels"]),
        pixel_aspect=aspect,
        chromaticities=_given(numbers),
        alpha_meaning=meaning,
        stored_bytes=stored_bytes,
    )


def _given(numbers: tuple[float, ...] | None) -> Chromaticities | None:
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
    found: list[tuple[int, int]] = []
    position = 0
    while value[position]:
        end = value.index(b"\x00", position)
        x, y = struct.unpack_from("<ii", value, end + 9)
        found.append((x, y))
        position = end + 17
    return found
