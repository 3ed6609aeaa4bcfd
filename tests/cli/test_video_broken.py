"""Clips that are broken, odd or cut short: which exit code, which words, and what lies under the output's name."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from tests.media.video.helpers import add_sound, encode, play
from tests.media.video.test_failures import full_disk
from uhrmat.cli.app import app
from uhrmat.media.video import open_clip
from uhrmat.media.video.fields import mark_interlaced

EVERY = {"g": "1", "bf": "0"}
INDEX_FIRST = {"movflags": "+faststart"}


def shots(count: int, width: int = 64, height: int = 48, fmt: str = "yuv420p") -> list[Any]:
    """A red disc that moves before a green screen that is not quite even."""
    ys, xs = np.indices((height, width))
    rng, result = np.random.default_rng(0), []
    for number in range(count):
        alpha = np.clip(height / 4 + 0.5 - np.hypot(ys - height / 2, xs - width / 3 - number), 0, 1)[..., None]
        image = alpha * (200, 40, 30) + (1 - alpha) * (30, 200, 40) + rng.normal(0, 2, (height, width, 3))
        frame = av.VideoFrame.from_ndarray(np.rint(image.clip(0, 255)).astype(np.uint8), "rgb24")
        result.append(frame.reformat(format=fmt))
    return result


def run(path: Path, *words: Any, codec: str = "ffv1", hint: tuple[Any, ...] = ("--key", "green")) -> Result:
    """The clip matted into out.mkv beside it."""
    light = (*hint, "--refiner", "bilinear", "--precision", "fp32", "--json", "--codec", codec)
    return CliRunner().invoke(app, ["video", str(path), "-o", str(path.with_name("out.mkv")), *light, *map(str, words)])


def left(path: Path) -> list[str]:
    """What lies beside the clip."""
    return sorted(p.name for p in path.parent.iterdir() if p != path)


def written(path: Path) -> list[int]:
    """Time stamps of the matte's frames in milliseconds."""
    with open_clip(path.with_name("out.mkv")) as clip:
        return [round(1000 * frame.time) for frame in clip.frames()]


def without_frames(path: Path) -> None:
    with av.open(str(path), "w") as muxer:
        stream: Any = muxer.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "yuv420p"
        play(muxer, add_sound(muxer, "mp2"), 0.3)


def sound_only(path: Path) -> None:
    with av.open(str(path), "w") as muxer:
        play(muxer, add_sound(muxer, "mp2"), 0.3)


def without_index(path: Path) -> None:
    encode(path, shots(4))
    path.write_bytes(path.read_bytes()[:600])


def missing(path: Path) -> None:
    del path


@pytest.mark.parametrize(
    ("make", "name", "words"),
    [
        (without_frames, "a.avi", "no frame"),
        (sound_only, "a.mka", "only sound"),
        (without_index, "a.mp4", "index is missing"),
        (Path.touch, "a.mp4", "not a video"),
        (missing, "a.mp4", "does not exist"),
    ],
)
def test_what_has_no_frames_is_refused_before_any_work(
    tmp_path: Path, make: Callable[[Path], None], name: str, words: str
) -> None:
    make(tmp_path / name)
    result = run(tmp_path / name)
    assert result.exit_code == 2 and words in result.stderr
    assert left(tmp_path / name) == []


