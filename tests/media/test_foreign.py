"""What is no picture that we read is named by its first bytes, whatever its name says."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.media import read_info, read_picture

from .helpers import gradient


def ftyp(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08mdat" + bytes(64)


HEADS = {
    "HEIC of a phone": ("IMG_1.jpg", ftyp(b"heic", b"mif1", b"heic"), "a HEIC photograph"),
    "HEIC of another maker": ("a.png", ftyp(b"mif1", b"mif1", b"heic"), "a HEIC photograph"),
    "HEIC burst": ("a.heif", ftyp(b"msf1", b"hevc"), "a HEIC photograph"),
    "AVIF": ("a.jpg", ftyp(b"avif", b"mif1", b"miaf"), "an AVIF picture"),
    "AVIF that says mif1 first": ("a.jpg", ftyp(b"mif1", b"avif"), "an AVIF picture"),
    "CR3": ("a.jpg", ftyp(b"crx ", b"isom"), "a raw photograph (CR3)"),
    "MP4": ("a.png", ftyp(b"isom", b"mp41"), "a movie"),
    "QuickTime": ("a.tif", ftyp(b"qt  "), "a movie"),
    "old QuickTime": ("a.tif", b"\0\0\0\x08wide\0\0\0\x08mdat", "a movie"),
    "ORF": ("a.tif", b"IIRO\x08\0\0\0" + bytes(16), "a raw photograph (ORF)"),
    "RW2": ("a.jpg", b"IIU\0\x18\0\0\0" + bytes(16), "a raw photograph (RW2)"),
    "RAF": ("a.jpg", b"FUJIFILMCCD-RAW 0201", "a raw photograph (RAF)"),
    "PSD": ("a.tif", b"8BPS\0\x01" + bytes(20), "a Photoshop document"),
    "PDF": ("a.png", b"%PDF-1.7\n", "a PDF document"),
    "EPS": ("a.tif", b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript document"),
    "SVG": ("a.png", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    "SVG behind a prologue": ("a.svg", b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- -->\n<svg id=''>", "an SVG drawing"),
    "web page": ("a.jpg", b"\n<!DOCTYPE html><html>", "a web page"),
    "LFS pointer": ("a.png", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
    "DPX": ("a.exr", b"SDPX\0\0\x20\0", "a DPX picture"),
    "JPEG XL": ("a.jpg", b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
    "JPEG 2000": ("a.jpg", b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    "AVI": ("a.webp", b"RIFF\x10\0\0\0AVI LIST", "an AVI movie"),
    "transport stream": ("a.png", (b"\x47" + bytes(187)) * 2, "an MPEG transport stream"),
    "archive": ("a.png", b"PK\x03\x04" + bytes(20), "a ZIP archive"),
}  # fmt: skip


@pytest.mark.parametrize("case", HEADS)
def test_named_by_its_contents(tmp_path: Path, case: str) -> None:
    name, data, text = HEADS[case]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_info(tmp_path / name)
    assert text in caught.value.message and name in caught.value.message
    assert caught.value.hint.endswith(".")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi", ".mov"])
def test_clips_are_sent_to_video(tmp_path: Path, suffix: str) -> None:
    made = tmp_path / f"a{suffix}"
    with av.open(str(made), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8), "rgb24")))
        container.mux(stream.encode(None))
    renamed = made.rename(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="uhrmat video"):
        read_picture(renamed)


@pytest.mark.parametrize(
    ("suffix", "text"), [("gif", "a GIF"), ("bmp", "a BMP"), ("jp2", "a JPEG 2000"), ("avif", "an AVIF")]
)
def test_what_pillow_writes(tmp_path: Path, suffix: str, text: str) -> None:
    try:
        Image.fromarray(gradient(20, 30)).save(tmp_path / f"a.{suffix}")
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {suffix}")
    (tmp_path / f"a.{suffix}").rename(tmp_path / "a.png")
    with pytest.raises(InputError, match=text):
        read_picture(tmp_path / "a.png")
