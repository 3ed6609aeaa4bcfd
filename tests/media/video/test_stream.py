"""Reading streams: exact seeking, time stamps, rotation, depth, and files that are not what they seem."""

from __future__ import annotations

import weakref
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.media.video.helpers import RATE, add_sound, encode, grey_frame, plane, play
from uhrmat.core.errors import InputError
from uhrmat.media.video import open_clip

UNEVEN = [0, 1001, 2500, 3000, 6006, 7007, 7500, 9009, 12000, 12500, 13013, 15000, 16016, 18000, 19019, 20020, 24000]
GROUPS = {"bf": "3", "g": "6", "x264-params": "open-gop=1:scenecut=0:b-adapt=0", "crf": "10"}


def numbered(count: int, width: int = 64, height: int = 48, fmt: str = "yuv420p") -> list[av.VideoFrame]:
    """Frames that differ in level."""
    return [grey_frame(30 + 10 * i, width, height, fmt) for i in range(count)]


def level(pixels: np.ndarray) -> int:
    """Which of `numbered` this is."""
    return round((float(pixels.mean()) * 219 / 255 + 16 - 30) / 10)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_frames_are_found_by_index_in_open_groups_with_uneven_stamps(tmp_path: Path, suffix: str) -> None:
    path = encode(tmp_path / f"a.{suffix}", numbered(len(UNEVEN)), pts=UNEVEN, options=GROUPS)
    with open_clip(path) as clip:
        assert clip.info.variable
        assert clip.info.frames == len(UNEVEN)
        read = [(f.index, level(f.picture.pixels), f.pts) for f in clip.frames()]
        assert [r[:2] for r in read] == [(i, i) for i in range(len(UNEVEN))]
        for start in range(len(UNEVEN)):
            result = [(f.index, level(f.picture.pixels), f.pts) for f in clip.frames(start, start + 2)]
            assert result == read[start : start + 2]
        times = [float((pts - read[0][2]) * clip.info.time_base) for *_, pts in read]
        assert np.allclose(times, np.array(UNEVEN) / 30000, atol=0.0006)
        assert not clip.notes


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_rational_rates_survive_every_container(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    path = encode(tmp_path / f"a.{suffix}", numbered(12), codec)
    with open_clip(path) as clip:
        assert clip.info.rate == RATE
        assert not clip.info.variable
        assert clip.info.duration == pytest.approx(12 / float(RATE), abs=0.5 / float(RATE))
        assert [f.time - clip.info.start * clip.info.time_base for f in clip.frames()] == [i / RATE for i in range(12)]


def test_missing_frames_of_a_coarse_time_base_are_no_even_clip(tmp_path: Path) -> None:
    gaps = [0, 1, 2, 4, 5, 6, 8]
    path = encode(tmp_path / "a.mp4", numbered(7), pts=gaps, time_base=Fraction(1, 25), options={"bf": "0"})
    with open_clip(path) as clip:
        assert clip.info.variable
        assert [f.time for f in clip.frames()] == [Fraction(g, 25) for g in gaps]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_applied_to_pixels_and_size(tmp_path: Path, degrees: int) -> None:
    frame = grey_frame(60, 64, 32)
    plane(frame, 0)[:16, :32] = 200  # bright: above left
    path = encode(tmp_path / "a.mp4", [frame], options={"crf": "1"}, rotation=degrees)
    with open_clip(path) as clip:
        pixels = next(clip.frames()).picture.pixels
        assert (clip.info.height, clip.info.width) == pixels.shape[:2]
    stored = np.full((32, 64), 60)
    stored[:16, :32] = 200
    assert np.array_equal(pixels[..., 0] > 128, np.rot90(stored, degrees // 90) > 128)


def test_ten_bits_stay_ten_bits(tmp_path: Path) -> None:
    frame = av.VideoFrame(256, 16, "yuv420p10le")
    plane(frame, 0)[:] = 64 + np.arange(256) * 3
    plane(frame, 1)[:] = plane(frame, 2)[:] = 512
    path = encode(tmp_path / "a.mkv", [frame], "ffv1")
    with open_clip(path) as clip:
        pixels = next(clip.frames()).picture.pixels
    assert (clip.info.bits, pixels.dtype) == (10, np.uint16)
    assert np.array_equal(pixels[0, :, 1], np.rint(np.arange(256) * 3 / 876 * 65535))


def test_frames_come_one_at_a_time(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(20))
    alive: list[weakref.ref[np.ndarray]] = []
    with open_clip(path) as clip:
        for frame in clip.frames():
            alive.append(weakref.ref(frame.picture.pixels))
            assert sum(ref() is not None for ref in alive) <= 2
    assert len(alive) == 20


def test_a_truncated_clip_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = numbered(20, 128, 96)
    for frame in frames:
        plane(frame, 0)[:] = rng.integers(0, 255, (96, 128))
    options = {"g": "5", "bf": "0"}
    whole = encode(tmp_path / "a.mp4", frames, options=options, container_options={"movflags": "+faststart"})
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    with open_clip(cut) as clip:
        result = [f.index for f in clip.frames()]
    assert result == list(range(len(result)))
    assert 8 <= len(result) <= 13
    assert any("cut off" in note and "20" in note for note in clip.notes)


def test_a_truncated_matroska_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    whole = encode(tmp_path / "a.mkv", numbered(20), "ffv1", options={"level": "3", "g": "1"})
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with open_clip(cut) as clip:
        result = [(f.index, level(f.picture.pixels)) for f in clip.frames()]
        assert 4 <= len(result) < 16
        assert result == [(i, i) for i in range(len(result))]
        assert any("cut off" in note for note in clip.notes)


def test_a_recording_without_its_index_is_refused(tmp_path: Path) -> None:
    whole = encode(tmp_path / "a.mp4", numbered(5))
    (tmp_path / "cut.mp4").write_bytes(whole.read_bytes()[:600])
    with pytest.raises(InputError, match="index is missing"):
        open_clip(tmp_path / "cut.mp4")


def test_a_damaged_packet_is_passed_over_without_shifting_the_rest(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(12), options={"g": "1", "bf": "0"})
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][5]
        position, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[position : position + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    with open_clip(path) as clip:
        result = {f.index: level(f.picture.pixels) for f in clip.frames()}
        assert result == {index: index for index in range(12) if index != 5}
        assert [f.index for f in clip.frames(5, 8)] == [6, 7]
        assert any("cannot be decoded" in note for note in clip.notes)
        assert any("Frame 5" in note for note in clip.notes)


def test_damage_to_the_container_itself_ends_in_a_note_not_in_a_crash(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", numbered(12), "ffv1", options={"level": "3", "g": "1"})
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 400] = b"\x00" * 400
    path.write_bytes(bytes(data))
    with open_clip(path) as clip:
        result = [(f.index, f.pts) for f in clip.frames()]
        assert 4 <= len(result) < 12
        assert result == sorted(result)
        assert any("announced seconds" in note for note in clip.notes)


def test_a_change_of_resolution_is_refused_where_it_happens(tmp_path: Path) -> None:
    first = encode(tmp_path / "a.ts", numbered(4))
    later = [(10 + i) * 1001 for i in range(4)]
    second = encode(tmp_path / "b.ts", numbered(4, 96, 64), pts=later)
    (tmp_path / "c.ts").write_bytes(first.read_bytes() + second.read_bytes())
    with open_clip(tmp_path / "c.ts") as clip, pytest.raises(InputError, match="64 × 48 to 96 × 64"):
        list(clip.frames())


def test_raw_streams_without_stamps_are_counted(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.h264", numbered(9), options=GROUPS)
    with open_clip(path) as clip:
        assert [level(f.picture.pixels) for f in clip.frames(3, 6)] == [3, 4, 5]


@pytest.mark.parametrize("size", [(65, 33), (1, 1), (2, 2)])
def test_odd_and_tiny_sizes_and_a_single_frame(tmp_path: Path, size: tuple[int, int]) -> None:
    path = encode(tmp_path / "a.mkv", [grey_frame(100, *size, "yuv444p")], "ffv1")
    with open_clip(path) as clip:
        frames = list(clip.frames())
    assert (clip.info.width, clip.info.height, clip.info.frames) == (*size, 1)
    assert [f.picture.pixels.shape for f in frames] == [(size[1], size[0], 3)]
    assert clip.info.duration is not None and clip.info.duration < 0.05


def test_what_is_no_clip_is_refused_in_words(tmp_path: Path) -> None:
    text, still, sound, empty = (tmp_path / n for n in ("text.mp4", "still.png", "sound.m4a", "empty.mp4"))
    text.write_text("not a film\n" * 50)
    empty.write_bytes(b"")
    Image.new("RGB", (8, 8)).save(still)
    with av.open(str(sound), "w") as muxer:
        play(muxer, add_sound(muxer), 0.2)
    for path, words in (
        (text, "not a video"),
        (empty, "not a video"),
        (still, "a picture, not a clip"),
        (sound, "only sound"),
        (tmp_path / "none.mp4", "does not exist"),
    ):
        with pytest.raises(InputError, match=words):
            open_clip(path)


def test_a_cover_picture_is_no_clip(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as muxer:
        cover = muxer.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = add_sound(muxer)
        muxer.mux(cover.encode(grey_frame(90, 64, 48, "yuvj420p")))
        muxer.mux(cover.encode(None))
        play(muxer, sound, 0.2)
    with pytest.raises(InputError, match="only sound"):
        open_clip(tmp_path / "a.mp4")


def test_a_clip_without_frames_is_refused(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avi"), "w") as muxer:
        stream = muxer.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        sound = add_sound(muxer, "mp2")
        play(muxer, sound, 0.5)
    with pytest.raises(InputError, match="no frame"):
        open_clip(tmp_path / "a.avi")


def test_rates_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="frames per second"):
        open_clip(tmp_path, rate=Fraction(0))


def test_a_gif_is_a_clip(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.gif", numbered(5, fmt="gray"), "gif", [0, 4, 12, 16, 20], time_base=Fraction(1, 100))
    with open_clip(path) as clip:
        assert [(f.index, f.time) for f in clip.frames()] == [
            (i, Fraction(t, 100)) for i, t in enumerate((0, 4, 12, 16, 20))
        ]
        assert (clip.info.codec, clip.info.variable) == ("gif", True)