def test_a_clip_that_is_cut_off_is_matted_as_far_as_it_goes(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", shots(12, 160, 120), options=EVERY, container_options=INDEX_FIRST)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    result = run(path)
    item = json.loads(result.stdout)["items"][0]
    assert result.exit_code == 0 and any("cut off" in note for note in item["notes"])
    assert 4 <= len(written(path)) < 12 and left(path) == ["out.mkv"]


def test_a_corrupted_packet_costs_its_frame_and_moves_no_other(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", shots(8), options=EVERY, time_base=Fraction(1, 1000), pts=range(0, 320, 40))
    with av.open(str(path)) as container:
        packet = [p for p in container.demux(video=0) if p.size][3]
        position, size = packet.pos, packet.size
    data = bytearray(path.read_bytes())
    data[position : position + size] = b"\xff" * size
    path.write_bytes(bytes(data))
    result = run(path)
    notes = json.loads(result.stdout)["items"][0]["notes"]
    assert result.exit_code == 0 and any("Frame 3" in note for note in notes)
    assert written(path) == [40 * n for n in range(8) if n != 3] and left(path) == ["out.mkv"]


def test_a_change_of_resolution_ends_the_run_and_leaves_no_matte(tmp_path: Path) -> None:
    first = encode(tmp_path / "one.ts", shots(4))
    second = encode(tmp_path / "two.ts", shots(4, 96, 64), pts=[(10 + i) * 1001 for i in range(4)])
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "a.ts").write_bytes(first.read_bytes() + second.read_bytes())
    looked_over = run(folder / "a.ts")  # frames of the whole clip are asked for the screen's colour, before any work
    assert looked_over.exit_code == 2 and "64 × 48 to 96 × 64" in looked_over.stderr and left(folder / "a.ts") == []
    (tmp_path / "masks").mkdir()
    for number in range(8):
        Image.new("L", (64, 48), 100).save(tmp_path / "masks" / f"{number}.png")
    result = run(folder / "a.ts", hint=("--mask", tmp_path / "masks", "--prior", "mask"))
    assert result.exit_code == 1 and "64 × 48 to 96 × 64" in result.stderr
    assert left(folder / "a.ts") == [".out.mkv.uhrmat"]


@pytest.mark.parametrize(("codec", "kept"), [("ffv1", True), ("vp9", False), ("hevc", False)])
def test_an_interlaced_clip_is_told(tmp_path: Path, codec: str, kept: bool) -> None:
    frames = [mark_interlaced(frame, "bottom") for frame in shots(2)]
    path = encode(tmp_path / "a.mp4", frames, options={"flags": "+ildct+ilme", "field_order": "bt", "bf": "0"})
    result = run(path, "--outputs", "alpha", codec=codec)
    notes = " ".join(json.loads(result.stdout)["items"][0]["notes"])
    assert result.exit_code == 0 and "is interlaced, bottom field first" in notes
    assert (f"{codec} does not say which field is first" in notes) is not kept
    with open_clip(path.with_name("out.mkv")) as clip:
        assert clip.info.fields == ("bottom" if kept else "")


@pytest.mark.parametrize("codec", ["ffv1", "prores4444", "vp9", "h264"])
@pytest.mark.parametrize(("width", "height"), [(65, 33), (17, 48)])
def test_one_frame_of_an_odd_size(tmp_path: Path, codec: str, width: int, height: int) -> None:
    path = encode(tmp_path / "a.mkv", shots(1, width, height, "yuv444p"), "ffv1")
    result = run(path, "--outputs", "alpha", codec=codec)
    assert result.exit_code == 0, result.output
    with open_clip(path.with_name("out.mkv")) as clip:
        assert (clip.info.width, clip.info.height, clip.info.frames) == (width, height, 1)


def test_a_full_disk_is_said_and_leaves_no_matte(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp4", shots(8, 160, 120))
    with full_disk(4000):
        result = run(path, "--outputs", "foreground")
    assert result.exit_code == 1 and "Cannot write" in result.stderr
    assert "out.mkv" not in left(path)
    assert run(path, "--outputs", "foreground", "--resume").exit_code == 0 and left(path) == ["out.mkv"]


def test_ctrl_c_while_a_frame_is_encoded_leaves_no_matte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from uhrmat.media.video.encode import StreamWriter

    path = encode(tmp_path / "a.mp4", shots(8))
    inner = StreamWriter.write

    def write(self: StreamWriter, *rest: Any) -> None:
        if self.written == 2:  # in the encoder's thread, as a terminal's Ctrl-C may fall
            signal.raise_signal(signal.SIGINT)
        inner(self, *rest)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with monkeypatch.context() as patched:
            patched.setattr(StreamWriter, "write", write)
            assert run(path).exit_code == 130
    finally:
        signal.signal(signal.SIGINT, before)
    assert left(path) == [".out.mkv.uhrmat"]
    assert not [p for p in (tmp_path / ".out.mkv.uhrmat").iterdir() if p.name.startswith("segment")]
