"""Matrices, ranges and tags: flat patches through real encoders, both ways, against the published equations."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.video.helpers import (
    CODE,
    LUMA,
    PATCHES,
    centres,
    clip_info,
    encode,
    grey_frame,
    patches,
    plane,
    some_frame,
    to_codes,
)
from uhrmat.core.errors import InputError
from uhrmat.media.video import ColourTags, open_clip, open_writer
from uhrmat.media.video.colour import codes_to_rgb, rgb_to_codes

EVERY = [(m, full, bits) for m in LUMA for full in (False, True) for bits in (8, 10)]
SHARP = {"crf": "1", "preset": "ultrafast"}


def coded_frame(matrix: str, full: bool, bits: int) -> av.VideoFrame:
    frame = av.VideoFrame(64, 32, "yuv420p" if bits == 8 else "yuv420p10le")
    codes = to_codes(patches() / 255, matrix, full, bits)
    for index in range(3):
        part = codes[..., index] if index == 0 else codes[::2, ::2, index]
        plane(frame, index)[:] = part
    return frame


@pytest.mark.parametrize(("matrix", "full", "bits"), EVERY)
def test_patches_are_read_as_the_tags_say(tmp_path: Path, matrix: str, full: bool, bits: int) -> None:
    frame = coded_frame(matrix, full, bits)
    path = encode(tmp_path / "a.mp4", [frame], options=SHARP, tags=(CODE[matrix], 2 if full else 1, 1, 1))
    with open_clip(path) as clip:
        assert clip.info.colour == ColourTags(
            matrix=matrix, range="full" if full else "limited", primaries=1, transfer=1, matrix_code=CODE[matrix]
        )
        assert clip.info.bits == bits
        pixels = next(clip.frames()).picture.pixels
    assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert np.abs(centres(pixels) - PATCHES).max() < 2


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize(("matrix", "full", "bits"), EVERY)
def test_patches_are_written_as_the_tags_say(tmp_path: Path, matrix: str, full: bool, bits: int, codec: str) -> None:
    tags = ColourTags(
        matrix=matrix, range="full" if full else "limited", primaries=9, transfer=14, matrix_code=CODE[matrix]
    )
    info = clip_info(64, 32, tags, bits=bits)
    with open_writer(tmp_path / "a.mp4", codec, info, "composite") as writer:
        writer.write(some_frame(0, patches()), None, patches())
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    assert frame.format.name in ("yuv420p", "yuvj420p") if bits == 8 else frame.format.name == "yuv420p10le"
    assert (frame.colorspace, frame.color_primaries, frame.color_trc) == (CODE[matrix], 9, 14)
    assert frame.color_range == (2 if full else 1)
    want = to_codes(PATCHES / 255, matrix, full, bits) / 2 ** (bits - 8)
    luma = plane(frame, 0)[8::16, 8::16].reshape(-1) / 2 ** (bits - 8)
    chroma = [plane(frame, i)[4::8, 4::8].reshape(-1) / 2 ** (bits - 8) for i in (1, 2)]
    assert np.abs(np.stack([luma, *chroma], -1) - want).max() < 1.6  # 1.6 codes are less than 2 of 255 in RGB's mean
    with open_clip(tmp_path / "a.mp4") as clip:
        assert np.abs(centres(next(clip.frames()).picture.pixels) - PATCHES).max() < 2


@pytest.mark.parametrize(("size", "matrix"), [((64, 32), "bt601"), ((1280, 720), "bt709"), ((720, 1280), "bt709")])
def test_untagged_colour_is_guessed_by_size_and_stays_untagged(
    tmp_path: Path, size: tuple[int, int], matrix: str
) -> None:
    path = encode(tmp_path / "a.mp4", [grey_frame(90, *size)], options=SHARP)
    with open_clip(path) as clip:
        info, frame = clip.info, next(clip.frames())
    assert info.colour == ColourTags(matrix=matrix, range="limited", guessed=("matrix", "range"))
    with open_writer(tmp_path / "b.mp4", "h264", info, "composite") as writer:
        writer.write(frame, None, frame.picture.pixels)
    with open_clip(tmp_path / "b.mp4") as clip:
        assert clip.info.colour is not None
        assert (clip.info.colour.matrix, clip.info.colour.matrix_code) == (matrix, 2)


@pytest.mark.parametrize("code", [8, 10, 14])
def test_a_matrix_that_is_none_is_refused(tmp_path: Path, code: int) -> None:
    path = encode(tmp_path / "a.mp4", [grey_frame(90, 64, 32)], tags=(code, 1, 1, 1))
    with pytest.raises(InputError, match=f"colour matrix {code} "):
        open_clip(path)


@pytest.mark.parametrize(("codec", "bits"), [("h264", 8), ("h264", 10), ("hevc", 8), ("hevc", 10), ("prores4444", 10)])
def test_a_grey_matte_runs_from_video_black_to_video_white(tmp_path: Path, codec: str, bits: int) -> None:
    alpha = np.kron(np.array([[0, 1], [0.5, 0.25]], np.float32), np.ones((32, 32), np.float32))
    info = clip_info(64, 64, ColourTags(matrix="bt709", range="full", primaries=1, transfer=1, matrix_code=1))
    path = tmp_path / ("a.mov" if codec == "prores4444" else "a.mp4")
    with open_writer(path, codec, info, "alpha", bits=bits) as writer:
        writer.write(some_frame(0, np.zeros((64, 64, 3), np.uint8)), alpha, None)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    scale = 2 ** (frame.format.components[0].bits - 8)
    assert frame.color_range == 1
    assert np.abs(plane(frame, 0)[16::32, 16::32] / scale - [[16, 235], [125.5, 70.75]]).max() <= 1
    assert np.abs(plane(frame, 1) / scale - 128).max() <= 0.5
    with open_clip(path) as clip:
        grey = next(clip.frames()).picture.pixels[16::32, 16::32, 0]
    assert np.abs(grey / np.iinfo(grey.dtype).max - [[0, 1], [0.5, 0.25]]).max() < 1.01 / 219


@pytest.mark.parametrize(("matrix", "full", "bits"), EVERY)
def test_matrices_are_those_published_and_inverse_to_each_other(matrix: str, full: bool, bits: int) -> None:
    rgb = np.random.default_rng(0).random((50, 3))
    span = "full" if full else "limited"
    there, back = rgb_to_codes(matrix, span, bits, 1.0), codes_to_rgb(matrix, span, bits, 1.0)
    codes = rgb @ there[:, :3].T + there[:, 3]
    assert np.abs(codes - to_codes(rgb, matrix, full, bits)).max() <= 0.5
    assert np.allclose(codes @ back[:, :3].T + back[:, 3], rgb)
