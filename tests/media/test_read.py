"""Reading: every format and coding gives upright RGB in its stored depth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.media import Picture, read_info, read_picture
from uhrmat.media.exif import PREFIX, orient, read_orientation, reset_orientation
from uhrmat.media.raster import cv2_decode

from .helpers import display_p3, exif_blob, gradient, grey_profile, raw_png, save

RGB = gradient(20, 30)


def turned_back(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The pixels a camera stores so that `orientation` shows `upright`."""
    inverse = {6: 8, 8: 6}.get(orientation, orientation)
    return np.ascontiguousarray(orient(upright.copy(), inverse))


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.tiff", "A.PNG", "with space ümlaut 写真.png"])
def test_eight_bits_are_exact(tmp_path: Path, name: str) -> None:
    options = {"lossless": True} if name.endswith("webp") else {}
    picture = read_picture(save(tmp_path / name, RGB, **options))
    assert np.array_equal(picture.pixels, RGB)
    info = picture.info
    assert (info.width, info.height, info.dtype, info.bit_depth, info.linear) == (30, 20, "uint8", 8, False)
    assert picture.alpha is None and info.path == tmp_path / name


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(tmp_path: Path, progressive: bool) -> None:
    path = save(tmp_path / "a.jpg", RGB, quality=100, subsampling=0, progressive=progressive)
    assert np.abs(read_picture(path).pixels.astype(int) - RGB).max() <= 3


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_ramp_keeps_its_levels(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(0, 65535, 8192).astype(np.uint16).reshape(8, 1024)
    colour = np.dstack([ramp, ramp[::-1], ramp])
    path = tmp_path / f"ramp{suffix}"
    cv2.imwrite(str(path), np.ascontiguousarray(colour[..., ::-1]))
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, colour) and picture.info.bit_depth == 16
    assert len(np.unique(picture.to_float())) >= 4096


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_all_orientations(tmp_path: Path, orientation: int, suffix: str) -> None:
    stored = turned_back(RGB, orientation)
    path = tmp_path / f"o{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, stored, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        options = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
        save(path, stored, exif=PREFIX + exif_blob(orientation), **options)
    picture = read_picture(path)
    assert np.abs(picture.pixels.astype(int) - RGB).max() <= (3 if suffix == ".jpg" else 0)
    assert picture.pixels.flags.c_contiguous
    assert picture.info == read_info(path)
    assert (picture.info.orientation, picture.height, picture.width) == (orientation, 20, 30)
    if suffix != ".tif":
        assert picture.info.exif == exif_blob(1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_reset_without_touching_other_bytes(order: str) -> None:
    blob = exif_blob(6, order) + b"maker note"
    assert read_orientation(blob) == 6
    assert reset_orientation(blob) == exif_blob(1, order) + b"maker note"


@pytest.mark.parametrize(
    "blob", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense", exif_blob(9), exif_blob(6)[:20]]
)
def test_nonsense_exif_means_upright(blob: bytes) -> None:
    assert read_orientation(blob) == 1
    assert len(reset_orientation(blob) or b"") == len(blob)


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    grey = RGB[..., 0].copy()
    for name in ("g.png", "g.tif"):
        assert np.array_equal(read_picture(save(tmp_path / name, grey)).pixels, np.dstack([grey] * 3))
    deep = grey.astype(np.uint16) * 257 + 1
    cv2.imwrite(str(tmp_path / "g16.png"), deep)
    assert np.array_equal(read_picture(tmp_path / "g16.png").pixels[..., 2], deep)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_spans_the_range(tmp_path: Path, bits: int) -> None:
    path = raw_png(tmp_path / "few.png", np.array([[0b00000000], [0b11111111]], np.uint8), 0, bits)
    pixels = read_picture(path).pixels
    assert pixels.shape == (2, 8 // bits, 3) and pixels[0].max() == 0 and pixels[1].min() == 255


def test_palette_with_and_without_transparency(tmp_path: Path) -> None:
    palette = b"\x0a\x14\x1e\xc8\xd2\xdc"
    rows = np.array([[0, 1]], np.uint8)
    plain = read_picture(raw_png(tmp_path / "p.png", rows, 3, 8, (b"PLTE", palette)))
    assert plain.alpha is None and plain.pixels.tolist() == [[[10, 20, 30], [200, 210, 220]]]
    keyed = read_picture(raw_png(tmp_path / "t.png", rows, 3, 8, (b"PLTE", palette), (b"tRNS", b"\x40")))
    assert keyed.alpha is not None and keyed.alpha.tolist() == [[64, 255]] and keyed.info.has_alpha
    assert keyed.pixels.tolist() == plain.pixels.tolist()


def test_colour_key_is_alpha(tmp_path: Path) -> None:
    rows = np.array([[1, 2, 3, 4, 5, 6]], np.uint8)
    picture = read_picture(raw_png(tmp_path / "k.png", rows, 2, 8, (b"tRNS", bytes([0, 1, 0, 2, 0, 3]))))
    assert picture.alpha is not None and picture.alpha.tolist() == [[0, 255]]
    deep = np.array([[1, 5, 2, 9]], np.uint8)
    picture = read_picture(raw_png(tmp_path / "k.png", deep, 0, 16, (b"tRNS", bytes([1, 5]))))
    assert picture.alpha is not None and picture.alpha.tolist() == [[0, 65535]]
    assert picture.pixels.tolist() == [[[261] * 3, [521] * 3]]


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_own_alpha_is_kept_apart_and_straight(tmp_path: Path, dtype: str, suffix: str) -> None:
    rgba = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (9, 7, 4), dtype=dtype)
    path = tmp_path / f"rgba{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
    else:
        cv2.imwrite(str(path), np.ascontiguousarray(rgba[..., [2, 1, 0, 3]]))
    picture = read_picture(path)
    assert picture.alpha is not None and picture.info.has_alpha
    assert np.array_equal(picture.pixels, rgba[..., :3]) and np.array_equal(picture.alpha, rgba[..., 3])


def test_grey_with_alpha(tmp_path: Path) -> None:
    rows = np.array([[10, 128, 20, 255]], np.uint8)
    picture = read_picture(raw_png(tmp_path / "la.png", rows, 4, 8))
    assert picture.alpha is not None and picture.alpha.tolist() == [[128, 255]]
    assert picture.pixels.tolist() == [[[10] * 3, [20] * 3]]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_becomes_rgb_without_its_profile(tmp_path: Path, suffix: str) -> None:
    cmyk = Image.fromarray(RGB).convert("CMYK")
    path = tmp_path / f"c{suffix}"
    cmyk.save(path, **({"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}))
    picture = read_picture(path)
    assert np.abs(picture.pixels.astype(int) - RGB).max() <= 4 and picture.info.icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_profile_bytes_are_kept(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"p3{suffix}", RGB, icc_profile=display_p3())
    assert read_picture(path).info.icc == display_p3()


def test_grey_profile_is_applied_not_carried(tmp_path: Path) -> None:
    grey = np.full((4, 4), 55, np.uint8)
    picture = read_picture(save(tmp_path / "linear.png", grey, icc_profile=grey_profile()))
    assert picture.info.icc is None
    assert abs(int(picture.pixels[0, 0, 0]) - 128) <= 2, "55/255 of linear light is middle grey in sRGB"


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_tiff_compressions(tmp_path: Path, compression: int, dtype: str) -> None:
    pixels, path = gradient(20, 30, dtype), tmp_path / "c.tif"
    cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_TIFF_COMPRESSION, compression])
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, pixels) and picture.info.linear == (dtype == "float32")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_lzw_tiff_of_sixteen_bits_is_turned_once(tmp_path: Path, orientation: int) -> None:
    upright = gradient(20, 30, "uint16")[..., 2].copy()
    path = tmp_path / "o.tif"
    Image.fromarray(turned_back(upright, orientation)).save(path, compression="tiff_lzw", tiffinfo={274: orientation})
    assert np.array_equal(read_picture(path).pixels[..., 0], upright)


def test_tiff_varieties(tmp_path: Path) -> None:
    path = tmp_path / "v.tif"
    tifffile.imwrite(path, np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_picture(path).pixels, RGB)
    tifffile.imwrite(path, RGB[..., 0], photometric="miniswhite")
    assert np.array_equal(read_picture(path).pixels[..., 1], 255 - RGB[..., 0])
    tifffile.imwrite(path, gradient(20, 30, "float32").astype(np.float16), photometric="rgb")
    assert read_info(path).bit_depth == 16 and read_picture(path).pixels.dtype == np.float32
    tifffile.imwrite(path, RGB.astype(">u2"), photometric="rgb", byteorder=">")
    assert np.array_equal(read_picture(path).pixels, RGB) and read_picture(path).pixels.dtype == np.uint16
    colormap = np.zeros((3, 256), np.uint16)
    colormap[0] = np.arange(256) * 257
    tifffile.imwrite(path, RGB[..., 0], photometric="palette", colormap=colormap)
    assert np.array_equal(read_picture(path).pixels[..., 0], RGB[..., 0])
    assert read_picture(path).pixels[..., 1:].max() == 0


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("channels", ["RGB", "RGBA", "Y"])
def test_exr_keeps_linear_values(tmp_path: Path, dtype: type, channels: str) -> None:
    count = len(channels)
    stored = (np.random.default_rng(1).random((6, 5, count)) * 4).astype(dtype)
    path = tmp_path / "a.exr"
    with OpenEXR.File({}, {channels: stored if count > 1 else stored[..., 0]}) as file:
        file.write(str(path))
    picture = read_picture(path)
    assert np.array_equal(picture.pixels, np.broadcast_to(stored[..., :3], (6, 5, 3)).astype(np.float32))
    assert (picture.alpha is not None) == (channels == "RGBA")
    assert picture.info.linear and picture.info.bit_depth == np.dtype(dtype).itemsize * 8
    shown = picture.to_float()
    assert shown.min() >= 0 and shown.max() == 1.0
    assert read_info(path) == picture.info


def test_exr_data_window_is_placed_in_the_display_window(tmp_path: Path) -> None:
    path, pixels = tmp_path / "w.exr", np.ones((3, 4, 3), np.float16)
    windows = {
        "dataWindow": (np.array([2, 1], np.int32), np.array([5, 3], np.int32)),
        "displayWindow": (np.array([0, 0], np.int32), np.array([4, 9], np.int32)),
    }
    with OpenEXR.File(windows, {"RGB": pixels}) as file:
        file.write(str(path))
    got = read_picture(path).pixels
    assert got.shape == (10, 5, 3) and got.sum() == 3 * 3 * 3 and got[1:4, 2:5].min() == 1


def test_linear_light_is_shown_by_the_srgb_curve() -> None:
    picture = Picture.from_array(np.full((1, 1, 3), 0.21404114, np.float32), linear=True)
    assert picture.to_float() == pytest.approx(0.5, abs=1e-5)


def test_to_float_of_a_region() -> None:
    region = Picture.from_array(RGB).to_float(2, 5, 10)
    assert region.shape == (3, 20, 3) and np.allclose(region * 255, RGB[2:5, 10:], atol=1e-4)
    assert Picture.from_array(np.array([[255]], np.uint8)).to_float().max() == 1.0


def test_a_decoder_that_disagrees_with_the_header_is_asked_again(tmp_path: Path) -> None:
    pixels, alpha = cv2_decode(save(tmp_path / "a.png", RGB), "PNG", (20, 30, 4))
    assert np.array_equal(pixels, RGB) and alpha is None


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_one_pixel(tmp_path: Path, suffix: str) -> None:
    assert read_picture(save(tmp_path / f"one{suffix}", np.full((1, 1, 3), 200, np.uint8))).pixels.shape == (1, 1, 3)


def test_more_pixels_than_pillow_and_opencv_would_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    for suffix in (".png", ".jpg", ".tif", ".webp"):
        assert read_picture(save(tmp_path / f"big{suffix}", RGB)).width == 30
    palette = raw_png(tmp_path / "p.png", np.zeros((9, 9), np.uint8), 3, 8, (b"PLTE", b"\1\2\3"))
    assert read_picture(palette).width == 9


def test_max_pixels_counts_before_decoding(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", RGB)
    assert read_picture(path, max_pixels=600).width == 30
    with pytest.raises(InputError, match="30x20, 600 pixels, and the limit is 599"):
        read_picture(path, max_pixels=599)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((4, 4, 2), np.uint8), "no picture"),
        (np.zeros((0, 4), np.uint8), "no picture"),
        (np.zeros((4, 4), np.int32), "int32"),
        (np.full((4, 4), 2.0), r"\[0, 1\]"),
        (np.full((4, 4), np.nan), "not numbers"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, match: str) -> None:
    with pytest.raises(InputError, match=match):
        Picture.from_array(array)


def test_import_stays_light() -> None:
    code = "import sys, uhrmat.media; assert not {'torch', 'cv2', 'PIL', 'tifffile', 'OpenEXR'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
