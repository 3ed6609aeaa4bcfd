"""Interlaced clips: noticed, their chroma read and written field by field, the order of fields passed on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.video.helpers import clip_info, encode, plane, some_frame
from uhrmat.media.video import ClipInfo, join_segments, open_clip, open_writer
from uhrmat.media.video.fields import field_order, halve_by_field, mark_interlaced, rotate_field_order
from uhrmat.media.video.types import FieldOrder

W, H = 48, 32
STORED = {"tb": 4, "bt": 5}
"""As FFmpeg numbers the orders of fields that share a picture."""
RED, BLUE = np.array([200, 40, 30]), np.array([30, 50, 190])


def woven(top: np.ndarray = RED, bottom: np.ndarray = BLUE) -> np.ndarray:
    """(H, W, 3) uint8: a colour for each field."""
    picture = np.empty((H, W, 3), np.uint8)
    picture[0::2], picture[1::2] = top, bottom
    return picture


def coded(order: FieldOrder, fmt: str = "yuv420p") -> Any:
    """A frame whose fields have codes of their own, in chroma too."""
    frame = av.VideoFrame(W, H, fmt)
    for index, (top, bottom) in enumerate(((90, 60), (100, 180), (190, 110))):
        plane(frame, index)[0::2], plane(frame, index)[1::2] = top, bottom
    return mark_interlaced(frame, order) if order else frame


def interlaced_clip(path: Path, order: FieldOrder, codec: str = "ffv1", fmt: str = "yuv420p", **options: Any) -> Path:
    flags = {"flags": "+ildct+ilme", "field_order": "tb" if order == "top" else "bt"} if order else {}
    times = {"time_base": Fraction(1001, 30000), "pts": range(2)}
    return encode(path, [coded(order, fmt) for _ in range(2)], codec, options=flags, **times, **options)


@pytest.mark.parametrize(
    ("codec", "suffix", "fmt"),
    [("ffv1", ".mkv", "yuv420p"), ("libx264", ".mp4", "yuv420p"), ("mpeg2video", ".mpg", "yuv420p")],
)
@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize("tags", [(2, 0, 2, 2), (6, 1, 6, 6)])
def test_the_chroma_of_a_field_stays_in_its_field(
    tmp_path: Path, codec: str, suffix: str, fmt: str, order: FieldOrder, tags: tuple[int, int, int, int]
) -> None:
    with open_clip(interlaced_clip(tmp_path / f"a{suffix}", order, codec, fmt, tags=tags)) as clip:
        pixels = next(clip.frames()).picture.pixels.astype(int)
        assert clip.info.fields == order
        assert any(f"is interlaced, {order} field first" in note for note in clip.notes)
    for parity, (y, u, v) in enumerate(((90, 100, 190), (60, 180, 110))):
        luma = (y - 16) * 255 / 219
        want = [luma + 1.596 * (v - 128), luma - 0.392 * (u - 128) - 0.813 * (v - 128), luma + 2.017 * (u - 128)]
        assert np.abs(pixels[parity::2] - np.clip(want, 0, 255)).max() <= (2 if codec == "ffv1" else 6)


def test_a_progressive_clip_says_nothing(tmp_path: Path) -> None:
    with open_clip(interlaced_clip(tmp_path / "a.mkv", "")) as clip:
        list(clip.frames())
        assert clip.info.fields == "" and clip.notes == []


def test_frames_of_both_kinds_are_told(tmp_path: Path) -> None:
    frames = [coded("top"), coded("")]
    path = encode(tmp_path / "a.mkv", frames, "ffv1", options={"g": "1"})
    with open_clip(path) as clip:
        list(clip.frames())
        assert any("interlaced and progressive frames" in note for note in clip.notes)


@pytest.mark.parametrize("order", ["top", "bottom"])
@pytest.mark.parametrize(
    ("codec", "suffix", "content"),
    [
        ("prores4444", ".mov", "foreground"),
        ("prores4444", ".mkv", "alpha"),
        ("ffv1", ".mkv", "foreground"),
        ("ffv1", ".mkv", "alpha"),
        ("h264", ".mkv", "composite"),
        ("h264", ".mp4", "alpha"),
    ],
)
def test_the_order_of_fields_is_passed_on(
    tmp_path: Path, codec: str, suffix: str, content: Any, order: FieldOrder
) -> None:
    info, picture = clip_info(W, H, fields=order), woven()
    parts = [tmp_path / f"part{n}{suffix}" for n in range(2)]
    for number, part in enumerate(parts):
        with open_writer(part, codec, info, content) as writer:
            writer.write(some_frame(number, picture), np.ones((H, W), np.float32), picture)
    join_segments(parts, tmp_path / f"whole{suffix}", info, codec)
    with av.open(str(tmp_path / f"whole{suffix}")) as container:
        decoded = list(container.decode(video=0))
        stored = container.streams.video[0].codec_context.field_order
    assert [field_order(frame) for frame in decoded] == [order, order]
    assert suffix == ".mp4" or stored == STORED["tb" if order == "top" else "bt"]


@pytest.mark.parametrize(("codec", "suffix"), [("vp9", ".webm"), ("hevc", ".mp4"), ("ffv1", ".mkv")])
def test_progressive_files_stay_so(tmp_path: Path, codec: str, suffix: str) -> None:
    info = clip_info(W, H, fields="" if codec == "ffv1" else "top")
    with open_writer(tmp_path / f"a{suffix}", codec, info, "composite") as writer:
        writer.write(some_frame(0, woven()), None, woven())
    with open_clip(tmp_path / f"a{suffix}") as clip:
        assert clip.info.fields == ""


@pytest.mark.parametrize("height", [32, 34])
def test_colours_of_fields_come_back_from_half_height_chroma(tmp_path: Path, height: int) -> None:
    info, picture = clip_info(W, height, fields="top"), np.resize(woven(), (height, W, 3))
    with open_writer(tmp_path / "a.mp4", "h264", info, "composite") as writer:
        writer.write(some_frame(0, picture), None, picture)
    with open_clip(tmp_path / "a.mp4") as clip:
        back = next(clip.frames()).picture.pixels.astype(int)
    assert np.abs(back - picture).max() <= 5


def test_chroma_of_a_field_is_sited_within_it() -> None:
    height = 16
    ramp = np.repeat(np.arange(height, dtype=np.uint16)[:, None] * 16, 6, axis=1)
    half = halve_by_field(ramp)
    assert half.shape == (height // 2, 3)
    for parity, offset in ((0, 0.25), (1, 0.75)):  # in rows of the field below the first of each pair
        rows = 2 * np.arange(height // 4) + offset
        assert np.array_equal(half[parity::2, 1], 16 * (2 * rows + parity))


@pytest.mark.parametrize(
    ("order", "rotation", "height", "result"),
    [
        ("top", 0, 32, "top"),
        ("top", 180, 32, "bottom"),
        ("bottom", 180, 32, "top"),
        ("top", 180, 33, "top"),
        ("top", 90, 32, ""),
        ("bottom", 270, 32, ""),
        ("", 180, 32, ""),
    ],
)
def test_turned_frames(order: FieldOrder, rotation: int, height: int, result: FieldOrder) -> None:
    assert rotate_field_order(order, rotation, height) == result


def test_a_rotated_clip_is_read_by_field_and_written_as_progressive(tmp_path: Path) -> None:
    path = interlaced_clip(tmp_path / "a.mp4", "top", "libx264", rotation=90)
    with open_clip(path) as clip:
        info: ClipInfo = clip.info
        pixels = next(clip.frames()).picture.pixels.astype(int)
    assert info.fields == "" and (info.width, info.height) == (H, W)
    assert np.abs(pixels[:, 4::2] - pixels[:1, 4:5]).max() <= 6
    assert np.abs(pixels[:, 4] - pixels[:, 5]).max() > 40
