"""The loaders that read files from anywhere, each with sound files to damage. They may raise UhrmatError, no more."""

from __future__ import annotations

import io
import json
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image

from uhrmat.batch.manifest import Manifest
from uhrmat.hints.files import read_trimap
from uhrmat.hub.catalog import SHIPPED, parse_catalog
from uhrmat.hub.tensors import read_header
from uhrmat.media import read_picture
from uhrmat.media.video import open_clip

LIMIT = 1 << 20
"""Pixels that the pictures may have: a damaged header may claim no more."""


@dataclass(frozen=True)
class Target:
    """seeds: file names with their bytes; load: reads such a file, bounded in what it takes."""

    seeds: Callable[[], dict[str, bytes]]
    load: Callable[[Path], object]


def pictures() -> dict[str, bytes]:
    """Small pictures in every format and depth that is read."""
    pixels = np.random.default_rng(1).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    result = {}
    for name, options in {
        "a.png": {},
        "a.jpg": {},
        "a.webp": {},
        "a.tif": {},
        "b.tif": {"compression": "tiff_lzw"},
    }.items():
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(
            buffer, {".jpg": "JPEG", ".tif": "TIFF"}.get(name[1:], name[2:].upper()), **options
        )
        result[name] = buffer.getvalue()
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0]).convert("P").save(buffer, "PNG")
    result["p.png"] = buffer.getvalue()
    result["w.png"] = cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes()
    for name, kind in (("w.tif", np.uint16), ("f.tif", np.float32)):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, pixels.astype(kind), photometric="rgb", tile=(16, 16))
        result[name] = buffer.getvalue()
    return result | {"a.exr": _exr(pixels)}


def _exr(pixels: np.ndarray) -> bytes:
    import tempfile

    import OpenEXR

    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/a.exr"
        with OpenEXR.File({}, {"RGB": pixels.astype(np.float16) / 255}) as file:
            file.write(path)
        return Path(path).read_bytes()


def trimaps() -> dict[str, bytes]:
    """Grey pictures of three values, of 1, 8 and 16 bits."""
    grey = np.repeat(np.array([[0, 128, 255]], np.uint8), 12, 0).repeat(5, 1)
    result = {"w.png": cv2.imencode(".png", grey.astype(np.uint16) * 257)[1].tobytes()}
    for name, image in (("g.png", Image.fromarray(grey)), ("b.png", Image.fromarray(grey).convert("1"))):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        result[name] = buffer.getvalue()
    return result


def clips() -> dict[str, bytes]:
    """Three frames in four containers."""
    import tempfile

    import av

    result = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, codec, pixel in (
            ("a.mkv", "ffv1", "bgr0"), ("a.mov", "prores_ks", "yuv422p10le"), ("a.mp4", "mpeg4", "yuv420p"),
            ("a.avi", "mjpeg", "yuvj420p"),
        ):  # fmt: skip
            with av.open(f"{folder}/{name}", "w") as container:
                stream = container.add_stream(codec, rate=25)
                stream.width, stream.height, stream.pix_fmt = 32, 16, pixel  # type: ignore[union-attr]
                for shade in (10, 90, 200):
                    frame = av.VideoFrame.from_ndarray(np.full((16, 32, 3), shade, np.uint8), "rgb24")
                    container.mux(stream.encode(frame))  # type: ignore[union-attr]
                container.mux(stream.encode(None))  # type: ignore[union-attr]
            result[name] = Path(folder, name).read_bytes()
    return result


def tensors() -> dict[str, bytes]:
    """A safetensors file of two tensors and metadata."""
    header = json.dumps({
        "__metadata__": {"size": "lite"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
        "b": {"dtype": "U8", "shape": [3], "data_offsets": [16, 19]},
    }).encode()  # fmt: skip
    return {"a.safetensors": struct.pack("<Q", len(header)) + header + bytes(19)}


def catalogues() -> dict[str, bytes]:
    """The first entries of the catalogue that is shipped, and the last one."""
    parts = re.split(rb"(?m)^(?=\[[\w-]+\]$)", SHIPPED.read_bytes())
    return {"first.toml": b"".join(parts[:3]), "last.toml": parts[-1]}


def manifests() -> dict[str, bytes]:
    """Two lines of a batch's manifest."""
    line = {"key": "a.png", "state": "done", "source": "/a.png", "input": "i", "settings": "s",
            "outputs": {"a_alpha.png": 5}, "time": 1.5, "error": ""}  # fmt: skip
    return {"manifest-1of1.jsonl": (json.dumps(line) + "\n").encode() * 2}


def _clip(path: Path) -> None:
    with open_clip(path) as reader:
        for frame in reader.frames(0, 3):
            assert frame.picture.pixels.ndim == 3


def _trimap(path: Path) -> None:
    assert set(np.unique(read_trimap(path, max_pixels=LIMIT))) <= {0, 128, 255}


def _manifest(path: Path) -> None:
    out = path.parent
    (out / ".uhrmat").mkdir(exist_ok=True)
    (out / ".uhrmat" / path.name).write_bytes(path.read_bytes())
    for record in Manifest(out).records.values():
        assert all((out / name).resolve().is_relative_to(out.resolve()) for name in record.outputs)


TARGETS = {
    "image": Target(pictures, lambda path: read_picture(path, LIMIT)),
    "trimap": Target(trimaps, _trimap),
    "clip": Target(clips, _clip),
    "catalogue": Target(catalogues, lambda path: parse_catalog(path.read_bytes().decode("utf-8", "replace"))),
    "safetensors": Target(tensors, read_header),
    "manifest": Target(manifests, _manifest),
}
