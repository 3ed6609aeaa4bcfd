"""TIFF headers that promise what the file does not hold, or more than its pixels can take."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from uhrmat.core.errors import InputError
from uhrmat.media import read_picture

from .helpers import gradient


@pytest.mark.parametrize("compression", [None, "lzw", "deflate"])
def test_segments_outside_the_file_or_over_each_other_are_damage(tmp_path: Path, compression: str | None) -> None:
    stored, path = gradient(20, 32), tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", rowsperstrip=4, compression=compression, metadata=None)
    with tifffile.TiffFile(path) as tiff:
        tag = tiff.pages[0].tags[273]
        offsets, place = list(tag.value), tag.valueoffset
    whole = path.read_bytes()
    for wrong in (path.stat().st_size - 3, 0):
        data = bytearray(whole)
        struct.pack_into("<I", data, place + 8, wrong)
        path.write_bytes(bytes(data))
        with pytest.raises(InputError, match="damaged or incomplete TIFF"):
            read_picture(path)
    assert len(offsets) == 5


@pytest.mark.parametrize(
    ("compression", "sentence"),
    [("deflate", "damaged or incomplete"), ("zstd", "damaged or incomplete"), ("packbits", "bytes of pixel data")],
)
def test_bombs_are_refused(tmp_path: Path, compression: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_picture(bomb(tmp_path / "a.tif", compression))


def test_lzw_stops_where_the_strip_is_full(tmp_path: Path) -> None:
    picture = read_picture(bomb(tmp_path / "a.tif", "lzw"))
    assert picture.pixels.shape == (16, 16, 3) and picture.pixels.max() == 0


def bomb(path: Path, compression: str) -> Path:
    """A strip of 8 MiB of zeros, and a header that claims 16 x 16 pixels of it."""
    zeros = np.zeros((2048, 4096), np.uint8)
    tifffile.imwrite(path, zeros, compression=compression, rowsperstrip=2048, metadata=None, photometric="minisblack")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tiff:
        for code in (256, 257, 278):
            struct.pack_into("<H", data, tiff.pages[0].tags[code].valueoffset, 16)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("planar", [0, 3, 37, 2050])
@pytest.mark.parametrize("options", [{"compression": "packbits"}, {"compression": "lzw", "tile": (16, 16)}, {}])
def test_planes_that_are_no_arrangement_are_damage(tmp_path: Path, planar: int, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, gradient(20, 32), photometric="rgb", planarconfig="contig", metadata=None, **options)
    with tifffile.TiffFile(path) as tiff:
        place = tiff.pages[0].tags[284].valueoffset
    data = bytearray(path.read_bytes())
    struct.pack_into("<H", data, place, planar)
    path.write_bytes(bytes(data))
    with pytest.raises(InputError, match="damaged or incomplete TIFF"):
        read_picture(path)
