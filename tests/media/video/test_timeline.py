"""Time stamps as files really have them: repeated, backward, hidden; orientations, several streams, --rate, gaps."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.video.helpers import RATE, encode, grey_frame, plane, scenery, soft_alpha, stamps
from uhrmat.media import write_rgb
from uhrmat.media.picture import Picture
from uhrmat.media.video import ClipReader, join_segments, open_clip, open_writer

GROUPS = {"bf": "2", "g": "6", "x264-params": "scenecut=0", "crf": "10"}


def numbered(first: int, count: int) -> list[Any]:
    """Frames that differ in level."""
    return [grey_frame(30 + 6 * i, 64, 48) for i in range(first, first + count)]


def level(pixels: np.ndarray) -> int:
    """Which of `numbered` this is."""
    return round((float(pixels.mean()) * 219 / 255 + 16 - 30) / 6)


def joined(folder: Path, suffix: str, parts: list[tuple[int, int]]) -> Path:
    """Files put behind one another byte by byte, each beginning at time 0."""
    data = b""
    for first, count in parts:
        data += encode(folder / f"part{first}{suffix}", numbered(first, count), options=GROUPS).read_bytes()
    (folder / f"joined{suffix}").write_bytes(data)
    return folder / f"joined{suffix}"


def check_order(clip: ClipReader, count: int) -> list[Fraction]:
    """All frames are there in the order of the file, also from any start; their times."""
    read = [(f.index, level(f.picture.pixels), f.time) for f in clip.frames()]
    assert [r[:2] for r in read] == [(i, i) for i in range(count)]
    assert clip.info.frames == count
    for start in range(0, count, 3):
        result = [(f.index, level(f.picture.pixels), f.time) for f in clip.frames(start, start + 4)]
        assert result == read[start : start + 4]
    times = [r[2] for r in read]
    assert all(a < b for a, b in itertools.pairwise(times))
    return times


@pytest.mark.parametrize(
    ("suffix", "parts"),
    [
        (".ts", [(0, 13), (13, 13)]),
        (".mts", [(0, 7), (7, 13), (20, 9)]),
        (".mkv", [(0, 13), (13, 13)]),
        (".mkv", [(0, 20), (20, 5)]),
    ],
)
def test_joined_files_lose_no_frame(tmp_path: Path, suffix: str, parts: list[tuple[int, int]]) -> None:
    count = sum(n for _, n in parts)
    with open_clip(joined(tmp_path, suffix, parts)) as clip:
        times = check_order(clip, count)
        assert clip.info.rate == pytest.approx(RATE, rel=1e-3)
        assert any("repeat or go backward" in note for note in clip.notes)
    steps = np.diff([float(t) for t in times])
    assert np.allclose(steps, float(1 / RATE), atol=0.0021)


@pytest.mark.parametrize(("codec", "options"), [("ffv1", {"g": "1"}), ("libx264", {"bf": "0", "g": "6"})])
def test_frames_of_one_time_stamp_are_all_there(tmp_path: Path, codec: str, options: dict[str, str]) -> None:
    twice = [0, 40, 40, 80, 120, 120, 120, 160, 200, 240, 240]
    path = encode(tmp_path / "a.mkv", numbered(0, 11), codec, twice, time_base=Fraction(1, 1000), options=options)
    with open_clip(path) as clip:
        times = check_order(clip, 11)
    wanted = [0, 40, 60, 80, 120, 133, 146, 160, 200, 240]
    assert [round(t * 1000) for t in times[:-1]] == wanted


def test_two_frames_of_one_rounded_millisecond(tmp_path: Path) -> None:
    quick = [0, 3, 6, 9, 12, 15, 18, 21]  # 3,333 frames a second in a container that counts milliseconds
    path = encode(tmp_path / "a.mkv", numbered(0, 8), "ffv1", quick, time_base=Fraction(1, 10000), options={"g": "1"})
    with open_clip(path) as clip:
        check_order(clip, 8)


def test_a_joined_clip_goes_out_whole(tmp_path: Path) -> None:
    with open_clip(joined(tmp_path, ".ts", [(0, 5), (5, 5)])) as clip:
        with open_writer(tmp_path / "part.mov", "prores4444", clip.info, "alpha") as writer:
            for frame in clip.frames():
                writer.write(frame, soft_alpha(48, 64), None)
        join_segments([tmp_path / "part.mov"], tmp_path / "out.mov", clip.info, "prores4444")
    assert len(stamps(tmp_path / "out.mov")) == 10


@pytest.mark.parametrize(("codec", "reorder"), [("libx264", "2"), ("libx264", "0"), ("mpeg4", "2")])
def test_avi_which_has_no_display_times_gives_every_frame(tmp_path: Path, codec: str, reorder: str) -> None:
    options = {"bf": reorder, "g": "6", "qmin": "1", "qmax": "4"}
    times = list(range(16))
    path = encode(tmp_path / "a.avi", numbered(0, 16), codec, times, time_base=Fraction(1001, 30000), options=options)
    with open_clip(path) as clip:
        check_order(clip, 16)
        assert not clip.notes


@pytest.mark.parametrize("hidden", [3, 7])
def test_frames_that_an_edit_list_hides_are_no_damage(tmp_path: Path, hidden: int) -> None:
    times = [1001 * (i - hidden) for i in range(16)]
    path = encode(tmp_path / "a.mp4", numbered(0, 16), pts=times, options={"bf": "0", "g": "16"})
    with av.open(str(path)) as container:
        assert sum(p.is_discard for p in container.demux(video=0)) == hidden
    with open_clip(path) as clip:
        assert [level(f.picture.pixels) for f in clip.frames()] == list(range(hidden, 16))
        assert [level(f.picture.pixels) for f in clip.frames(4, 6)] == [hidden + 4, hidden + 5]
        assert not clip.notes


ONE = 1 << 16
MATRICES = {
    "as stored": ((ONE, 0, 0, ONE), lambda p: p),
    "mirrored": ((-ONE, 0, 0, ONE), lambda p: p[:, ::-1]),
    "upside down": ((ONE, 0, 0, -ONE), lambda p: p[::-1]),
    "turned by 180": ((-ONE, 0, 0, -ONE), lambda p: p[::-1, ::-1]),
    "turned by 90": ((0, -ONE, ONE, 0), lambda p: np.rot90(p)),
    "turned by 270": ((0, ONE, -ONE, 0), lambda p: np.rot90(p, 3)),
    "transposed": ((0, ONE, ONE, 0), lambda p: p.swapaxes(0, 1)),
    "transposed the other way": ((0, -ONE, -ONE, 0), lambda p: p[::-1, ::-1].swapaxes(0, 1)),
    "mirrored and twice as large": ((-2 * ONE, 0, 0, 2 * ONE), lambda p: p[:, ::-1]),
    "nothing": ((0, 0, 0, 0), lambda p: p),
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("name", MATRICES)
def test_all_eight_orientations_are_applied(tmp_path: Path, name: str, suffix: str) -> None:
    (a, b, c, d), wanted = MATRICES[name]
    frame = grey_frame(60, 64, 32)
    plane(frame, 0)[:12, :20] = 200  # bright: above left
    plane(frame, 0)[20:, 40:] = 120  # less so: below right
    with av.open(str(tmp_path / f"a{suffix}"), "w") as muxer:
        stream = muxer.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        stream.set_display_matrix([a, b, 0, c, d, 0, 0, 0, 1 << 30])
        muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
    stored = np.full((32, 64), 0)
    stored[:12, :20], stored[20:, 40:] = 2, 1
    with open_clip(tmp_path / f"a{suffix}") as clip:
        pixels = next(clip.frames()).picture.pixels
        assert (clip.info.height, clip.info.width) == pixels.shape[:2]
        turned = pixels.shape[0] > pixels.shape[1]
        assert clip.info.sample_aspect == (Fraction(3, 4) if turned else Fraction(4, 3))
    result = np.digitize(pixels[..., 0], (90, 170))
    assert np.mean(result == wanted(stored)) > 0.97


def two_streams(path: Path, sizes: list[tuple[int, int]], default: list[bool]) -> Path:
    """A file of several video streams."""
    with av.open(str(path), "w") as muxer:
        streams: list[Any] = []
        for width, height in sizes:
            streams.append(muxer.add_stream("mpeg4", rate=25))
            streams[-1].width, streams[-1].height = width, height
        for stream, first in zip(streams, default, strict=True):
            stream.disposition = av.stream.Disposition.default if first else av.stream.Disposition(0)
        for index in range(3):
            for stream in streams:
                frame = grey_frame(60 + index, stream.width, stream.height)
                frame.pts, frame.time_base = index, Fraction(1, 25)
                muxer.mux(stream.encode(frame))
        for stream in streams:
            muxer.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("sizes", "default", "taken"),
    [
        ([(32, 32), (96, 64)], [True, True], 1),
        ([(96, 64), (32, 32)], [True, True], 0),
        ([(32, 32), (96, 64)], [True, False], 0),
        ([(96, 64), (32, 32)], [False, True], 1),
        ([(32, 32), (96, 64), (64, 64)], [False, False, False], 1),
        ([(64, 48), (64, 48)], [True, True], 0),
    ],
)
def test_of_several_streams_the_default_or_the_largest_is_taken(
    tmp_path: Path, sizes: list[tuple[int, int]], default: list[bool], taken: int
) -> None:
    with open_clip(two_streams(tmp_path / "a.mkv", sizes, default)) as clip:
        assert (clip.info.width, clip.info.height) == sizes[taken]
        assert [f.picture.pixels.shape[:2] for f in clip.frames(1)] == [sizes[taken][::-1]] * 2
        assert any(f"{len(sizes)} video streams; stream {taken}" in note for note in clip.notes)


def test_one_stream_needs_no_note(tmp_path: Path) -> None:
    with open_clip(two_streams(tmp_path / "a.mkv", [(64, 48)], [True])) as clip:
        assert not clip.notes


def test_a_rate_is_given_to_a_file_and_its_sound_left_out(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(0, 6), pts=[0, 1001, 2500, 3000, 6006, 7007], sound=True)
    with open_clip(path, rate=Fraction(12)) as clip:
        assert [f.time for f in clip.frames()] == [Fraction(i, 12) for i in range(6)]
        assert (clip.info.rate, clip.info.variable, clip.info.duration) == (12, False, 0.5)
        assert not clip.info.has_audio
        assert any("sound" in note and "--rate" in note for note in clip.notes)
        assert [level(f.picture.pixels) for f in clip.frames(4)] == [4, 5]


def test_its_own_rate_changes_nothing(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", numbered(0, 6), sound=True)
    with open_clip(path) as plain, open_clip(path, rate=RATE) as clip:
        assert clip.info == plain.info
        assert clip.info.has_audio
        assert not clip.notes


@pytest.mark.parametrize("numbers", [(1001, 1002, 1003, 1006, 1007), (1, 5), (0, 1, 2)])
def test_a_gap_of_a_sequence_lasts_in_a_movie(tmp_path: Path, numbers: tuple[int, ...]) -> None:
    picture = Picture.from_array(scenery(48, 64))
    for number in numbers:
        write_rgb(tmp_path / f"f.{number:04}.png", picture.pixels, picture.info)
    with open_clip(tmp_path, rate=Fraction(24)) as clip:
        info, frames = clip.info, list(clip.frames())
        assert info.duration == (numbers[-1] - numbers[0] + 1) / 24
        assert bool(clip.notes) == (len(numbers) < numbers[-1] - numbers[0] + 1)
        with open_writer(tmp_path / "p.mov", "prores4444", info, "alpha") as writer:
            for frame in frames:
                writer.write(frame, soft_alpha(48, 64), None)
    join_segments([tmp_path / "p.mov"], tmp_path / "out.mov", info, "prores4444")
    assert stamps(tmp_path / "out.mov") == [Fraction(n - numbers[0], 24) for n in numbers]
    with open_clip(tmp_path / "out.mov") as back:
        assert back.info.duration == pytest.approx((numbers[-1] - numbers[0] + 1) / 24)


def test_a_part_of_a_sequence_with_a_gap_begins_at_0(tmp_path: Path) -> None:
    picture = Picture.from_array(scenery(48, 64))
    for number in (1, 2, 8, 9):
        write_rgb(tmp_path / f"f{number}.png", picture.pixels, picture.info)
    with open_clip(tmp_path) as clip:
        result = [(f.index, f.pts, f.duration) for f in clip.frames(2)]
        assert result == [(2, 7, 1), (3, 8, 1)]
        assert [(f.index, f.duration) for f in clip.frames(1, 2)] == [(1, 6)]


def test_a_damaged_header_that_makes_a_frame_last_for_days_is_no_crash(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mkv", numbered(0, 2), "ffv1", [0, 200_000_000_000], time_base=Fraction(1, 1000))
    with open_clip(path) as clip:
        assert clip.info.rate > 0
        assert [level(f.picture.pixels) for f in clip.frames()] == [0, 1]
