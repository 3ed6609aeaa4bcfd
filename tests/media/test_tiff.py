"""TIFF in all the varieties that tifffile writes: read back sample by sample, or refused by name."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask, read_trimap
from uhrmat.media import read_info, read_picture
from uhrmat.media.exif import orient
from uhrmat.media.icc import make_grey_profile, make_profile, srgb_profile
from uhrmat.media.read import decode_upright, open_source

from .helpers import gradient

HEIGHT, WIDTH = 20, 32
READ = ("none", "lzw", "deflate", "adobe_deflate", "packbits", "zstd", "jpeg")
REFUSED = ("lzma", "webp", "png", "jpeg2000", "jpegxl", "jpegxr", "lerc", "pixtiff")
TYPES = ("bool", "uint8", "uint16", "uint32", "int16", "float16", "float32", "float64", "complex64")
HELD = ("bool", "uint8", "uint16", "float16", "float32", "float64")
PHOTOMETRICS = {"minisblack": 1, "miniswhite": 1, "rgb": 3, "palette": 1, "separated": 4, "ycbcr": 3, "cielab": 3}
RNG = np.random.default_rng(0)


def samples(dtype: str, channels: int) -> np.ndarray:
    """(H, W, C) noise over the whole range of the type."""
    shape = (HEIGHT, WIDTH, channels)
    if dtype == "bool":
        return RNG.random(shape) > 0.5
    if np.dtype(dtype).kind in "fc":
        return RNG.random(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return RNG.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def written(
    path: Path, stored: np.ndarray, photometric: str, planar: str, extra: tuple[str, ...], **options: Any
) -> bool:
    """Whether tifffile writes such a file at all."""
    data = np.moveaxis(stored, -1, 0) if planar == "separate" else stored
    if stored.shape[2] == 1:
        data, planar = stored[..., 0], "contig"
    if photometric == "palette":
        if stored.dtype not in (np.uint8, np.uint16):
            return False
        table = RNG.integers(0, 65535, (3, 1 << (8 * stored.dtype.itemsize)), dtype=np.uint16)
        options["colormap"] = table
    try:
        tifffile.imwrite(
            path,
            data,
            photometric=photometric,
            planarconfig=planar if stored.shape[2] > 1 else None,
            extrasamples=extra or None,
            metadata=None,
            **options,
        )
    except Exception:  # tifffile and its codecs refuse in many ways
        return False
    return True


def wanted_colour(stored: np.ndarray, photometric: str, path: Path) -> np.ndarray | None:
    """What the picture must hold, by the specification; None where that is not a copy of the samples."""
    if photometric == "palette":
        with tifffile.TiffFile(path) as tiff:
            return np.asarray(tiff.pages[0].colormap).T[stored[..., 0]]
    if photometric in ("separated", "ycbcr"):
        return None
    colour = stored[..., : PHOTOMETRICS[photometric]]
    if colour.dtype == bool:
        colour = colour.astype(np.uint8) * np.uint8(255)
    if colour.dtype.kind == "f":
        colour = colour.astype(np.float32)
    if photometric == "miniswhite":
        colour = (np.float32(1) if colour.dtype.kind == "f" else np.iinfo(colour.dtype).max) - colour
    return np.repeat(colour, 3, axis=2) if colour.shape[2] == 1 else colour


def variants(compression: str) -> Iterator[tuple[str, str, int, tuple[str, ...]]]:
    predictors = (1, 2, 3) if compression in ("lzw", "deflate", "adobe_deflate", "zstd", "none") else (1,)
    extras: list[tuple[str, ...]] = [(), ("unassalpha",), ("assocalpha",), ("unspecified", "unassalpha")]
    if compression in REFUSED:
        return itertools.product(TYPES, ("contig",), (1,), extras[:1])
    return itertools.product(TYPES, ("contig", "separate"), predictors, extras)


@pytest.mark.parametrize("compression", [*READ, *REFUSED])
@pytest.mark.parametrize("photometric", PHOTOMETRICS)
def test_every_variety_is_exact_or_refused_by_name(tmp_path: Path, photometric: str, compression: str) -> None:
    path = tmp_path / "a.tif"
    read = refused = 0
    for dtype, planar, predictor, extra in variants(compression):
        stored = samples(dtype, PHOTOMETRICS[photometric] + len(extra))
        if dtype == "bool" and stored.shape[2] > 1 and planar == "contig":
            continue  # tifffile packs the channels of these apart, against the specification
        options = {"compression": None if compression == "none" else compression, "predictor": predictor}
        if not written(path, stored, photometric, planar, extra, **options):
            continue
        case = f"{dtype} {planar} predictor {predictor} {extra}"
        try:
            picture = read_picture(path)
        except InputError as error:
            assert "is a" in error.message and error.message.endswith("which is not supported."), f"{case}: {error}"
            assert not supported(photometric, compression, dtype, predictor), f"{case}: {error}"
            refused += 1
            continue
        read += 1
        assert supported(photometric, compression, dtype, predictor) or photometric == "ycbcr", case
        assert picture.info == read_info(path), case
        check_samples(picture, stored, photometric, compression, extra, path, case)
    assert (read == 0) == (compression in REFUSED or photometric == "cielab" or (refused == 0 and read == 0))


def supported(photometric: str, compression: str, dtype: str, predictor: int) -> bool:
    """What must be read. JPEG holds 8 bits, and CMYK of 16 bits has no converter here; YCbCr is tested on its own."""
    if compression in REFUSED or dtype not in HELD or photometric in ("cielab", "ycbcr"):
        return False
    if photometric == "separated" or compression == "jpeg":
        return dtype == "uint8"
    return dtype != "bool" or predictor == 1


def check_samples(
    picture: Any, stored: np.ndarray, photometric: str, compression: str, extra: tuple[str, ...], path: Path, case: str
) -> None:
    alphas = [n for n, kind in enumerate(extra) if kind != "unspecified"]
    has_alpha = bool(alphas) and photometric != "separated"
    assert (picture.alpha is not None) == has_alpha == picture.info.has_alpha, case
    assert picture.info.premultiplied == (has_alpha and extra[alphas[0]] == "assocalpha"), case
    if compression == "jpeg":
        return
    if has_alpha:
        channel = stored[..., PHOTOMETRICS[photometric] + alphas[0]]
        held = channel.astype(np.uint8) * 255 if channel.dtype == bool else channel.astype(picture.alpha.dtype)
        assert np.array_equal(picture.alpha, held), case
    colour = wanted_colour(stored, photometric, path)
    if colour is not None:
        assert np.array_equal(picture.pixels, colour), case


def test_the_table_above_is_not_empty(tmp_path: Path) -> None:
    """Each compression that is read is written by tifffile here, for 8 bits at least."""
    for compression, (photometric, channels) in itertools.product(READ, PHOTOMETRICS.items()):
        if compression == "jpeg" and photometric == "palette":
            continue  # no such files
        options = {"compression": None if compression == "none" else compression}
        case = f"{compression} {photometric}"
        assert written(tmp_path / "a.tif", samples("uint8", channels), photometric, "contig", (), **options), case


@pytest.mark.parametrize("bits", range(1, 17))
def test_grey_of_any_number_of_bits_spans_the_range(tmp_path: Path, bits: int) -> None:
    levels = (1 << bits) - 1
    dtype = np.uint8 if bits <= 8 else np.uint16
    stored = np.linspace(0, levels, WIDTH * 4).round().astype(dtype).reshape(4, WIDTH)
    tifffile.imwrite(tmp_path / "a.tif", stored, bitspersample=bits, photometric="minisblack", metadata=None)
    picture = read_picture(tmp_path / "a.tif")
    top = np.iinfo(dtype).max
    assert picture.pixels.dtype == dtype
    assert np.array_equal(picture.pixels[..., 0], np.rint(stored * (top / levels)))


@pytest.mark.parametrize("compression", ["none", "ccittrle", "ccitt_t4", "ccitt_t6"])
def test_bilevel_fax(tmp_path: Path, compression: str) -> None:
    stored = samples("bool", 1)[..., 0]
    name = {"ccittrle": None, "ccitt_t4": "group3", "ccitt_t6": "group4"}.get(compression)
    path = tmp_path / "a.tif"
    Image.fromarray(stored).save(path, compression={"ccittrle": "tiff_ccitt"}.get(compression, name))
    assert np.array_equal(read_picture(path).pixels[..., 0], stored * np.uint8(255))


@pytest.mark.parametrize("subsampling", [(1, 1), (2, 2), (2, 1)])
def test_jpeg_of_ycbcr_is_rgb(tmp_path: Path, subsampling: tuple[int, int]) -> None:
    rgb = gradient(48, 64)
    path = tmp_path / "a.tif"
    options = {"compression": "jpeg", "compressionargs": {"level": 98}, "subsampling": subsampling}
    tifffile.imwrite(path, as_ycbcr(rgb), photometric="ycbcr", **options)
    assert np.abs(read_picture(path).pixels.astype(int) - rgb).max() <= 8


def as_ycbcr(rgb: np.ndarray) -> np.ndarray:
    """uint8 RGB as uint8 luma and colour differences, by TIFF's default coefficients."""
    luma = rgb.astype(np.float64) @ (0.299, 0.587, 0.114)
    cb, cr = (rgb[..., 2] - luma) / 1.772 + 128, (rgb[..., 0] - luma) / 1.402 + 128
    return np.rint(np.dstack([luma, cb, cr])).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("compression", [None, "lzw", "deflate"])
