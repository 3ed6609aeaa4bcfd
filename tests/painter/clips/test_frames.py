"""Frames in any order: the right one, few decoded for it, and what cannot be decoded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.painter.clips.conftest import COUNT, SIZE, moving_disc
from tests.video.helpers import write_stream
from uhrmat.core.errors import InputError
from uhrmat.media.video import Frame
from uhrmat.painter.clips.frames import ClipFrames, FrameCacheParams


def test_frames_in_any_order_are_the_clips(clip: Path) -> None:
    frames, made = ClipFrames(clip), moving_disc()
    assert frames.count == COUNT and frames.size == SIZE and list(frames.numbers) == list(range(COUNT))
    for index in (0, 1, 2, 6, 3, 3, 5, 0):
        assert (frames.picture(index).pixels == made[index].image).all()
    assert frames.tiles(4).size == SIZE and frames.tiles(4).encode(0, 0, 0).startswith(b"\xff\xd8")


def test_a_sequence_counts_by_its_files(tmp_path: Path) -> None:
    for number, frame in zip((1001, 1002, 1005), moving_disc(3), strict=True):
        Image.fromarray(frame.image).save(tmp_path / f"shot_{number}.png")
    frames = ClipFrames(tmp_path)
    assert frames.count == 3 and list(frames.numbers) == [1001, 1002, 1005]
    assert (frames.picture(2).pixels == moving_disc(3)[2].image).all()


def test_a_frame_near_the_last_is_decoded_on_to_and_a_kept_one_not_again(tmp_path: Path) -> None:
    frames = ClipFrames(write_stream(tmp_path / "long.mkv", moving_disc(40)), FrameCacheParams(kept_bytes=0, skip=4))
    begun, decoded, reader = list[int](), list[int](), frames._reader
    original = reader.frames

    def count(start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        begun.append(start)
        for frame in original(start, stop):
            decoded.append(frame.index)
            yield frame

    reader.frames = count  # type: ignore[method-assign]
    for index in (10, 11, 12, 12, 14, 30, 29):
        frames.picture(index)
    assert begun == [10, 30, 29]  # 11, 12 and 14 on from 10; 30 is too far, 29 lies behind
    assert decoded == [10, 11, 12, 13, 14, 30, 29]


def test_small_frames_are_decoded_in_chunks_in_their_direction(clip: Path) -> None:
    frames = ClipFrames(clip)
    small = frames.small((36, 48))
    expected = moving_disc()[3].image.reshape(36, 2, 48, 2, 3).mean((1, 3)) / 255
    assert np.abs(small(3) - expected).max() < 0.01
    assert np.abs(small(0, -1) - small(0)).max() == 0
    asked = list[tuple[int, int]]()
    read = frames.read
    frames.read = lambda start, stop: (asked.append((start, stop)), read(start, stop))[1]  # type: ignore[method-assign, return-value]
    other = frames.small((18, 24))
    for index in (6, 5, 4, 0):
        other(index, -1)
    assert asked == [(0, 7)]


def test_thumbnails_are_small_copies(clip: Path) -> None:
    thumbnail = np.asarray(Image.open(io.BytesIO(ClipFrames(clip).thumbnail(2))), float)
    assert thumbnail.shape == (64, 85, 3)
    expected = np.asarray(Image.fromarray(moving_disc()[2].image).resize((85, 64), Image.Resampling.BOX), float)
    assert np.abs(thumbnail - expected).mean() < 6


@pytest.mark.parametrize("index", [-1, COUNT])
def test_a_frame_outside_the_clip_is_refused(clip: Path, index: int) -> None:
    with pytest.raises(InputError, match=rf"no frame {index}.*from 0 to {COUNT - 1}"):
        ClipFrames(clip).picture(index)


def test_a_damaged_frame_is_named_and_the_others_are_shown(clip: Path) -> None:
    frames = ClipFrames(clip)
    original = frames._reader.frames
    frames._reader.frames = lambda start=0, stop=None: (  # type: ignore[method-assign]
        frame for frame in original(start, stop) if frame.index != 3
    )
    with pytest.raises(InputError, match=r"Frame 3 of .* cannot be decoded"):
        frames.picture(3)
    assert (frames.picture(4).pixels == moving_disc()[4].image).all()
    with pytest.raises(InputError, match=r"Frame 3 of .* cannot be decoded"):
        frames.small((36, 48))(3)


def test_no_clip_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no clip")
    for name in ("empty", "text.mp4", "none.mp4"):
        with pytest.raises(InputError, match=name):
            ClipFrames(tmp_path / name)
