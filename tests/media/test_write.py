"""Writing: read back by ours and by others' decoders, values are what was asked for, to the last bit."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from uhrmat.core.errors import OutputError
from uhrmat.media import (
    ALPHA_SUFFIX,
    Picture,
    PictureInfo,
    atomic_write,
    check_writable,
    open_png,
    quantise,
    read_picture,
    same_file,
    write_alpha,
    write_rgb,
    write_rgba,
)
from uhrmat.media.convert import premultiply_integer, to_integer, to_linear

from .helpers import display_p3, exif_blob, gradient

PIXELS = st.tuples(st.integers(1, 12), st.integers(1, 12))


def info_of(rgb: np.ndarray, linear: bool = False, icc: bytes | None = None, bits: int | None = None) -> PictureInfo:
    height, width = rgb.shape[:2]
    depth = bits or 8 * rgb.dtype.itemsize
    return PictureInfo(
        path=None,
        width=width,
        height=height,
        dtype=rgb.dtype.name,
        bit_depth=depth,
        icc=icc,
        exif=exif_blob(1),
        linear=linear,
    )


@pytest.mark.parametrize(("fmt", "levels"), [("png", 255), ("png16", 65535), ("tiff", 65535), ("exr", 2048)])
def test_alpha_is_rounded_not_truncated(tmp_path: Path, fmt: str, levels: int) -> None:
    step = 1 / levels
    alpha = np.linspace(0, 1, 5000, dtype=np.float32).reshape(50, 100)
    path = tmp_path / f"a{ALPHA_SUFFIX[fmt]}"
    write_alpha(path, alpha, fmt)
    picture = read_picture(path)
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[picture.info.dtype]
    error = picture.pixels[..., 0] / top - alpha
    assert np.abs(error).max() <= step / 2 * 1.01 and abs(error.mean()) < step / 20
    assert picture.pixels[0, 0, 0] == 0 and picture.pixels[-1, -1, 0] == top
    assert Image.open(path).mode in ("L", "I;16", "I") if fmt != "exr" else True


def test_alpha_exr_in_float_is_exact(tmp_path: Path) -> None:
    alpha = np.random.default_rng(0).random((7, 9), np.float32)
    write_alpha(tmp_path / "a.exr", alpha, "exr", exr_float=True)
    assert np.array_equal(read_picture(tmp_path / "a.exr").pixels[..., 2], alpha)


@pytest.mark.parametrize(("name", "fmt"), [("a.jpg", "png"), ("a.tif", "png"), ("a.png", "exr"), ("a", "png")])
def test_alpha_refuses_other_extensions(tmp_path: Path, name: str, fmt: str) -> None:
    with pytest.raises(OutputError):
        write_alpha(tmp_path / name, np.zeros((2, 2), np.float32), fmt)
    assert not list(tmp_path.iterdir())


@settings(max_examples=60, deadline=None)
@given(data=st.data(), size=PIXELS, channels=st.sampled_from([1, 2, 3, 4]), dtype=st.sampled_from(["uint8", "uint16"]))
def test_png_is_read_back_by_another_decoder(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, size: tuple[int, int], channels: int, dtype: str
) -> None:
    shape = size if channels == 1 else (*size, channels)
    pixels = data.draw(hnp.arrays(dtype, shape))
    path = tmp_path_factory.mktemp("png") / "a.png"
    with open_png(path, size[1], size[0], channels, 8 * pixels.dtype.itemsize) as png:
        first = data.draw(st.integers(0, size[0]))
        png.write(pixels[:first])
        png.write(pixels[first:])
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if channels == 2:
        read = read[..., [0, 3]]
    elif channels > 2:
        read = read[..., [2, 1, 0, 3][:channels]]
    assert read.dtype == pixels.dtype and np.array_equal(read, pixels)


@pytest.mark.parametrize("bits", [8, 16])
def test_png_of_many_blocks(tmp_path: Path, bits: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 1 << bits, (700, 900, 4), dtype=f"uint{bits}")
    with open_png(tmp_path / "a.png", 900, 700, 4, bits) as png:
        png.write(pixels)
    read = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(read[..., [2, 1, 0, 3]], pixels)
    with Image.open(tmp_path / "a.png") as image:
        image.load()  # Pillow also checks the Adler-32 that cv2 does not


def test_png_refuses_wrong_rows_and_leaves_nothing(tmp_path: Path) -> None:
    row = np.zeros((1, 4), np.uint8)
    for rows in (row[:, :3], row.astype(np.uint16), np.zeros((3, 4), np.uint8), row[:0]):
        with pytest.raises(ValueError, match="PNG"), open_png(tmp_path / "a.png", 4, 2, 1, 8) as png:
            png.write(rows)
    for bad in ((0, 4, 1, 8), (4, 4, 5, 8), (4, 4, 1, 4)):
        with pytest.raises(OutputError), open_png(tmp_path / "a.png", *bad):
            pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("premultiply", [False, True])
def test_half_transparent_pixels_are_exact(tmp_path: Path, suffix: str, dtype: str, premultiply: bool) -> None:
    if suffix == ".webp" and dtype == "uint16":
        pytest.skip("WebP is 8-bit")
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    rgb = rng.integers(0, top, (40, 50, 3), dtype=dtype, endpoint=True)
    alpha = rng.random((40, 50), np.float32)
    rgb[0, 0], alpha[0, 0], alpha[1] = (10, 200, 30), 0.5, 0.0
    path = tmp_path / f"a{suffix}"
    write_rgba(path, rgb, alpha, info_of(rgb), premultiply)
    picture = read_picture(path)
    held = picture.alpha
    assert held is not None and picture.pixels.dtype == rgb.dtype
    assert np.array_equal(held, np.floor(alpha.astype(np.float64) * top + 0.5))
    if premultiply:
        wanted = np.floor(rgb.astype(np.float64) * held[..., None] / top + 0.5)
    else:
        wanted = rgb * (held > 0)[..., None]
    assert np.array_equal(picture.pixels, wanted)


def test_hidden_colour_is_removed_unless_kept(tmp_path: Path) -> None:
    rgb, alpha = gradient(6, 6) + 1, np.zeros((6, 6), np.float32)
    write_rgba(tmp_path / "a.png", rgb, alpha, info_of(rgb))
    assert read_picture(tmp_path / "a.png").pixels.max() == 0
    write_rgba(tmp_path / "a.png", rgb, alpha, info_of(rgb), keep_hidden=True)
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, rgb)


@pytest.mark.parametrize("premultiply", [False, True])
def test_files_say_what_they_hold(tmp_path: Path, premultiply: bool) -> None:
    rgb, alpha = gradient(6, 6), np.full((6, 6), 0.5, np.float32)
    for suffix in (".png", ".tif", ".exr"):
        write_rgba(tmp_path / f"a{suffix}", rgb, alpha, info_of(rgb), premultiply)
    wanted = "premultiplied" if premultiply else "straight"
    assert Image.open(tmp_path / "a.png").info["uhrmat:alpha"] == wanted
    with OpenEXR.File(str(tmp_path / "a.exr")) as file:
        assert file.header()["uhrmat:alpha"] == wanted
    with tifffile.TiffFile(tmp_path / "a.tif") as tiff:
        assert tuple(int(k) for k in tiff.pages[0].extrasamples) == (1 if premultiply else 2,)


@pytest.mark.parametrize(("dtype", "single", "bits"), [("uint8", None, 16), ("uint16", None, 32), ("uint8", True, 32)])
def test_exr_is_linear(tmp_path: Path, dtype: str, single: bool | None, bits: int) -> None:
    rgb, alpha = gradient(6, 8, dtype), np.full((6, 8), 0.5, np.float32)
    write_rgba(tmp_path / "a.exr", rgb, alpha, info_of(rgb), True, exr_float=single)
    picture = read_picture(tmp_path / "a.exr")
    assert picture.info.bit_depth == bits
    assert np.allclose(picture.pixels, to_linear(rgb, False) * 0.5, atol=1e-3)
    assert picture.alpha is not None and (picture.alpha == 0.5).all()


@pytest.mark.parametrize("bits", [16, 32])
def test_exr_to_exr_is_exact_above_one(tmp_path: Path, bits: int) -> None:
    rgb = (gradient(6, 8, "float32") * 30).astype(f"float{bits}").astype(np.float32)
    info = info_of(rgb, linear=True, bits=bits)
    write_rgba(tmp_path / "a.exr", rgb, np.ones((6, 8), np.float32), info)
    write_rgb(tmp_path / "b.exr", rgb, info)
    for name in "ab":
        picture = read_picture(tmp_path / f"{name}.exr")
        assert np.array_equal(picture.pixels, rgb) and picture.info.bit_depth == bits


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".webp"])
def test_linear_light_is_encoded_for_display_files(tmp_path: Path, suffix: str) -> None:
    rgb = np.full((8, 8, 3), 0.21404114, np.float32)
    write_rgb(tmp_path / f"a{suffix}", rgb, info_of(rgb, linear=True))
    assert np.abs(read_picture(tmp_path / f"a{suffix}").to_float() - 0.5).max() < 1.5 / 255


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_profile_bytes_go_out_as_they_came(tmp_path: Path, suffix: str) -> None:
    rgb = gradient(9, 9)
    path = tmp_path / f"a{suffix}"
    write_rgb(path, rgb, info_of(rgb, icc=display_p3()))
    assert Image.open(path).info["icc_profile"] == display_p3()
    assert read_picture(path).info.icc == display_p3()
    if suffix != ".jpg":
        write_rgba(path, rgb, np.ones((9, 9), np.float32), info_of(rgb, icc=display_p3()))
        assert Image.open(path).info["icc_profile"] == display_p3()
    if suffix != ".tif":
        assert read_picture(path).info.exif == exif_blob(1)


def test_jpeg_is_444_and_good(tmp_path: Path) -> None:
    rgb = gradient(64, 64)
    rgb[::2, :, 0] = 255
    write_rgb(tmp_path / "a.jpg", rgb, info_of(rgb))
    with Image.open(tmp_path / "a.jpg") as image:
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
    assert np.abs(read_picture(tmp_path / "a.jpg").pixels.astype(int) - rgb).mean() < 6


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_colour_round_trip_with_many_strips(tmp_path: Path, dtype: str, suffix: str) -> None:
    rgb = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (600, 500, 3), dtype=dtype)
    write_rgb(tmp_path / f"a{suffix}", rgb, info_of(rgb))
    assert np.array_equal(read_picture(tmp_path / f"a{suffix}").pixels, rgb)
    if suffix == ".tif":
        assert np.array_equal(tifffile.imread(tmp_path / "a.tif"), rgb)


@given(hnp.arrays(np.float32, (4, 4), elements=st.floats(-2, 3, width=32)))
def test_quantise_rounds_and_clips(values: np.ndarray) -> None:
    wanted = np.floor(np.clip(values, 0, 1).astype(np.float64) * 255 + 0.5)
    assert np.abs(quantise(values, 8) - wanted).max() <= (np.abs(wanted - values * 255.0) > 0.4999).any()


def test_premultiplying_eight_bits_is_exact_for_every_pair() -> None:
    value, alpha = np.meshgrid(np.arange(256, dtype=np.uint8), np.arange(256, dtype=np.uint8))
    product = premultiply_integer(np.dstack([value] * 3), alpha)[..., 0]
    assert np.array_equal(product, np.floor(value.astype(np.float64) * alpha / 255 + 0.5))


def test_depths_convert_by_rounding() -> None:
    assert to_integer(np.array([0, 128, 255], np.uint8), False, 16).tolist() == [0, 32896, 65535]
    deep = np.array([0, 128, 129, 65406, 65407, 65535], np.uint16)
    assert to_integer(deep, False, 8).tolist() == [0, 0, 1, 254, 255, 255]


def test_refused_outputs(tmp_path: Path) -> None:
    rgb = gradient(4, 4)
    with pytest.raises(OutputError, match="cannot hold alpha"):
        write_rgba(tmp_path / "a.jpg", rgb, np.ones((4, 4), np.float32), info_of(rgb))
    with pytest.raises(OutputError, match="extension"):
        write_rgb(tmp_path / "a.gif", rgb, info_of(rgb))
    with pytest.raises(OutputError, match="16383"):
        write_rgb(tmp_path / "a.webp", np.zeros((1, 16384, 3), np.uint8), info_of(rgb))
    with pytest.raises(ValueError, match="differ in size"):
        write_rgba(tmp_path / "a.png", rgb, np.ones((4, 5), np.float32), info_of(rgb))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".png", ".tif", ".exr", ".jpg", ".webp"])
def test_missing_folder_is_an_output_error(tmp_path: Path, suffix: str) -> None:
    rgb = gradient(4, 4)
    with pytest.raises(OutputError, match="Cannot write"):
        write_rgb(tmp_path / "no" / f"a{suffix}", rgb, info_of(rgb))


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    wanted = OutputError if error is OSError else error
    with pytest.raises(wanted), atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        assert temporary.parent == tmp_path and temporary.suffix == ".png"
        raise error
    assert path.read_bytes() == b"old" and [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_interrupted_picture_leaves_no_file_and_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    def rows(y0: int, y1: int) -> np.ndarray:
        if y0 > 100:
            raise KeyboardInterrupt
        return np.zeros((y1 - y0, 60000), np.uint8)

    with pytest.raises(KeyboardInterrupt), open_png(tmp_path / "a.png", 60000, 1000, 1, 8) as png:
        png.write_from(rows, 1000)
    assert not list(tmp_path.iterdir()) and set(threading.enumerate()) <= before


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        write_alpha(tmp_path / "a.png", np.zeros((2, 2), np.float32))


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    write_alpha(tmp_path / "a.png", np.zeros((2, 2), np.float32))
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_check_writable(tmp_path: Path) -> None:
    check_writable(tmp_path)
    check_writable(tmp_path / "not" / "yet")
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OutputError, match="is a file, not a folder"):
            check_writable(path)
    if Path("/proc/self").is_dir():
        with pytest.raises(OutputError, match="Cannot write to the folder"):
            check_writable("/proc/self")


def test_same_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    assert same_file(path, tmp_path / "x" / ".." / "a.png") and not same_file(path, tmp_path / "b.png")
    path.touch()
    os.symlink(path, tmp_path / "link.png")
    assert same_file(path, tmp_path / "link.png") and not same_file(path, tmp_path / "missing.png")


def test_a_picture_from_an_array_goes_out_again(tmp_path: Path) -> None:
    picture = Picture.from_array(gradient(5, 6, "uint16"))
    write_rgb(tmp_path / "a.png", picture.pixels, picture.info)
    assert np.array_equal(read_picture(tmp_path / "a.png").pixels, picture.pixels)
