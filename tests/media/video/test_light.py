"""What a clip's signal means as light: curves by published values, EXR frames, and what other stills say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.video.helpers import clip_info, coded_grey, encode, some_frame
from uhrmat.core.errors import OutputError
from uhrmat.media import read_picture, srgb_decode
from uhrmat.media.composite import composite
from uhrmat.media.video import ColourTags, open_clip, open_writer
from uhrmat.media.video.light import curve, light_note, png_colour_of

H, W = 6, 8
PQ, HLG, LOG100, LOG316 = 16, 18, 9, 10
BT2020 = (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, 0.3127, 0.3290)
P3 = (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.3290)


@pytest.mark.parametrize(
    ("transfer", "signal", "light"),
    [
        (PQ, 0.0, 0.0),
        (PQ, 0.508078, 100 / 203),
        (PQ, 0.580689, 1.0),
        (PQ, 0.751827, 1000 / 203),
        (PQ, 1.0, 10000 / 203),
        (HLG, 0.0, 0.0),
        (HLG, 0.5, (1 / 12) / 0.264963),
        (HLG, 0.75, 1.0),
        (HLG, 1.0, 1 / 0.264963),
        (LOG100, 0.5, 0.1),
        (LOG100, 1.0, 1.0),
        (LOG316, 0.2, 0.01),
        (LOG316, 0.0, 0.0),
        (4, 0.5, 0.5**2.2),
        (5, 0.5, 0.5**2.8),
        (8, 0.3, 0.3),
        (17, (48 / 52.37) ** (1 / 2.6), 1.0),
        (7, 0.0456, 0.0114),
        (7, 1.0, 1.0),
        (1, 0.5, 0.214041),
        (2, 0.5, 0.214041),
        (13, 0.5, 0.214041),
    ],
)
def test_curves_have_the_published_values(transfer: int, signal: float, light: float) -> None:
    assert float(curve(np.float64(signal), transfer)) == pytest.approx(light, rel=2e-4, abs=1e-7)


def tags(transfer: int, primaries: int = 9) -> ColourTags:
    return ColourTags(matrix="bt2020", range="limited", primaries=primaries, transfer=transfer, matrix_code=9)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize(
    ("transfer", "primaries", "stored"), [(PQ, 9, BT2020), (HLG, 9, BT2020), (LOG100, 1, None), (14, 12, P3)]
)
def test_exr_frames_hold_the_light_of_the_signal(
    tmp_path: Path, transfer: int, primaries: int, stored: Any, dtype: str
) -> None:
    top = np.iinfo(dtype).max
    colour = np.broadcast_to(np.linspace(0, top, W).astype(dtype)[None, :, None], (H, W, 3)).copy()
    alpha = np.full((H, W), 0.5, np.float32)
    for content in ("composite", "foreground"):
        info = clip_info(W, H, tags(transfer, primaries), bits=8 if dtype == "uint8" else 10)
        with open_writer(tmp_path / content, "exr", info, content) as writer:
            writer.write(some_frame(0, colour), alpha, colour)
        back = read_picture(tmp_path / content / "nowhere_000000.exr")
        want = curve(colour / top, transfer) * (0.5 if content == "foreground" else 1)
        assert np.allclose(back.pixels, want, rtol=1e-3, atol=1e-6)
        assert back.info.linear and back.info.bit_depth == (16 if dtype == "uint8" else 32)
        assert back.info.chromaticities == (None if stored is None else pytest.approx(stored, abs=1e-5))


def test_ordinary_video_keeps_the_curve_of_stills(tmp_path: Path) -> None:
    colour = np.full((H, W, 3), 200, np.uint8)
    for number, colour_tags in enumerate(
        (
            ColourTags(matrix="bt709", range="limited", primaries=1, transfer=1, matrix_code=1),
            ColourTags(matrix="bt601", range="limited"),
        )
    ):
        with open_writer(tmp_path / str(number), "exr", clip_info(W, H, colour_tags), "composite") as writer:
            writer.write(some_frame(0, colour), None, colour)
        back = read_picture(tmp_path / str(number) / "nowhere_000000.exr")
        assert np.allclose(back.pixels, srgb_decode(np.float32(200 / 255)), rtol=1e-3)
        assert back.info.chromaticities is None


@pytest.mark.parametrize(("transfer", "primaries"), [(19, 9), (200, 1), (PQ, 50), (1, 13)])
def test_light_that_is_not_known_is_refused_before_any_work(tmp_path: Path, transfer: int, primaries: int) -> None:
    info = clip_info(W, H, tags(transfer, primaries))
    with pytest.raises(OutputError, match="is not known"):
        open_writer(tmp_path / "out", "exr", info, "foreground")
    open_writer(tmp_path / "out", "exr", info, "alpha")
    open_writer(tmp_path / "out", "png", info, "foreground")


@pytest.mark.parametrize(("transfer", "body"), [(PQ, b"\x09\x10\x00\x01"), (HLG, b"\x09\x12\x00\x01")])
def test_stills_of_hdr_say_what_they_are(tmp_path: Path, transfer: int, body: bytes) -> None:
    path = encode(tmp_path / "a.mkv", [coded_grey(W, H)], "ffv1", tags=(9, 1, 9, transfer))
    with open_clip(path) as clip:
        frame = next(clip.frames())
        for name in ("png", "tiff"):
            with open_writer(tmp_path / name, name, clip.info, "composite") as writer:
                writer.write(frame, None, frame.picture.pixels)
    png, tiff = (read_picture(next((tmp_path / name).iterdir())) for name in ("png", "tiff"))
    assert dict(png.info.png_colour)[b"cICP"] == body
    assert tiff.info.icc is not None
    assert np.array_equal(png.pixels, frame.picture.pixels) and np.array_equal(tiff.pixels, frame.picture.pixels)


@pytest.mark.parametrize("codes", [(2, 0, 2, 2), (1, 1, 1, 1), (6, 1, 6, 6), (5, 1, 5, 6)])
def test_stills_of_ordinary_video_say_nothing(tmp_path: Path, codes: tuple[int, int, int, int]) -> None:
    with open_clip(encode(tmp_path / "a.mkv", [coded_grey(W, H)], "ffv1", tags=codes)) as clip:
        info = next(clip.frames()).picture.info
    assert info.png_colour == () and info.icc is None


@pytest.mark.parametrize(("transfer", "white"), [(PQ, 0.5807), (HLG, 0.75), (14, 1.0)])
def test_a_white_background_is_the_reference_white_of_the_clip(transfer: int, white: float) -> None:
    chunks, icc = png_colour_of(tags(transfer))
    frame = some_frame(0, np.zeros((H, W, 3), np.uint16)).picture
    info = replace(frame.info, icc=icc, png_colour=chunks)
    made = composite(frame.pixels, np.zeros((H, W), np.float32), (1.0, 1.0, 1.0), info)
    assert np.abs(made / 65535 - white).max() < 2e-3


def test_what_is_said_of_light() -> None:
    assert "HLG" in light_note(tags(HLG))[0] and "reference white" in light_note(tags(PQ))[0]
    assert light_note(tags(LOG316)) and light_note(tags(1, 1)) == light_note(None) == []
