"""Files that cannot be used: one sentence that names the file and the fault, and what to do; silence otherwise."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask, read_trimap
from uhrmat.media import read_info, read_picture, write_rgb
from uhrmat.media.picture import Picture
from uhrmat.media.png import SIGNATURE, chunk

from .helpers import gradient, raw_png, save

NOISE = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


def cut(path: Path, share: float = 0.6) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    return path


def flipped(path: Path) -> Path:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    return path


def contents(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def exr(folder: Path, value: float = 1.0, channel: str = "RGB") -> Path:
    pixels = np.ones((16, 16, 3), np.float32)
    pixels[0, 0, 0] = value
    pixels[3, 3, 1] = value
    with OpenEXR.File({}, {channel: pixels if channel == "RGB" else pixels[..., 0].copy()}) as file:
        file.write(str(folder / "a.exr"))
    return folder / "a.exr"


def float_tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "f.tif", np.full((4, 4, 3), np.inf, np.float32), photometric="rgb")
    return folder / "f.tif"


def odd_tiff(folder: Path, dtype: str, photometric: str) -> Path:
    tifffile.imwrite(
        folder / "i.tif", np.zeros((4, 4, 4 if photometric == "separated" else 3), dtype), photometric=photometric
    )
    return folder / "i.tif"


def own_tiff(folder: Path) -> Path:
    write_rgb(folder / "own.tif", NOISE, Picture.from_array(NOISE).info)
    return folder / "own.tif"


BAD: dict[str, tuple[Callable[[Path], Path], str]] = {
    "truncated JPEG": (lambda d: cut(save(d / "a.jpg", NOISE)), "damaged or incomplete JPEG"),
    "JPEG without its last bytes": (lambda d: cut(save(d / "a.jpg", NOISE), 0.99), "damaged or incomplete JPEG"),
    "JPEG of two bytes more than a mark": (contents("a.jpg", b"\xff\xd8\xff\xe0\x00"), "damaged or incomplete JPEG"),
    "truncated PNG": (lambda d: cut(save(d / "a.png", NOISE)), "damaged or incomplete PNG"),
    "PNG without its end": (lambda d: cut(save(d / "a.png", NOISE), 0.999), "damaged or incomplete PNG"),
    "PNG with a flipped bit": (lambda d: flipped(save(d / "a.png", NOISE)), "damaged or incomplete PNG"),
    "PNG of a signature": (contents("a.png", SIGNATURE), "damaged or incomplete PNG"),
    "PNG without pixels": (contents("a.png", SIGNATURE + chunk(b"IEND", b"")), "damaged or incomplete PNG"),
    "truncated WebP": (lambda d: cut(save(d / "a.webp", NOISE)), "damaged or incomplete WebP"),
    "truncated TIFF": (lambda d: cut(save(d / "a.tif", NOISE)), "damaged or incomplete TIFF"),
    "truncated deflated TIFF": (lambda d: cut(own_tiff(d), 0.9), "damaged or incomplete TIFF"),
    "truncated LZW TIFF": (
        lambda d: cut(save(d / "a.tif", NOISE, compression="tiff_lzw")),
        "damaged or incomplete TIFF",
    ),
    "TIFF of a signature": (contents("a.tif", b"II*\0"), "damaged or incomplete TIFF"),
    "truncated EXR": (lambda d: cut(exr(d)), "damaged or incomplete EXR"),
    "EXR of a signature": (contents("a.exr", b"\x76\x2f\x31\x01"), "damaged or incomplete EXR"),
    "text named .png": (contents("a.png", b"hello, I am text\n"), "contents are something else"),
    "text": (contents("notes.txt", b"hello"), "'.txt' file"),
    "no extension": (contents("picture", b"hello"), "unknown kind"),
    "a raw photograph": (contents("a.nef", b"MM\0*\0\0\0\x08"), "'.nef' file"),
    "empty": (contents("a.png", b""), "0 bytes"),
    "folder": (lambda d: d, "is a folder"),
    "missing": (lambda d: d / "no such.png", "does not exist"),
    "missing folder": (lambda d: d / "no" / "such.png", "does not exist"),
    "NaN in EXR": (lambda d: exr(d, float("nan")), "holds 2 values that are not numbers"),
    "infinity in EXR": (lambda d: exr(d, float("inf")), "holds 2 values that are not numbers"),
    "infinity in TIFF": (float_tiff, "holds 48 values"),
    "EXR of a depth pass": (lambda d: exr(d, channel="Z"), "has the channels Z"),
    "TIFF of 32-bit integers": (lambda d: odd_tiff(d, "uint32", "rgb"), "not supported"),
    "CMYK TIFF of 16 bits": (lambda d: odd_tiff(d, "uint16", "separated"), "not supported"),
    "PNG of no width": (
        lambda d: raw_png(d / "a.png", np.zeros((1, 0), np.uint8), 0, 8),
        "has no pixels",
    ),
    "PNG that claims more than it holds": (
        contents(
            "a.png",
            SIGNATURE
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", b"\x78\x01\x03\x00\x00\x00\x00\x01")
            + chunk(b"IEND", b""),
        ),
        "damaged or incomplete PNG",
    ),
    "bomb": (
        contents(
            "a.png",
            SIGNATURE
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", b"")
            + chunk(b"IEND", b""),
        ),
        "decompression bomb",
    ),
}


@pytest.mark.parametrize("read", [read_picture, read_trimap, read_mask], ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", BAD)
def test_bad_input(
    tmp_path: Path, case: str, read: Callable[[Path], object], capfd: pytest.CaptureFixture[str]
) -> None:
    make, sentence = BAD[case]
    path = make(tmp_path)
    with pytest.raises(InputError) as caught:
        read(path)
    assert sentence in str(caught.value)
    assert caught.value.hint.endswith((".", "'.")) and "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert capfd.readouterr().err == "", "a library's own message reached the user"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_unreadable(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", NOISE)
    path.chmod(0)
    with pytest.raises(InputError, match="Permission denied"):
        read_info(path)


def test_contents_count_not_the_name(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", gradient(4, 5), format="PNG")
    assert np.array_equal(read_picture(path).pixels, gradient(4, 5))
