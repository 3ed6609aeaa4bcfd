"""What numbers mean: profiles, PNG's colour chunks, EXR's primaries and windows, from inputs to outputs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from uhrmat.core.errors import InputError, MemoryBudgetError
from uhrmat.core.memory import memory_limit
from uhrmat.media import read_info, read_picture, write_alpha, write_rgb, write_rgba
from uhrmat.media.colour import linear_to_display, srgb_decode
from uhrmat.media.convert import to_linear
from uhrmat.media.icc import (
    REC709,
    chromaticities_of,
    convert,
    is_linear,
    is_srgb,
    make_grey_profile,
    make_profile,
    matrix_to_rec709,
    srgb_profile,
)
from uhrmat.media.png import SIGNATURE, chunk

from .helpers import display_p3, gradient, raw_png

P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)
ADOBE = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
ACES = (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)


def chrm(chromaticities: tuple[float, ...]) -> bytes:
    return struct.pack(">8I", *(round(n * 100000) for n in (*chromaticities[6:], *chromaticities[:6])))


def png(path: Path, *before: tuple[bytes, bytes], colour_type: int = 2, bits: int = 8) -> Path:
    """A PNG of a gradient, 12 pixels wide and 9 high."""
    rgb = gradient(9, 12) if bits == 8 else gradient(9, 12, "uint16").astype(">u2")
    rows = rgb[..., : 1 if colour_type == 0 else 3].reshape(9, -1).copy().view(np.uint8)
    return raw_png(path, rows, colour_type, bits, *before)


def chunks_of(path: Path) -> dict[bytes, bytes]:
    data, result, position = path.read_bytes(), {}, len(SIGNATURE)
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        result.setdefault(kind, data[position + 8 : position + 8 + length])
        position += 12 + length
    return result


GAMMA_ONE, GAMMA_SRGB = struct.pack(">I", 100000), struct.pack(">I", 45455)
PNG_COLOURS: dict[str, tuple[tuple[tuple[bytes, bytes], ...], tuple[float, ...] | None, float | None]] = {
    # chunks, primaries of the profile or None where the picture is sRGB, what a signal of one half means in light
    "nothing": ((), None, None),
    "sRGB": (((b"sRGB", b"\0"),), None, None),
    "sRGB with its fallbacks": (((b"sRGB", b"\0"), (b"gAMA", GAMMA_SRGB), (b"cHRM", chrm(REC709))), None, None),
    "gAMA of sRGB": (((b"gAMA", GAMMA_SRGB),), None, None),
    "linear gAMA": (((b"gAMA", GAMMA_ONE),), REC709, 0.5),
    "gAMA and cHRM": (((b"gAMA", struct.pack(">I", 45455)), (b"cHRM", chrm(ADOBE))), ADOBE, 0.2140),
    "gAMA 1.8 and cHRM": (((b"gAMA", struct.pack(">I", 55556)), (b"cHRM", chrm(P3))), P3, 0.5**1.8),
    "cHRM alone": (((b"cHRM", chrm(P3)),), P3, 0.2140),
    "absurd gAMA": (((b"gAMA", struct.pack(">I", 0)),), None, None),
    "absurd cHRM": (((b"cHRM", bytes(32)),), None, None),
    "sRGB before cHRM": (((b"sRGB", b"\0"), (b"cHRM", chrm(P3))), None, None),
    "cICP of sRGB": (((b"cICP", bytes([1, 13, 0, 1])),), None, None),
    "cICP of Display P3": (((b"cICP", bytes([12, 13, 0, 1])),), P3, 0.2140),
    "cICP before gAMA": (((b"cICP", bytes([12, 13, 0, 1])), (b"gAMA", GAMMA_ONE)), P3, 0.2140),
    "cICP of BT.2020": (((b"cICP", bytes([9, 14, 0, 1])),), (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *P3[6:]), 0.2597),
    "cICP of PQ": (((b"cICP", bytes([9, 16, 0, 1])),), (0.708, 0.292, 0.17, 0.797, 0.131, 0.046, *P3[6:]), 0.4544),
    "unknown cICP": (((b"cICP", bytes([200, 200, 0, 1])), (b"cHRM", chrm(P3))), P3, 0.2140),
}


@pytest.mark.parametrize("name", PNG_COLOURS)
@pytest.mark.parametrize("bits", [8, 16])
def test_png_says_its_colours_by_chunks(tmp_path: Path, name: str, bits: int) -> None:
    before, primaries, light = PNG_COLOURS[name]
    picture = read_picture(png(tmp_path / "a.png", *before, bits=bits))
    assert np.array_equal(picture.pixels, gradient(9, 12, f"uint{bits}")), "the numbers stay as they are"
    assert (picture.info.icc is None) == (primaries is None)
    assert picture.info == read_info(tmp_path / "a.png")
    if picture.info.icc is not None and primaries is not None and light is not None:
        half = to_linear(np.full((1, 1, 3), 0.5, np.float32), False, picture.info.icc)
        assert half == pytest.approx(light, abs=2e-3)
        seen = to_linear(np.array([[[1, 0, 0]]], np.float32), False, picture.info.icc)[0, 0]
        assert seen == pytest.approx(matrix_to_rec709(primaries)[:, 0], abs=3e-3)


@pytest.mark.parametrize("name", PNG_COLOURS)
def test_png_chunks_go_into_the_pngs_made_of_it(tmp_path: Path, name: str) -> None:
    before, primaries, _ = PNG_COLOURS[name]
    picture = read_picture(png(tmp_path / "a.png", *before))
    write_rgb(tmp_path / "rgb.png", picture.pixels, picture.info)
    write_rgba(tmp_path / "rgba.png", picture.pixels, np.ones((9, 12), np.float32), picture.info)
    for made in ("rgb.png", "rgba.png"):
        result = chunks_of(tmp_path / made)
        assert [(kind, result[kind]) for kind, _ in before] == list(before)
        assert b"iCCP" not in result
        assert read_info(tmp_path / made).icc == picture.info.icc
    for suffix in (".tif", ".jpg", ".webp"):
        write_rgb(tmp_path / f"a{suffix}", picture.pixels, picture.info)
        assert read_info(tmp_path / f"a{suffix}").icc == picture.info.icc, "others take it as a profile"


def test_a_damaged_profile_is_not_carried(tmp_path: Path) -> None:
    picture = read_picture(png(tmp_path / "a.png", (b"iCCP", b"x\0\0garbage")))
    write_rgb(tmp_path / "b.png", picture.pixels, picture.info)
    assert picture.info.icc is None and b"iCCP" not in chunks_of(tmp_path / "b.png")


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_png_with_a_gamma_is_re_encoded(tmp_path: Path, bits: int) -> None:
    path = png(tmp_path / "a.png", (b"gAMA", GAMMA_ONE), colour_type=0, bits=bits)
    stored, picture = gradient(9, 12, f"uint{bits}")[..., 0], read_picture(path)
    top = np.iinfo(stored.dtype).max
    wanted = linear_to_display(stored / top) * top
    assert np.abs(picture.pixels[..., 1] - wanted)[stored > top // 20].max() <= top / 128
    assert picture.info.icc is None and picture.info.png_colour == ()


def test_profiles_are_known_by_what_they_do(tmp_path: Path) -> None:
    assert is_srgb(None) and is_srgb(srgb_profile()) and is_srgb(b"nonsense" * 30)
    assert not is_srgb(display_p3()), "although its description says sRGB"
    assert not is_srgb(make_profile(REC709, gamma=1.8))
    assert is_linear(make_profile(P3, gamma=1.0)) and is_linear(make_grey_profile(1.0))
    assert not is_linear(srgb_profile()) and not is_linear(make_grey_profile(2.2))
    assert chromaticities_of(make_profile(P3, gamma=1.0)) == pytest.approx(P3, abs=1e-3)
    assert chromaticities_of(make_profile(REC709, gamma=1.0)) is None
    assert make_profile(P3, gamma=2.2) == make_profile(P3, gamma=2.2), "no date of today"


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_conversion_keeps_depth_and_comes_back(dtype: str) -> None:
    rgb = (gradient(8, 8, dtype) * 0.5 + (0.25 if dtype == "float32" else np.iinfo(dtype).max // 4)).astype(dtype)
    wide = make_profile(ADOBE, gamma=2.2)
    there = convert(rgb, None, wide)
    assert there.dtype == rgb.dtype and np.abs(there.astype(float) - rgb).max() > 0
    step = {"uint8": 2, "uint16": 8, "float32": 1e-3}[dtype]
    assert np.abs(convert(there, wide, None).astype(float) - rgb).max() <= step


def test_a_profile_that_cannot_be_used_is_an_input_error() -> None:
    with pytest.raises(InputError, match="colour profile cannot be used"):
        convert(gradient(4, 4), b"nonsense" * 30, None)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_exr_of_a_picture_with_a_profile_is_linear_light(tmp_path: Path, suffix: str) -> None:
    rgb = np.full((8, 8, 3), (200, 90, 70), np.uint8)
    wide = make_profile(ADOBE, gamma=2.2)
    source = read_info(png(tmp_path / "x.png"))
    tagged = type(source)(**{**vars(source), "icc": wide})
    write_rgb(tmp_path / f"a{suffix}", rgb, tagged)
    picture = read_picture(tmp_path / f"a{suffix}")
    write_rgb(tmp_path / "a.exr", picture.pixels, picture.info, exr_float=True)
    light = (np.array([200, 90, 70]) / 255) ** 2.2 @ matrix_to_rec709(ADOBE).T
    assert read_picture(tmp_path / "a.exr").pixels[4, 4] == pytest.approx(light, abs=0.012)


def exr(path: Path, pixels: np.ndarray, **header: Any) -> Path:
    name = {1: "Y", 3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    stored = pixels[..., 0].copy() if pixels.shape[2] == 1 else pixels
    with OpenEXR.File(header, {name: stored}) as file:
        file.write(str(path))
    return path


def window(left: int, top: int, right: int, bottom: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([left, top], np.int32), np.array([right, bottom], np.int32)


def header_of(path: Path) -> dict[str, Any]:
    with OpenEXR.File(str(path), header_only=True) as file:
        result = dict(file.header())
    for name in ("dataWindow", "displayWindow"):
        result[name] = tuple(int(n) for corner in result[name] for n in corner)
    return result


@pytest.mark.parametrize("chromaticities", [ACES, P3, None])
@pytest.mark.parametrize("aspect", [1.0, 2.0])
def test_exr_meaning_goes_into_the_exr_made_of_it(
    tmp_path: Path, chromaticities: tuple[float, ...] | None, aspect: float
) -> None:
    extra = {} if chromaticities is None else {"chromaticities": chromaticities}
    pixels = gradient(6, 8, "float32")
    picture = read_picture(exr(tmp_path / "a.exr", pixels, pixelAspectRatio=aspect, **extra))
    alpha = np.ones((6, 8), np.float32)
    write_rgb(tmp_path / "rgb.exr", picture.pixels, picture.info)
    write_rgba(tmp_path / "rgba.exr", picture.pixels, alpha, picture.info)
    write_alpha(tmp_path / "alpha.exr", alpha, "exr", info=picture.info)
    for name in ("rgb", "rgba", "alpha"):
        result = header_of(tmp_path / f"{name}.exr")
        assert result["pixelAspectRatio"] == aspect
        if name != "alpha":
            given = result.get("chromaticities")
            assert given is None if chromaticities is None else given == pytest.approx(chromaticities, abs=1e-5)
            assert np.array_equal(read_picture(tmp_path / f"{name}.exr").pixels, pixels)


def test_wide_linear_light_is_shown_in_srgb(tmp_path: Path) -> None:
    white_and_red = np.array([[[1, 1, 1], [0.2, 0.2, 0.2], [0.4, 0.1, 0.1]]], np.float32)
    picture = read_picture(exr(tmp_path / "a.exr", white_and_red, chromaticities=ACES))
    shown = picture.to_float()[0]
    assert shown[0] == pytest.approx(1, abs=2e-3) and np.ptp(shown[1]) < 2e-3, "grey stays grey"
    assert shown[2] == pytest.approx(linear_to_display(white_and_red[0, 2] @ matrix_to_rec709(ACES).T), abs=1e-5)
    assert np.ptp(shown[2]) > np.ptp(linear_to_display(white_and_red[0, 2])), "and red becomes redder"
    write_rgb(tmp_path / "a.png", picture.pixels, picture.info)
    assert np.abs(read_picture(tmp_path / "a.png").to_float()[0] - shown).max() < 1e-4


@pytest.mark.parametrize(
    ("data", "display"),
    [
        ((-4, -3, 19, 12), (0, 0, 15, 9)),  # overscan on all sides
        ((10, 20, 33, 35), (12, 22, 30, 30)),  # and an origin elsewhere
        ((2, 1, 5, 3), (0, 0, 9, 9)),  # a crop
        ((-4, 2, 5, 6), (0, 0, 9, 9)),  # both
    ],
)
def test_overscan_is_kept_from_exr_to_exr(
    tmp_path: Path, data: tuple[int, int, int, int], display: tuple[int, int, int, int]
) -> None:
    width, height = data[2] - data[0] + 1, data[3] - data[1] + 1
    pixels = gradient(height, width, "float32") + 0.25
    path = exr(tmp_path / "a.exr", pixels, dataWindow=window(*data), displayWindow=window(*display))
    plain, whole = read_picture(path), read_picture(path, overscan=True)
    union = (*np.minimum(data[:2], display[:2]).tolist(), *np.maximum(data[2:], display[2:]).tolist())
    assert whole.info == read_info(path, overscan=True) and whole.info.exr is not None
    assert (whole.width, whole.height) == (union[2] - union[0] + 1, union[3] - union[1] + 1)
    assert np.array_equal(whole.pixels[whole.info.exr.shown], plain.pixels)
    left, top = data[0] - union[0], data[1] - union[1]
    assert np.array_equal(whole.pixels[top : top + height, left : left + width], pixels)
    alpha = whole.pixels[..., 0].clip(0, 1)
    write_rgba(tmp_path / "b.exr", whole.pixels, alpha, whole.info, keep_hidden=True)
    write_alpha(tmp_path / "alpha.exr", alpha, "exr", info=whole.info)
    for name in ("b.exr", "alpha.exr"):
        result = header_of(tmp_path / name)
        assert (result["dataWindow"], result["displayWindow"]) == (union, display)
    write_rgb(tmp_path / "b.png", whole.pixels, whole.info)
    write_alpha(tmp_path / "alpha.tif", alpha, "tiff", info=whole.info)
    for name in ("b.png", "alpha.tif"):
        small = read_picture(tmp_path / name)
        assert small.pixels.shape == plain.pixels.shape, "other formats hold the display window"
    assert np.abs(read_picture(tmp_path / "b.png").to_float() - plain.to_float()).max() < 1e-4


def raw_exr(
    path: Path,
    data: tuple[int, int, int, int] = (0, 0, 63, 63),
    display: tuple[int, int, int, int] = (0, 0, 63, 63),
    channels: tuple[str, ...] = ("B", "G", "R"),
    compression: int = 0,
    sampling: int = 1,
    extra: bytes = b"",
    tail: bytes = bytes(100),
) -> Path:
    """A header that says anything, and no pixels to speak of."""

    def attribute(name: bytes, kind: bytes, value: bytes) -> bytes:
        return name + b"\0" + kind + b"\0" + struct.pack("<I", len(value)) + value

    listed = b"".join(c.encode() + b"\0" + struct.pack("<IB3xii", 1, 0, sampling, sampling) for c in channels) + b"\0"
    head = attribute(b"channels", b"chlist", listed)
    head += attribute(b"compression", b"compression", bytes([compression]))
    head += attribute(b"dataWindow", b"box2i", struct.pack("<4i", *data))
    head += attribute(b"displayWindow", b"box2i", struct.pack("<4i", *display))
    path.write_bytes(struct.pack("<II", 20000630, 2) + head + extra + b"\0" + tail)
    return path


FAR = (0, 0, 29999, 29999)
ABSURD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a data window far beyond the display": ({"data": FAR}, InputError, "bytes for pixels that need"),
    "the same with room for its table": (
        {"data": FAR, "compression": 4, "tail": bytes(20000)}, MemoryBudgetError, "are allowed"
    ),
    "a data window of all integers": (
        {"data": (-(2**31), -(2**31), 2**31 - 1, 2**31 - 1)}, InputError, "bytes for pixels that need"
    ),
    "a display of all integers": (
        {"display": (-(2**31), -(2**31), 2**31 - 1, 2**31 - 1), "tail": bytes(30000)}, InputError, "the limit is"
    ),
    "a display turned inside out": ({"display": (10, 10, 0, 0)}, InputError, "damaged or incomplete EXR"),
    "2,000 channels": (
        {"channels": tuple(f"c{n:04}" for n in range(2000))}, InputError, "2000 channels, and no more than 64"
    ),
    "100,000 attributes": (
        {"extra": b"".join(b"a%06d\0int\0\4\0\0\0\1\0\0\0" % n for n in range(100000))}, InputError, "attributes, and"
    ),
    "a name without an end": ({"extra": b"x" * 70000}, InputError, "damaged or incomplete EXR"),
    "an attribute longer than the file": (
        {"extra": b"foo\0string\0\xff\xff\xff\x7fx"}, InputError, "damaged or incomplete EXR"
    ),
    "subsampled channels": ({"sampling": 2}, InputError, "subsampled channels"),
    "no pixels at all": ({"tail": b""}, InputError, "bytes for pixels that need"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_exr_headers_are_refused_before_decoding(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, error, sentence = ABSURD[name]
    monkeypatch.setattr(OpenEXR, "File", None)
    path = raw_exr(tmp_path / "a.exr", **options)
    with memory_limit(1 << 30), pytest.raises(error, match=sentence):
        read_picture(path)


def test_every_part_of_an_exr_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.exr"
    first = {"R": np.ones((8, 8), np.float16), "G": np.ones((8, 8), np.float16), "B": np.ones((8, 8), np.float16)}
    shared = {"type": OpenEXR.scanlineimage, "displayWindow": window(0, 0, 7, 7)}
    parts = [
        OpenEXR.Part({"name": "small", **shared}, first),
        OpenEXR.Part({"name": "large", **shared}, {"Z": np.zeros((2000, 3000), np.float32)}),
    ]
    OpenEXR.File(parts).write(str(path))
    assert read_picture(path).pixels.shape == (8, 8, 3)
    with memory_limit(10_000_000), pytest.raises(MemoryBudgetError, match="are allowed"):
        read_picture(path)


def test_deep_data_is_refused_by_name(tmp_path: Path) -> None:
    path = raw_exr(tmp_path / "a.exr", extra=b"type\0string\0\x0c\0\0\0deepscanline")
    with pytest.raises(InputError, match="an EXR of deep data"):
        read_info(path)


def test_premultiplied_unless_it_says_straight(tmp_path: Path) -> None:
    pixels, alpha = gradient(6, 8, "float32"), np.full((6, 8), 0.5, np.float32)
    info = read_info(exr(tmp_path / "a.exr", pixels))
    assert not info.premultiplied and not info.has_alpha
    for premultiply in (True, False):
        write_rgba(tmp_path / "b.exr", pixels, alpha, info, premultiply)
        assert read_info(tmp_path / "b.exr").premultiplied == premultiply


def test_chunk_order_is_what_the_specification_asks_for(tmp_path: Path) -> None:
    before = ((b"cHRM", chrm(P3)), (b"gAMA", GAMMA_ONE), (b"cICP", bytes([12, 13, 0, 1])))
    picture = read_picture(png(tmp_path / "a.png", *before))
    write_rgb(tmp_path / "b.png", picture.pixels, picture.info)
    order = list(chunks_of(tmp_path / "b.png"))
    assert order[:2] == [b"IHDR", b"cICP"] and order.index(b"cHRM") < order.index(b"IDAT")
    assert chunk(b"gAMA", GAMMA_ONE) in (tmp_path / "b.png").read_bytes()


def test_srgb_decoding_of_an_untagged_picture_is_unchanged() -> None:
    rgb = gradient(5, 5)
    assert np.array_equal(to_linear(rgb, False, None), srgb_decode(rgb / np.float32(255)))
    assert np.array_equal(to_linear(rgb, False, srgb_profile()), srgb_decode(rgb / np.float32(255)))
