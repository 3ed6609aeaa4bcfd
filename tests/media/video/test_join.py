"""Segments and sound into one file: nothing encoded again, nothing lost, the same bytes every time."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.video.helpers import RATE, encode, grey_frame, scenery, soft_alpha, some_frame, sound_packets, stamps
from uhrmat.core.errors import OutputError
from uhrmat.media.video import CODECS, ClipInfo, Codec, check_alpha, join_segments, open_clip, open_writer

STREAMS = [codec for codec in CODECS.values() if not codec.sequence]
COUNT = 12


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = [grey_frame(60 + 5 * i, 64, 48) for i in range(COUNT)]
    return encode(tmp_path_factory.mktemp("clip") / "source.mp4", frames, sound=True, options={"bf": "0"})


def segments(folder: Path, codec: Codec, info: ClipInfo, cuts: tuple[int, ...]) -> list[Path]:
    """One file for each pair of neighbours in `cuts`."""
    colour, paths = scenery(48, 64), []
    for start, stop in itertools.pairwise(cuts):
        paths.append(folder / f"part{start:03}{codec.suffix}")
        with open_writer(paths[-1], codec, info, "alpha") as writer:
            for index in range(start, stop):
                writer.write(some_frame(index, colour), soft_alpha(48, 64, index), None)
    return paths


@pytest.mark.parametrize("codec", STREAMS, ids=lambda c: c.name)
def test_segments_and_sound_become_one_clip(tmp_path: Path, source: Path, codec: Codec) -> None:
    with open_clip(source) as clip:
        info = clip.info
    out = tmp_path / f"out{codec.suffix}"
    report = join_segments(segments(tmp_path, codec, info, (0, 5, 8, 12)), out, info, codec, audio_from=source)
    wanted = sound_packets(source)
    assert (report.frames, report.audio_packets) == (COUNT, len(wanted))
    with open_clip(out) as joined:
        assert joined.info.frames == COUNT
        assert joined.info.rate == RATE
        assert not joined.info.variable
        assert joined.info.duration == pytest.approx(COUNT / float(RATE), abs=1 / float(RATE))
    assert check_alpha(out, codec, {i: soft_alpha(48, 64, i) for i in range(COUNT)}).ok
    if codec.name == "vp9":
        assert report.audio_path == tmp_path / "out.mka"
        assert report.notes
    assert sound_packets(report.audio_path or out) == wanted


def test_the_same_segments_give_the_same_bytes(tmp_path: Path, source: Path) -> None:
    with open_clip(source) as clip:
        info = clip.info
    for codec in STREAMS:
        files = []
        for run in ("one", "two"):
            (tmp_path / run).mkdir(exist_ok=True)
            parts = segments(tmp_path / run, codec, info, (0, 5, 12))
            files.append(tmp_path / run / f"out{codec.suffix}")
            join_segments(parts, files[-1], info, codec, audio_from=source)
        assert files[0].read_bytes() == files[1].read_bytes(), codec.name


def test_a_range_takes_its_part_of_the_sound(tmp_path: Path, source: Path) -> None:
    with open_clip(source) as clip:
        info = clip.info
    out, codec = tmp_path / "out.mov", CODECS["prores4444"]
    join_segments(segments(tmp_path, codec, info, (3, 6, 9)), out, info, codec, audio_from=source, start=3, stop=9)
    everything, part = sound_packets(source), sound_packets(out)
    first = everything.index(part[0])
    assert part == everything[first : first + len(part)]
    assert len(part) == pytest.approx(6 / float(RATE) * 48000 / 1024, abs=1)
    with av.open(str(source)) as container:
        old = [p.pts * Fraction(p.time_base) for p in container.demux(audio=0) if p.size][first]
    with av.open(str(out)) as container:
        new = next(p.pts * Fraction(p.time_base) for p in container.demux(audio=0) if p.size)
    assert abs(new - (old - 3 / RATE)) < Fraction(1, 30000)
    assert stamps(out)[0] == 0


def test_uneven_stamps_survive_the_joining(tmp_path: Path, source: Path) -> None:
    with open_clip(source) as clip:
        info = clip.info
    uneven = [50, 1100, 2500, 3000, 6006, 7007]
    for codec in (CODECS["h264"], CODECS["ffv1"]):
        parts = []
        for start in (0, 3):
            parts.append(tmp_path / f"{start}{codec.suffix}")
            with open_writer(parts[-1], codec, info, "alpha") as writer:
                for index in range(start, start + 3):
                    frame = some_frame(index, scenery(48, 64), pts=uneven[index])
                    writer.write(frame, soft_alpha(48, 64), None)
        join_segments(parts, tmp_path / f"out{codec.suffix}", info, codec)
        result = stamps(tmp_path / f"out{codec.suffix}")
        assert np.allclose([float(t) for t in result], (np.array(uneven) - 50) / 30000, atol=0.0011)


def test_segments_of_other_settings_are_refused(tmp_path: Path, source: Path) -> None:
    with open_clip(source) as clip:
        info = clip.info
    codec = CODECS["h264"]
    parts = segments(tmp_path, codec, info, (0, 3))
    with open_writer(tmp_path / "deep.mp4", codec, info, "alpha", bits=10) as writer:
        writer.write(some_frame(3, scenery(48, 64)), soft_alpha(48, 64), None)
    with pytest.raises(OutputError, match="other settings"):
        join_segments([*parts, tmp_path / "deep.mp4"], tmp_path / "out.mp4", info, codec)
    with pytest.raises(OutputError, match="nothing to put"):
        join_segments([], tmp_path / "out.mp4", info, codec)
    assert not (tmp_path / "out.mp4").exists()
    assert not list(tmp_path.glob(".*"))


def test_sound_that_starts_late_stays_late(tmp_path: Path) -> None:
    frames = [grey_frame(60, 64, 48) for _ in range(3)]
    late = encode(tmp_path / "late.mkv", frames, pts=[9000, 10001, 11002], sound=True)
    with open_clip(late) as clip:
        info = clip.info
    for codec in (CODECS["prores4444"], CODECS["ffv1"]):
        parts = [tmp_path / f"a{codec.suffix}"]
        with open_clip(late) as clip, open_writer(parts[0], codec, info, "alpha") as writer:
            for frame in clip.frames():
                writer.write(frame, soft_alpha(48, 64), None)
        out = tmp_path / f"out{codec.suffix}"
        join_segments(parts, out, info, codec, audio_from=late)
        assert float(stamps(out)[0]) == pytest.approx(0.3, abs=0.03)
        assert sound_packets(out) == sound_packets(late)