def test_ycbcr_without_jpeg_is_converted(tmp_path: Path, compression: str | None) -> None:
    rgb, path = gradient(20, 30), tmp_path / "a.tif"
    tifffile.imwrite(path, as_ycbcr(rgb), photometric="ycbcr", compression=compression, subsampling=(1, 1))
    assert np.abs(read_picture(path).pixels.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "lzw", "jpeg", "deflate", "packbits"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, compression: str | None, dtype: str) -> None:
    if compression == "jpeg" and dtype != "uint8":
        pytest.skip("JPEG holds 8 bits")
    upright = gradient(24, 40, dtype)
    stored = np.ascontiguousarray(orient(upright.copy(), {6: 8, 8: 6}.get(orientation, orientation)))
    path = tmp_path / "a.tif"
    tag = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(path, stored, photometric="rgb", compression=compression, extratags=tag)
    got = read_picture(path).pixels
    assert got.shape == upright.shape
    assert np.abs(got.astype(float) - upright).max() <= (12 if compression == "jpeg" else 0)


@pytest.mark.parametrize(
    ("kinds", "alpha"), [((0,), None), ((2,), 3), ((0, 2), 4), ((2, 0), 3), ((0, 0), None), ((1, 2), 3), ((0, 0, 1), 5)]
)
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_extra_samples(
    tmp_path: Path, kinds: tuple[int, ...], alpha: int | None, planar: str, compression: str | None
) -> None:
    stored = samples("uint16", 3 + len(kinds))
    path = tmp_path / "a.tif"
    assert written(path, stored, "rgb", planar, kinds, compression=compression)
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, stored[..., :3])
    assert picture.alpha is None if alpha is None else np.array_equal(picture.alpha, stored[..., alpha])


