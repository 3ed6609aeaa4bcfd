"""The EXIF of a cut-out, rebuilt from tags that are known to be harmless, never copied as a block.

A camera's EXIF shows more than the pixels that are delivered: IFD1 is a thumbnail of the whole photograph with the
background that was removed, maker notes hold previews and serial numbers, and GPS holds where it was taken.
Tags: EXIF 3.0 (CIPA DC-008-2023), sections 4.6.4 to 4.6.7; XP* are Windows'.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x8769, 0x8825, 0xA005
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}
"""Bytes of a value by type; 129 is UTF-8 text."""
_LONGEST = 4096
"""Bytes of the longest value that is kept: plain metadata is shorter."""

_MAIN = frozenset((
    0x010E, 0x010F, 0x0110, 0x0112, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x4746, 0x4749, 0x8298, 0x9C9B, 0x9C9E,
    0x9C9F,
))  # fmt: skip
"""Description, make, model, orientation, resolution, software, date, rating, copyright, title, keywords, subject."""
_MAIN_PERSONAL = frozenset((0x010D, 0x013B, 0x013C, 0x9C9C, 0x9C9D, 0xC62F, 0xFDE8, 0xFDE9))
"""Document name, artist, host computer, comment, author, camera's serial number, owner's name, serial number."""
_PHOTO = frozenset((
    0x829A, 0x829D, 0x8822, 0x8824, 0x8827, *range(0x8830, 0x8836), 0x9000, 0x9003, 0x9004, 0x9010, 0x9011, 0x9012,
    0x9101, 0x9102, *range(0x9201, 0x920B), 0x9290, 0x9291, 0x9292, *range(0x9400, 0x9406), 0xA000, 0xA001, 0xA20B,
    0xA20E, 0xA20F, 0xA210, 0xA215, 0xA217, 0xA300, 0xA301, *range(0xA401, 0xA40B), 0xA40C, 0xA432, 0xA433, 0xA434,
    0xA436, 0xA439, 0xA43A, 0xA43B, 0xA43C, 0xA460, 0xA461, 0xA500,
))  # fmt: skip
"""How it was taken: exposure, dates, light, lens, colour space, scene, firmware. Sizes in pixels are left out."""
_PHOTO_PERSONAL = frozenset((0x9286, 0xA420, 0xA430, 0xA431, 0xA435, 0xA437, 0xA438))
"""User comment, unique id, owner's name, serial numbers of body and lens, photographer, editor."""
_INTEROP = frozenset((1, 2))
_GPS = frozenset(range(0x20))


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value: bytes


def clean_exif(exif: bytes | None, keep_metadata: bool = False) -> bytes | None:
    """A new EXIF blob with the tags that a cut-out may have; None where none is left.

    Never kept: the thumbnail (IFD1), maker notes, and tags that are not known, which may hold pictures too.

    Args:
        exif: A blob from the byte order mark on. Entries that cannot be read are left out.
        keep_metadata: Keep who, where and which camera: GPS, serial numbers, owner, artist, comments.
    """
    order = {b"II": "<", b"MM": ">"}.get((exif or b"")[:2])
    if exif is None or order is None or len(exif) < 8:
        return None
    (first,) = struct.unpack_from(order + "I", exif, 4)
    main = {entry.tag: entry for entry in _entries(exif, order, first)}
    photo = {entry.tag: entry for entry in _entries(exif, order, _pointer(main, _EXIF_IFD, order))}
    interop = list(_entries(exif, order, _pointer(photo, _INTEROP_IFD, order)))
    places = list(_entries(exif, order, _pointer(main, _GPS_IFD, order))) if keep_metadata else []
    tags = (_MAIN | _MAIN_PERSONAL, _PHOTO | _PHOTO_PERSONAL) if keep_metadata else (_MAIN, _PHOTO)
    return _build(
        order,
        [entry for entry in main.values() if entry.tag in tags[0]],
        [entry for entry in photo.values() if entry.tag in tags[1]],
        [entry for entry in interop if entry.tag in _INTEROP],
        [entry for entry in places if entry.tag in _GPS],
    )


def _entries(exif: bytes, order: str, offset: int) -> Iterator[_Entry]:
    """The entries of a directory whose values lie within the blob; none for offset 0."""
    if not 8 <= offset <= len(exif) - 2:
        return
    (count,) = struct.unpack_from(order + "H", exif, offset)
    for place in range(offset + 2, min(offset + 2 + 12 * count, len(exif) - 11), 12):
        tag, kind, number = struct.unpack_from(order + "HHI", exif, place)
        size = _SIZE.get(kind, 0) * number
        start = place + 8 if size <= 4 else struct.unpack_from(order + "I", exif, place + 8)[0]
        if 0 < size <= _LONGEST and start + size <= len(exif):
            yield _Entry(tag, kind, number, exif[start : start + size])


def _pointer(entries: dict[int, _Entry], tag: int, order: str) -> int:
    """The offset of the directory that an entry leads to, 0 where there is none."""
    entry = entries.get(tag)
    if entry is None or entry.count != 1 or len(entry.value) != 4:
        return 0
    offset: int = struct.unpack(order + "I", entry.value)[0]
    return offset


def _build(
    order: str, main: list[_Entry], photo: list[_Entry], interop: list[_Entry], places: list[_Entry]
) -> bytes | None:
    """A blob with IFD0 and those of the other directories that hold anything; no IFD1.

    Directories that are led to come first, so that each offset is known when it is written.
    """
    blob = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 0))
    for tag, inner, outer in ((_INTEROP_IFD, interop, photo), (_EXIF_IFD, photo, main), (_GPS_IFD, places, main)):
        if inner:
            outer.append(_Entry(tag, 4, 1, struct.pack(order + "I", _append(blob, order, inner))))
    if not main:
        return None
    blob[4:8] = struct.pack(order + "I", _append(blob, order, main))
    return bytes(blob)


def _append(blob: bytearray, order: str, entries: list[_Entry]) -> int:
    """Adds a directory with its values behind it; its offset."""
    offset = len(blob)
    values, start = bytearray(), offset + 2 + 12 * len(entries) + 4
    blob += struct.pack(order + "H", len(entries))
    for entry in sorted(entries, key=lambda entry: entry.tag):
        blob += struct.pack(order + "HHI", entry.tag, entry.kind, entry.count)
        if len(entry.value) <= 4:
            blob += entry.value.ljust(4, b"\0")
        else:
            blob += struct.pack(order + "I", start + len(values))
            values += entry.value + b"\0" * (len(entry.value) % 2)
    blob += b"\0\0\0\0" + values
    return offset
