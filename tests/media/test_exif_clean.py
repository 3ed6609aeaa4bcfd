"""What of a photograph's EXIF goes along with a cut-out: read back by Pillow, in both byte orders."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from uhrmat.media import read_picture, write_rgb, write_rgba
from uhrmat.media.exif_clean import clean_exif

from .helpers import exif_blob, gradient

PRIVATE = {
    "artist": (0x013B, "Jane Artist"),
    "owner": (0xA430, "Jane Owner"),
    "photographer": (0xA437, "Jane Photographer"),
    "body serial": (0xA431, "SN-BODY-77"),
    "lens serial": (0xA435, "SN-LENS-88"),
    "comment": (0x9286, b"ASCII\0\0\0at home"),
    "author": (0x9C9D, "Jane".encode("utf-16-le") + b"\0\0"),
    "computer": (0x013C, "janes-laptop"),
    "unique id": (0xA420, "0123456789abcdef0123456789abcdef"),
}
PUBLIC = {
    0x010E: "A harbour",
    0x010F: "Maker",
    0x0110: "Model 5",
    0x8298: "(c) A. Agency",
    0x829A: IFDRational(1, 250),
    0x9003: "2024:05:06 07:08:09",
    0xA001: 1,
    0xA434: "50mm F1.4",
}
SECRETS = [value.encode() if isinstance(value, str) else value for _, value in PRIVATE.values()]


def thumbnail() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(gradient(120, 160)).save(stream, "JPEG")
    return stream.getvalue()


def camera_exif(order: str = "<") -> bytes:
    """As a camera writes it: IFD0, Exif, maker note, interoperability, GPS, and IFD1 with a thumbnail."""
    exif = Image.Exif()
    exif.endian = order
    photo: dict[int, object] = {0x927C: b"MAKER NOTE \xff\xd8\xff SN-MAKER-99", 0xA002: 640, 0xA40B: b"device"}
    for tag, value in [*PRIVATE.values(), *PUBLIC.items()]:
        if tag in (0x010E, 0x010F, 0x0110, 0x8298, 0x013B, 0x013C, 0x9C9D):
            exif[tag] = value
        else:
            photo[tag] = value
    exif[0x0112] = 6
    exif[0x83BB] = b"IPTC Jane"  # a block that is not known
    exif._ifds[0x8769] = {**photo, 0xA005: {1: "R98"}}  # type: ignore[assignment]
    exif._ifds[0x8825] = {1: "N", 2: (IFDRational(47), IFDRational(22), IFDRational(30)), 0x1D: "2024:05:06"}
    blob = bytearray(exif.tobytes().removeprefix(b"Exif\0\0"))
    (first,) = struct.unpack_from(order + "I", blob, 4)
    (count,) = struct.unpack_from(order + "H", blob, first)
    struct.pack_into(order + "I", blob, first + 2 + 12 * count, len(blob))  # IFD1
    data = thumbnail()
    blob += struct.pack(order + "H", 2) + struct.pack(order + "HHII", 0x201, 4, 1, len(blob) + 30)
    blob += struct.pack(order + "HHII", 0x202, 4, 1, len(data)) + bytes(4) + data
    return bytes(blob)


def opened(blob: bytes | None) -> Image.Exif:
    exif = Image.Exif()
    exif.load(b"Exif\0\0" + (blob or b""))
    return exif


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_camera_s_block_is_what_it_should_be(order: str) -> None:
    """The test's own input: else all others say nothing."""
    blob = camera_exif(order)
    assert all(secret in blob for secret in SECRETS) and b"MAKER NOTE" in blob
    assert opened(blob).get_ifd(0x8825)[1] == "N" and opened(blob).get_ifd(-1)[0x201]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pictures_and_blocks_never_go_along(order: str, keep: bool) -> None:
    result = clean_exif(camera_exif(order), keep)
    assert result is not None
    for secret in (b"\xff\xd8\xff", b"MAKER NOTE", b"SN-MAKER", b"IPTC", b"device"):
        assert secret not in result
    assert not opened(result).get_ifd(-1)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("name", PRIVATE)
def test_who_where_and_which_camera_only_where_it_is_asked_for(order: str, name: str) -> None:
    tag, value = PRIVATE[name]
    secret = value if isinstance(value, bytes) else value.encode()
    assert secret not in (clean_exif(camera_exif(order)) or b"")
    kept = opened(clean_exif(camera_exif(order), True))
    assert (kept.get(tag) or kept.get_ifd(0x8769).get(tag)) == value


@pytest.mark.parametrize("order", ["<", ">"])
def test_places_only_where_they_are_asked_for(order: str) -> None:
    assert not opened(clean_exif(camera_exif(order))).get_ifd(0x8825)
    places = opened(clean_exif(camera_exif(order), True)).get_ifd(0x8825)
    assert places == {1: "N", 2: (47, 22, 30), 0x1D: "2024:05:06"}


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_how_it_was_taken_stays(order: str, keep: bool) -> None:
    exif = opened(clean_exif(camera_exif(order), keep))
    photo = exif.get_ifd(0x8769)
    assert {tag: exif.get(tag) or photo.get(tag) for tag in PUBLIC} == PUBLIC
    assert exif[0x0112] == 6 and exif.get_ifd(0xA005) == {1: "R98"}
    assert 0xA002 not in photo  # a size that may be another by now


def test_a_plain_block_is_as_it_was() -> None:
    for order in "<>":
        assert clean_exif(exif_blob(1, order)) == exif_blob(1, order)


def test_nothing_left_is_nothing() -> None:
    tags = ImageFileDirectory_v2()
    tags[0x013B] = "Jane"
    assert clean_exif(tags.tobytes()) is None
    for blob in (None, b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense", b"II*\0\x08\0\0\0"):
        assert clean_exif(blob) is None


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 2000), changes=st.lists(st.tuples(st.integers(0, 800), st.integers(0, 255)), max_size=6))
def test_damage_makes_no_error_and_no_leak(cut: int, changes: list[tuple[int, int]]) -> None:
    blob = bytearray(camera_exif()[:cut])
    for place, value in changes:
        if place < len(blob):
            blob[place] = value
    result = clean_exif(bytes(blob))
    assert result is None or clean_exif(result) == result
    assert thumbnail() not in (result or b"")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".jpg"])
@pytest.mark.parametrize("source", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("keep", [False, True])
def test_files_carry_it_cleaned(tmp_path: Path, source: str, suffix: str, keep: bool) -> None:
    path, out = tmp_path / f"in{source}", tmp_path / f"out{suffix}"
    Image.fromarray(gradient(40, 30)).save(path, exif=b"Exif\0\0" + camera_exif())
    picture = read_picture(path)
    alpha = np.ones((picture.height, picture.width), np.float32)
    if suffix == ".jpg":
        write_rgb(out, picture.pixels, picture.info, keep_metadata=keep)
    else:
        write_rgba(out, picture.pixels, alpha, picture.info, keep_metadata=keep)
    data = out.read_bytes()
    assert b"SN-BODY" not in data or keep
    assert b"MAKER NOTE" not in data
    exif = Image.open(out).getexif()
    assert exif[0x0110] == "Model 5" and exif[0x0112] == 1
    assert bool(exif.get_ifd(0x8825)) == keep and (exif.get(0x013B) == "Jane Artist") == keep
    assert not exif.get_ifd(-1)
