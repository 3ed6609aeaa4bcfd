"""Nothing but what a file holds becomes pixels: headers that decoders refuse, names, bombs, and what is damaged."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_mask
from uhrmat.media import raster, read_info, read_picture
from uhrmat.media.exr import write_exr
from uhrmat.media.png import SIGNATURE, chunk
from uhrmat.media.raster import cv2_decode, cv2_read

from .helpers import gradient, raw_png, save

PIXELS = np.random.default_rng(3).integers(0, 255, (48, 64, 3), dtype=np.uint8)
SMOOTH = cv2.GaussianBlur(PIXELS, (0, 0), 3)
SENTINEL = 173


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers that decoders fill hold the sentinel beforehand: a pixel that nobody wrote shows it."""
    monkeypatch.setattr(raster, "blank", lambda shape, dtype: np.full(shape, SENTINEL, dtype))


def jpeg(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def png(*chunks: tuple[bytes, bytes], width: int = 64, height: int = 48, bits: int = 8, colour: int = 2) -> bytes:
    """A PNG of noise (of zeros, where the header asks for another kind), `chunks` between the header and the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in parts)


def webp(**options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(SMOOTH).save(buffer, "WEBP", **options)
    return buffer.getvalue()


def changed(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def without(data: bytes, marker: int) -> bytes:
    """A JPEG without its first segment of this kind."""
    at = data.index(bytes((0xFF, marker)))
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


REFUSED: dict[str, Callable[[], tuple[str, bytes]]] = {
    "JPEG without quantisation tables": lambda: ("a.jpg", without(without(jpeg(), 0xDB), 0xDB)),
    "JPEG of no components": lambda: ("a.jpg", changed(jpeg(), jpeg().index(b"\xff\xc0") + 9, b"\0")),
    "JPEG of an impossible sampling": lambda: ("a.jpg", changed(jpeg(), jpeg().index(b"\xff\xc0") + 11, b"\x7f")),
    "JPEG of a table too short": lambda: ("a.jpg", changed(jpeg(), jpeg().index(b"\xff\xdb") + 2, b"\0\x05")),
    "PNG with two headers": lambda: ("a.png", png((b"IHDR", png()[16:29]))),
    "PNG of an impossible depth": lambda: ("a.png", png(bits=7)),
    "PNG palette without colours": lambda: ("a.png", png(colour=3, width=190)),
    "PNG without the rows it claims": lambda: ("a.png", png(height=4800)),
    "WebP whose frame has no start code": lambda: ("a.webp", changed(webp(), 23, b"\0\0\0")),
    "WebP that claims to be lossless": lambda: ("a.webp", changed(webp(), 12, b"VP8L")),
    "WebP of another canvas than its frame": lambda: (
        "a.webp",
        (lambda body: b"RIFF" + struct.pack("<I", len(body)) + body)(
            b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\xfe\x3f\0\xfe\x3f\0" + webp()[12:]
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_decoder_refuses_is_refused(
    tmp_path: Path, marked: None, case: str, capfd: pytest.CaptureFixture[str]
) -> None:
    name, data = REFUSED[case]()
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match="damaged or incomplete"):
        read_picture(tmp_path / name)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 1, 3), (48, 64), (48, 64, 4)])
def test_a_refused_header_is_not_the_buffer(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    with pytest.raises(InputError, match="damaged"):
        cv2_decode(tmp_path / "a.jpg", "JPEG", shape, dtype)


def test_a_picture_like_the_mark_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = np.random.default_rng(0).integers(0, 256, 64, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), np.stack([mark, mark]))
    assert np.array_equal(cv2_decode(tmp_path / "a.png", "PNG", (2, 64))[0], np.stack([mark, mark]))


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
@pytest.mark.parametrize("suffix", [b"png", b"jpg", b"webp", b"tif", b"exr"])
def test_names_that_are_not_utf8(tmp_path: Path, suffix: bytes) -> None:
    kind = suffix.decode()
    folder = tmp_path / os.fsdecode(b"f\xfcr")
    folder.mkdir()
    path = folder / os.fsdecode(b"caf\xe9." + suffix)
    if kind == "exr":
        write_exr(path, SMOOTH.astype(np.float32))
    else:
        save(tmp_path / f"a.{kind}", SMOOTH).rename(path)
    assert read_picture(path).pixels.shape == (48, 64, 3) and read_info(path).width == 64
    assert kind == "exr" or cv2_read(path, cv2.IMREAD_GRAYSCALE) is not None
    cut = path.with_name(os.fsdecode(b"cut\xff." + suffix))
    cut.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"cut\\xff\."):
        read_picture(cut)


@pytest.mark.skipif(sys.platform != "linux", reason="the C locale of Linux")
def test_names_in_the_c_locale(tmp_path: Path) -> None:
    path = save(tmp_path / "写真.png", SMOOTH)
    Image.fromarray(SMOOTH).convert("P").save(tmp_path / "palette é.png")
    code = "import sys; from uhrmat.media import read_picture\nfor p in sys.argv[1:]: print(read_picture(p).width, p)"
    made = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code, path, tmp_path / "palette é.png"], env=made, capture_output=True, check=False
    )
    assert done.returncode == 0 and done.stdout.count(b"64 ") == 2, done.stderr


def with_thumbnail(data: bytes) -> bytes:
    """The JPEG with another one, whole, in its EXIF, where a thumbnail lies."""
    small = io.BytesIO()
    Image.fromarray(SMOOTH[:12, :16]).save(small, "JPEG")
    body = b"Exif\0\0II*\0" + struct.pack("<IHI", 8, 0, 0) + small.getvalue()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + data[2:]


@pytest.mark.parametrize("share", [0.3, 0.55, 0.9, 0.999])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("thumbnail", [False, True])
def test_a_cut_jpeg_is_refused_whatever_lies_in_it(
    tmp_path: Path, share: float, progressive: bool, thumbnail: bool
) -> None:
    data = jpeg(progressive=progressive, quality=95)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    head = len(data) - len(data[data.index(b"\xff\xda") :])
    at = head + int(share * (len(data) - head))
    whole.write_bytes(with_thumbnail(data) if thumbnail else data)
    cut.write_bytes(with_thumbnail(data[:at]) if thumbnail else data[:at])
    assert read_picture(whole).pixels.shape == (48, 64, 3)
    for read in (read_info, read_picture, read_mask):
        with pytest.raises(InputError, match="damaged or incomplete JPEG"):
            read(cut)


@pytest.mark.parametrize(
    "dress",
    {
        "a movie behind it": lambda data: data + b"\0\0\0\x18ftypmp42" + bytes(200) + b"\xff\xd8\xff",
        "fill bytes": lambda data: data.replace(b"\xff\xda", b"\xff\xff\xff\xda")[:-2] + b"\xff\xff\xff\xd9",
        "a comment that ends it": lambda data: data[:2] + b"\xff\xfe\0\x06\xff\xd9\xff\xda" + data[2:],
        "restart markers": lambda data: jpeg(restart_marker_blocks=1),
        "four scans": lambda data: jpeg(progressive=True),
        "grey": lambda data: cv2.imencode(".jpg", SMOOTH[..., 0])[1].tobytes(),
        "least data": lambda data: cv2.imencode(".jpg", np.full((4000, 4000, 3), 128, np.uint8))[1].tobytes(),
    }.items(),
    ids=lambda item: item[0],
)
def test_sound_jpeg_in_any_dress_is_read(tmp_path: Path, dress: tuple[str, Callable[[bytes], bytes]]) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(dress[1](jpeg()))
    result = read_picture(path)
    assert np.array_equal(result.pixels[..., ::-1], cv2.imread(str(path), cv2.IMREAD_COLOR))
    assert result.info.notes == ()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libjpeg's lines are not captured")
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_corrupt_in_the_middle_has_a_note(
    tmp_path: Path, progressive: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    buffer = io.BytesIO()
    Image.fromarray(PIXELS[..., 0]).save(buffer, "JPEG", progressive=progressive, quality=95)
    data = buffer.getvalue()
    middle = len(data) - 300  # within the last scan
    path = tmp_path / "a.jpg"
    path.write_bytes(changed(data, middle, np.random.default_rng(1).integers(0, 200, 64, np.uint8).tobytes()))
    (note,) = read_picture(path).info.notes
    assert note.startswith("a.jpg is damaged inside (Corrupt JPEG data")
    heard: list[str] = []
    assert read_mask(path, notes=heard).shape == (48, 64) and note in heard
    assert capfd.readouterr().err == ""


def scans(count: int) -> bytes:
    data = jpeg(progressive=True)
    last = data[data.rindex(b"\xff\xda") : -2]
    return data[:-2] + last * count + b"\xff\xd9"


BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "JPEG of 65500 x 65500 in 700 bytes": (
        "a.jpg",
        lambda: changed(jpeg(), jpeg().index(b"\xff\xc0") + 5, b"\x3f\xff\x3f\xff"),
        "damaged or incomplete JPEG",
    ),
    "JPEG of hundreds of scans": ("a.jpg", lambda: scans(200), "210 scans"),
    "PNG of 32768 x 32768 in 10 kB": ("a.png", lambda: png(width=32768, height=32768), "damaged or incomplete PNG"),
    "PNG palette of 32768 x 32768": (
        "a.png",
        lambda: png((b"PLTE", bytes(768)), width=32768, height=32768, colour=3),
        "damaged or incomplete PNG",
    ),
    "PNG of much data for one pixel": (
        "a.png",
        lambda: (
            SIGNATURE
            + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(np.random.default_rng(0).bytes(100_000)))
            + chunk(b"IEND", b"")
        ),
        "bytes of pixel data",
    ),
    "PNG of a myriad of comments": ("a.png", lambda: png(*[(b"tEXt", b"k\0v")] * 10_001), "10001 chunks"),
    "PNG of a phone's program": ("a.png", lambda: SIGNATURE + chunk(b"CgBI", bytes(4)) + png()[8:], "CgBI"),
    "PNG of 16 bits, too wide for libpng": (
        "a.png",
        lambda: raw_bytes(np.zeros((1, 2_000_002), np.uint8), 16),
        "16 bits with a side of more than 1000000",
    ),
    "JPEG of 12 bits": (
        "a.jpg",
        lambda: changed(jpeg(), jpeg().index(b"\xff\xc0") + 4, b"\x0c"),
        "a JPEG of 12 bits",
    ),
}


def raw_bytes(rows: np.ndarray, bits: int) -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return raw_png(Path(folder, "a.png"), rows, 0, bits).read_bytes()


@pytest.mark.parametrize("case", BOMBS)
@pytest.mark.parametrize("read", [read_info, read_picture], ids=lambda f: f.__name__)
def test_bombs_are_refused_from_their_header(tmp_path: Path, case: str, read: Callable[[Path], object]) -> None:
    name, make, text = BOMBS[case]
    (tmp_path / name).write_bytes(make())
    with pytest.raises(InputError) as caught:
        read(tmp_path / name)
    assert text in str(caught.value) and name in str(caught.value)


def test_a_png_wider_than_libpng_reads(tmp_path: Path) -> None:
    rows = np.arange(1_000_003, dtype=np.uint32).astype(np.uint8)[None].repeat(2, axis=0)
    result = read_picture(raw_png(tmp_path / "a.png", rows, 0, 8))
    assert np.array_equal(result.pixels[..., 1], rows)


@pytest.mark.parametrize(
    "extra",
    {
        "text that unpacks to much": (b"zTXt", b"k\0\0" + zlib.compress(bytes(1 << 24))),
        "international text": (b"iTXt", b"k\0\1\0en\0k\0" + zlib.compress(bytes(1 << 24))),
        "a profile that unpacks to much": (b"iCCP", b"k\0\0" + zlib.compress(bytes(1 << 26))),
        "a profile that is none": (b"iCCP", b"k\0\0" + zlib.compress(b"no profile")),
        "frames of an animation": (b"acTL", struct.pack(">II", 2**31 - 1, 0)),
        "a gamma of the wrong length": (b"gAMA", b"\0"),
        "EXIF that leads nowhere": (b"eXIf", b"II*\0\xff\xff\xff\xff"),
        "a private chunk": (b"prVt", bytes(1000)),
    }.items(),
    ids=lambda item: item[0],
)
@pytest.mark.parametrize("palette", [False, True])
def test_chunks_that_make_no_pixels_reach_no_decoder(
    tmp_path: Path, extra: tuple[str, tuple[bytes, bytes]], palette: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.png"
    if palette:
        colours = np.arange(256, dtype=np.uint8).repeat(3).tobytes()
        raw_png(path, PIXELS[..., 0], 3, 8, (b"PLTE", colours), extra[1])
        wanted = PIXELS[..., :1].repeat(3, axis=2)
    else:
        path.write_bytes(png(extra[1]))
        wanted = PIXELS
    assert np.array_equal(read_picture(path).pixels, wanted)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "L", "P", "1"])
def test_strips_of_a_large_picture_join(tmp_path: Path, mode: str) -> None:
    """More rows than the strips in which pixels are converted have."""
    image = Image.fromarray(gradient(700, 9)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(Image.fromarray(gradient(700, 9)[..., 2]))
    image.save(tmp_path / "a.png")
    result = read_picture(tmp_path / "a.png")
    assert np.array_equal(result.pixels, np.asarray(image.convert("RGB")))
    if mode in ("RGBA", "LA"):
        assert np.array_equal(result.alpha, gradient(700, 9)[..., 2])
