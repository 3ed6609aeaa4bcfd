"""Damaged pictures in quantity: each is read twice, from memory filled with two different bytes.

Whatever is not the same both times was never written by a decoder: unread pixels. Anything raised but UhrmatError is a
fault too. Files are damaged with their structure in mind, so that checksums and lengths hold and decoders get to see
them.

    python -m tests.fuzz.pictures 3600            # of each format; --seed N for others, --keep DIR for what was wrong
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import io
import random
import struct
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
import tifffile
from PIL import Image

from uhrmat.core.errors import UhrmatError
from uhrmat.media import raster, read_picture
from uhrmat.media.png import SIGNATURE, chunk

LIMIT = 1 << 22
"""Pixels that a damaged header may claim."""
FILLS = (0xAD, 0x52)
_M_PERTURB = -6
_SLOW = 10.0


def _smooth() -> np.ndarray:
    return cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8), (0, 0), 2)


def _saved(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(_smooth()).save(buffer, kind, **options)
    return buffer.getvalue()


_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def _interlaced_png() -> bytes:
    """PNG Specification, 8.2: seven passes, each a small picture."""
    rows = b"".join(b"\0" + row.tobytes() for x, y, dx, dy in _ADAM7 for row in _smooth()[y::dy, x::dx])
    header = struct.pack(">IIBBBBB", 64, 48, 8, 2, 0, 0, 1)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _png(mode: str = "RGB", depth: int = 8) -> bytes:
    if depth == 16:
        return bytes(cv2.imencode(".png", _smooth().astype(np.uint16) * 257)[1])
    buffer = io.BytesIO()
    Image.fromarray(_smooth()).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def _tiff(dtype: str = "uint8", **options: object) -> bytes:
    buffer = io.BytesIO()
    pixels = _smooth().astype(dtype)
    tifffile.imwrite(buffer, pixels / 255 if pixels.dtype.kind == "f" else pixels, photometric="rgb", **options)
    return buffer.getvalue()


def _exr(dtype: str, compression: int, alpha: bool = False) -> bytes:
    pixels = (_smooth() / 255).astype(dtype)
    channels = {"RGBA": np.dstack([pixels, pixels[..., :1]])} if alpha else {"RGB": pixels}
    with tempfile.TemporaryDirectory() as folder:
        with OpenEXR.File({"compression": compression}, channels) as file:
            file.write(f"{folder}/a.exr")
        return Path(folder, "a.exr").read_bytes()


def seeds() -> dict[str, list[bytes]]:
    """Sound files by format, of the varieties that take other ways through the code."""
    return {
        "png": [_png(), _png(depth=16), _png("P"), _png("RGBA"), _png("L"), _png("1"), _interlaced_png()],
        "jpeg": [
            _saved("JPEG"),
            _saved("JPEG", progressive=True),
            _saved("JPEG", subsampling=0, restart_marker_blocks=2),
            bytes(cv2.imencode(".jpg", _smooth()[..., 0])[1]),
        ],
        "webp": [_saved("WEBP"), _saved("WEBP", lossless=True), _saved("WEBP", exif=b"Exif\0\0II*\0" + bytes(8))],
        "tiff": [
            _tiff(),
            _tiff("uint16", compression="zlib", predictor=True),
            _tiff(compression="lzw", tile=(16, 16)),
            _tiff("float32", rowsperstrip=8),
            _tiff(compression="jpeg"),
            _tiff(planarconfig="separate", compression="packbits"),
        ],
        "exr": [
            _exr("float16", OpenEXR.ZIP_COMPRESSION),
            _exr("float32", OpenEXR.PIZ_COMPRESSION, alpha=True),
            _exr("float16", OpenEXR.DWAA_COMPRESSION),
            _exr("float32", OpenEXR.NO_COMPRESSION),
        ],
    }


def damaged(kind: str, data: bytes, rng: random.Random) -> bytes:
    """`data` with something wrong in it."""
    if kind == "png" and rng.random() < 0.8:
        return _damaged_png(data, rng)
    broken = _damaged_bytes(data, rng)
    if kind == "webp":  # the length that the container states holds, or the file is cut off at once
        broken = broken[:4] + struct.pack("<I", max(0, len(broken) - 8)) + broken[8:]
    return broken


def _damaged_bytes(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        low = min(12, len(out) - 1)
        at = rng.randrange(low, len(out) if rng.random() < 0.6 else min(len(out), 400))
        match rng.choice(("byte", "byte", "byte", "bit", "word", "delete", "double", "cut")):
            case "byte":
                out[at] = rng.randrange(256)
            case "bit":
                out[at] ^= 1 << rng.randrange(8)
            case "word":
                out[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", bytes(4), b"\0\0\1\0", b"\7\0\0\0"))
            case "delete":
                del out[at : at + rng.randint(1, 8)]
            case "double":
                out[at:at] = out[at : at + rng.randint(1, 64)]
            case "cut" if rng.random() < 0.3:
                del out[max(at, low + 1) :]
    return bytes(out)


_WAYS = ("byte", "byte", "drop", "repeat", "rename", "shorten")


def _damaged_png(data: bytes, rng: random.Random) -> bytes:
    """Chunks changed, left out, repeated, renamed or shortened; their checksums hold."""
    chunks = list(_chunks(data))
    for _ in range(rng.randint(1, 3)):
        pixels = [n for n, (kind, _) in enumerate(chunks) if kind == b"IDAT"]
        at = rng.choice(pixels) if pixels and rng.random() < 0.6 else rng.randrange(len(chunks))
        kind, body = chunks[at]
        match rng.choice(("pixels",) if kind == b"IDAT" and rng.random() < 0.8 else _WAYS):
            case "byte" if body:
                place = rng.randrange(len(body))
                body = body[:place] + bytes((rng.randrange(256),)) + body[place + 1 :]
            case "drop" if len(chunks) > 2:
                del chunks[at]
                continue
            case "repeat":
                chunks.insert(at, (chunks[rng.randrange(len(chunks))][0], body))
                continue
            case "rename":
                kind = bytes(rng.choice(b"ABCDEFabcdef") for _ in range(4))
            case "shorten":
                body = body[: rng.randrange(len(body) + 1)]
            case "pixels":
                body = _other_pixels(body, rng)
        chunks[at] = kind, body
    return SIGNATURE + b"".join(chunk(kind, body) for kind, body in chunks)


def _other_pixels(body: bytes, rng: random.Random) -> bytes:
    """Rows too few, too many or of unknown filters, in a sound stream."""
    try:
        rows = bytearray(zlib.decompress(body))
    except zlib.error:
        return body
    for _ in range(rng.randint(1, 5) if rows else 0):
        rows[rng.randrange(len(rows))] = rng.randrange(256)
    return zlib.compress(bytes(rows[: rng.randrange(len(rows) + 1)] if rng.random() < 0.5 else rows))


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length


@contextmanager
def filled(value: int) -> Iterator[None]:
    """New memory holds `value` within the block: what decoders are given, and with glibc all that is allocated."""

    def blank(shape: tuple[int, ...], dtype: str) -> np.ndarray:
        made = np.empty(shape, dtype)
        made.reshape(-1).view(np.uint8)[:] = value
        return made

    before, raster.blank = raster.blank, blank
    _perturb(value ^ 0xFF)
    try:
        yield
    finally:
        raster.blank = before
        _perturb(0)


def _perturb(value: int) -> None:
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(_M_PERTURB, value)


def outcome(path: Path, read: Callable[[Path], np.ndarray] | None = None) -> str:
    """`read`, `refused`, `unread pixels`, or what was raised that is no UhrmatError. read: gives the samples."""
    load = read or (lambda file: read_picture(file, LIMIT).pixels)
    result = []
    for value in FILLS:
        with filled(value):
            try:
                result.append(load(path).tobytes())
            except UhrmatError as error:
                result.append(type(error).__name__.encode())
            except Exception as error:
                return f"{type(error).__name__}: {str(error)[:80]}"
    if result[0] != result[1]:
        return "unread pixels"
    return "refused" if result[0] in (b"InputError", b"MemoryBudgetError") else "read"


def run(kind: str, count: int, seed: int, keep: Path | None) -> Counter[str]:
    """Outcomes of `count` damaged files of a format. keep: a folder for those that are neither read nor refused."""
    rng, sound, result = random.Random(f"{kind}{seed}"), seeds()[kind], Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"damaged.{kind}")
        for number in range(count):
            data = damaged(kind, sound[number % len(sound)], rng)
            path.write_bytes(data)
            if keep is not None:
                (keep / f"last.{kind}").write_bytes(data)  # in case that the process ends here
            begun = time.process_time()
            what = outcome(path)
            what = what if time.process_time() - begun < _SLOW else f"{what}, slowly"
            result[what] += 1
            if keep is not None and what not in ("read", "refused"):
                (keep / f"{number}.{kind}").write_bytes(data)
    return result


def main() -> int:
    """The exit code: 0 where all damaged files were read or refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, help="files of each format")
    parser.add_argument("--format", choices=sorted(seeds()), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    faulthandler.enable()
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for kind in given.format or seeds():
        result = run(kind, given.count, given.seed, given.keep)
        bad = {what: number for what, number in result.items() if what not in ("read", "refused")}
        wrong += sum(bad.values())
        print(f"{kind}: {result['read']} read, {result['refused']} refused, {bad or 'none wrong'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