def test_white_is_zero_does_not_turn_the_alpha_round(tmp_path: Path) -> None:
    stored = samples("uint8", 2)
    assert written(tmp_path / "a.tif", stored, "miniswhite", "contig", ("unassalpha",))
    picture = read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels[..., 2], 255 - stored[..., 0])
    assert np.array_equal(picture.alpha, stored[..., 1])


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("tile", [None, (16, 16)])
def test_containers(tmp_path: Path, byteorder: str, bigtiff: bool, tile: tuple[int, int] | None) -> None:
    for dtype, compression in (("uint16", "lzw"), ("float32", "deflate"), ("uint8", None)):
        stored = samples(dtype, 3)
        path = tmp_path / "a.tif"
        tifffile.imwrite(
            path,
            stored.astype(stored.dtype.newbyteorder(byteorder)),
            photometric="rgb",
            byteorder=byteorder,
            bigtiff=bigtiff,
            tile=tile,
            compression=compression,
            predictor=compression is not None,
        )
        assert np.array_equal(read_picture(path).pixels, stored)


SMALL, LARGE = np.zeros((10, 16, 3), np.uint8), np.full((80, 128, 3), 9, np.uint8)


@pytest.mark.parametrize("order", ["thumbnail first", "thumbnail last", "in a SubIFD", "mask first", "old tag", "only"])
def test_the_picture_is_not_the_thumbnail(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as tiff:
        if order == "thumbnail first":
            tiff.write(SMALL, subfiletype=1, photometric="rgb")
            tiff.write(LARGE, photometric="rgb")
        elif order == "thumbnail last":
            tiff.write(LARGE, photometric="rgb")
            tiff.write(SMALL, subfiletype=1, photometric="rgb")
        elif order == "in a SubIFD":
            tiff.write(SMALL, subfiletype=1, subifds=2, photometric="rgb", extratags=[(274, "H", 1, 1, True)])
            tiff.write(SMALL[:5], subfiletype=1, photometric="rgb")
            tiff.write(LARGE, photometric="rgb")
        elif order == "mask first":
            tiff.write(LARGE[..., 0] > 3, subfiletype=4, photometric="mask")
            tiff.write(LARGE, photometric="rgb")
        elif order == "old tag":
            tiff.write(SMALL, photometric="rgb", metadata=None, extratags=[(255, "H", 1, 2, True)])
            tiff.write(LARGE, photometric="rgb", metadata=None, extratags=[(255, "H", 1, 1, True)])
        else:
            tiff.write(LARGE, subfiletype=1, photometric="rgb")
    assert np.array_equal(read_picture(path).pixels, LARGE)


@pytest.mark.parametrize(
    ("make", "kind"),
    [("NIKON CORPORATION", "NEF"), ("SONY", "ARW"), ("PENTAX", "PEF"), ("SAMSUNG", "SRW"), ("Acme", "camera's raw")],
)
@pytest.mark.parametrize("suffix", [".tif", ".png", ".srw"])
def test_raw_files_are_refused_by_their_format(tmp_path: Path, make: str, kind: str, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    with tifffile.TiffWriter(path) as tiff:
        tags = [(271, "s", 0, make, True)]
        tiff.write(SMALL, subfiletype=1, subifds=1, photometric="rgb", metadata=None, extratags=tags)
        tiff.write(LARGE[..., 0].astype(np.uint16), photometric="cfa", metadata=None)
    with pytest.raises(InputError, match=f"raw photograph.*{kind}|{kind} photograph") as caught:
        read_info(path)
    assert "Develop it first" in caught.value.hint


@pytest.mark.parametrize("marks", ["dng", "cr2", "iiq"])
def test_raw_files_are_known_by_their_marks(tmp_path: Path, marks: str) -> None:
    path = tmp_path / "a.tif"
    extra = [(50706, "B", 4, (1, 4, 0, 0), True)] if marks == "dng" else []
    tifffile.imwrite(path, LARGE, photometric="rgb", metadata=None, extratags=extra)
    if marks != "dng":
        data = bytearray(path.read_bytes())
        offset = struct.unpack_from("<I", data, 4)[0]
        moved = data[:4] + struct.pack("<I", 16) + (b"CR\2\0\0\0\0\0" if marks == "cr2" else b"IIII\0\0\0\0")
        path.write_bytes(bytes(moved + data[offset:]))
    with pytest.raises(InputError, match=f"raw photograph \\({marks.upper()}\\)"):
        read_info(path)


@pytest.mark.parametrize("profile", ["none", "sRGB", "wide gamut", "linear"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_float_picture_is_linear_unless_its_profile_says_otherwise(tmp_path: Path, profile: str, dtype: str) -> None:
    stored = samples(dtype, 3)
    adobe = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, 0.3127, 0.3290)
    icc = {
        "none": None,
        "sRGB": srgb_profile(),
        "wide gamut": make_profile(adobe, gamma=2.2),
        "linear": make_profile(adobe, gamma=1.0),
    }[profile]
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", iccprofile=icc, metadata=None)
    info = read_info(tmp_path / "a.tif")
    assert info.linear == (profile in ("none", "linear")) and info.icc == (None if info.linear else icc)
    if profile == "linear":
        assert info.chromaticities == pytest.approx(adobe, abs=1e-3)
    else:
        assert info.chromaticities is None
    assert np.array_equal(read_picture(tmp_path / "a.tif").pixels, stored.astype(np.float32))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_profile_of_grey_does_not_take_the_colour_of_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    rgb = np.full((16, 16, 3), (200, 60, 20), np.uint8)
    Image.fromarray(rgb).save(path, icc_profile=make_grey_profile(2.2))
    picture = read_picture(path)
    assert np.abs(picture.pixels.astype(int) - rgb).max() <= 3 and picture.info.icc is None


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_data_is_not_colour_managed(tmp_path: Path, suffix: str) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 32, axis=0)
    path = tmp_path / f"a{suffix}"
    options = {"quality": 100} if suffix == ".jpg" else {}
    Image.fromarray(ramp).save(path, icc_profile=make_grey_profile(1.0), **options)
    data, _ = decode_upright(*open_source(path))
    assert np.abs(data.astype(int) - ramp).max() <= (2 if suffix == ".jpg" else 0)
    assert np.abs(read_mask(path) * 255 - ramp).max() <= 2.01
    trimap = read_trimap(path)
    assert trimap[0, 0] == 0 and trimap[0, 255] == 255 and (trimap[:, 40:200] == 128).all()
    assert int(read_picture(path).pixels[0, 55, 0]) > 120, "as a picture, 55/255 of linear light is middle grey"
