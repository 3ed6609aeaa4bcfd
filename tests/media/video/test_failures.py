"""What goes wrong while writing leaves nothing under the final name, and says what it was."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from tests.media.video.helpers import clip_info, encode, grey_frame, scenery, soft_alpha, some_frame
from uhrmat.core.errors import InputError, OutputError
from uhrmat.media.video import CODECS, join_segments, open_clip, open_writer

STREAMS = [codec.name for codec in CODECS.values() if not codec.sequence]


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: the system refuses the write, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((48, 64), np.float32)


@pytest.mark.parametrize("name", STREAMS)
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"a{CODECS[name].suffix}"
    writer = open_writer(path, name, clip_info(64, 48), "alpha")
    with full_disk(3000), pytest.raises(OutputError, match="a\\."), writer:
        for index in range(40):
            writer.write(some_frame(index, scenery(48, 64)), noise(index), None)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_while_joining_leaves_the_segments_alone(tmp_path: Path) -> None:
    info, part = clip_info(64, 48), tmp_path / "part.mkv"
    with open_writer(part, "ffv1", info, "alpha") as writer:
        for index in range(12):
            writer.write(some_frame(index, scenery(48, 64)), noise(index), None)
    with full_disk(3000), pytest.raises(OutputError, match="out"):
        join_segments([part], tmp_path / "out.mkv", info, "ffv1")
    assert [p.name for p in tmp_path.iterdir()] == ["part.mkv"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_a_run_that_is_broken_off_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error), open_writer(tmp_path / "a.mov", "prores4444", clip_info(64, 48), "alpha") as writer:
        writer.write(some_frame(0, scenery(48, 64)), soft_alpha(48, 64), None)
        raise error
    assert not list(tmp_path.iterdir())


def test_an_older_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(b"old")
    writer = open_writer(path, "ffv1", clip_info(64, 48), "alpha")
    writer.write(some_frame(0, scenery(48, 64)), soft_alpha(48, 64), None)
    assert path.read_bytes() == b"old"
    writer.close()
    assert path.stat().st_size > 100
    with pytest.raises(ValueError, match="closed"):
        writer.write(some_frame(1, scenery(48, 64)), soft_alpha(48, 64), None)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize("name", ["h264", "png"])
def test_no_frames_make_no_file(tmp_path: Path, name: str) -> None:
    with (
        pytest.raises(OutputError, match="No frame"),
        open_writer(tmp_path / ("a.mp4" if name == "h264" else "out"), name, clip_info(64, 48), "alpha"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    info = clip_info(64, 48)
    (tmp_path / "file").write_text("")
    for path, codec, content, words in (
        ("file/a.mov", "prores4444", "alpha", "is a file"),
        ("a.mp4", "h264", "foreground", "carries no alpha"),
        ("a.avi", "h264", "alpha", "extension"),
        ("a.mov", "cinepak", "alpha", "no codec"),
    ):
        with pytest.raises(OutputError, match=words):
            open_writer(tmp_path / path, codec, info, content)  # type: ignore[arg-type]


def test_the_input_is_never_the_output(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", [grey_frame(90, 64, 48)])
    with open_clip(path) as clip, pytest.raises(OutputError, match="input itself"):
        open_writer(tmp_path / "x" / ".." / "a.mp4", "h264", clip.info, "alpha")


def test_parts_of_another_size_or_missing_ones_are_errors(tmp_path: Path) -> None:
    frame = some_frame(0, scenery(48, 64))
    writer = open_writer(tmp_path / "a.mp4", "h264", clip_info(64, 48), "alpha")
    with pytest.raises(InputError, match="64 × 40"):
        writer.write(frame, soft_alpha(40, 64), None)
    with pytest.raises(ValueError, match="needs alpha"):
        writer.write(frame, None, scenery(48, 64))
    writer.abort()
    assert not list(tmp_path.iterdir())
