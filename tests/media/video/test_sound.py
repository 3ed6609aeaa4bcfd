"""Sound on its way: what fits stays in the file, what does not lies beside it, what nothing holds is named."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.media.video.helpers import add_sound, encode, grey_frame, play, soft_alpha, sound_packets
from uhrmat.core.errors import OutputError
from uhrmat.media.video import CODECS, JoinReport, copy_sound, join_segments, open_clip, open_writer
from uhrmat.media.video.sound import Sound, plan_sound

DELIVERY = {".mov": "prores4444", ".mp4": "h264", ".mkv": "ffv1", ".webm": "vp9"}
FITS = {  # sound codec: containers that hold it
    "aac": (".mov", ".mp4", ".mkv"),
    "libmp3lame": (".mov", ".mp4", ".mkv"),
    "ac3": (".mov", ".mp4", ".mkv"),
    "flac": (".mp4", ".mkv"),
    "libopus": (".mp4", ".mkv", ".webm"),
    "mp2": (".mov", ".mp4", ".mkv"),
    "alac": (".mov", ".mp4", ".mkv"),
    "pcm_s16le": (".mov", ".mp4", ".mkv"),
    "pcm_s24le": (".mov", ".mp4", ".mkv"),
    "pcm_f32le": (".mov", ".mp4", ".mkv"),
    "wavpack": (".mkv",),
    "tta": (".mkv",),
}
FRAMES = 6


def clip_with(path: Path, *codecs: str, metadata: tuple[dict[str, str], ...] = (), seconds: float = 0.25) -> Path:
    """A clip of FRAMES frames with a sound track of each codec."""
    with av.open(str(path), "w") as muxer:
        picture: Any = muxer.add_stream("mpeg4", rate=24)
        picture.width, picture.height = 64, 48
        tracks = []
        for number, codec in enumerate(codecs):
            tracks.append(add_sound(muxer, codec))
            tracks[-1].codec_context.options.update(strict="experimental")
            tracks[-1].metadata.update(metadata[number] if metadata else {})
        for index in range(FRAMES):
            frame = grey_frame(60 + index, 64, 48)
            frame.pts, frame.time_base = index, Fraction(1, 24)
            muxer.mux(picture.encode(frame))
        muxer.mux(picture.encode(None))
        for track in tracks:
            sing(muxer, track, seconds)
    return path


def sing(muxer: Any, track: Any, seconds: float) -> None:
    """Mux noise in whatever layout the encoder takes."""
    context = track.codec_context
    size, name = context.frame_size or 1024, context.format.name
    rng = np.random.default_rng(1)
    resampler = av.AudioResampler(format=name, layout=context.layout.name, rate=48000, frame_size=size)
    for start in range(0, int(48000 * seconds), size):
        frame = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (1, size)).astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts = 48000, start
        for part in resampler.resample(frame):
            muxer.mux(track.encode(part))
    muxer.mux(track.encode(None))


def deliver(source: Path, out: Path, **options: Any) -> JoinReport:
    """The matte of `source` with its sound."""
    name = DELIVERY[out.suffix]
    part = out.with_name(f"part{CODECS[name].suffix}")
    with open_clip(source) as clip, open_writer(part, name, clip.info, "alpha") as writer:
        for frame in clip.frames():
            writer.write(frame, soft_alpha(48, 64), None)
    return join_segments([part], out, clip.info, name, audio_from=source, **options)


def tracks_of(path: Path) -> list[str]:
    """Codec names of a file's sound."""
    with av.open(str(path)) as container:
        return [s.codec_context.name for s in container.streams.audio]


@pytest.mark.parametrize("suffix", DELIVERY)
@pytest.mark.parametrize("codec", FITS)
def test_every_kind_of_sound_arrives_in_the_file_or_beside_it(tmp_path: Path, codec: str, suffix: str) -> None:
    source = clip_with(tmp_path / "a.mkv", codec)
    report = deliver(source, tmp_path / f"out{suffix}")
    fits = suffix in FITS[codec]
    assert report.frames == FRAMES
    assert report.audio_path == (None if fits else tmp_path / "out.mka")
    assert bool(report.notes) != fits
    assert sound_packets(report.audio_path or tmp_path / f"out{suffix}") == sound_packets(source)
    assert len(tracks_of(tmp_path / f"out{suffix}")) == int(fits)
    with Sound(source) as sound:
        assert sound.fits(tmp_path / f"out{suffix}") == fits
    with open_clip(tmp_path / f"out{suffix}") as clip:
        assert len(list(clip.frames())) == FRAMES


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the wheel has no TrueHD encoder")
@pytest.mark.parametrize("suffix", DELIVERY)
def test_truehd_which_muxers_call_experimental(tmp_path: Path, suffix: str) -> None:
    make = "ffmpeg -v error -f lavfi -i testsrc=s=64x48:r=24:d=0.25 -f lavfi -i sine=440:duration=0.25"
    options = f"-c:v mpeg4 -c:a truehd -strict -2 {tmp_path}/a.mkv"
    subprocess.run([*make.split(), *options.split()], check=True)
    report = deliver(tmp_path / "a.mkv", tmp_path / f"out{suffix}")
    assert tracks_of(report.audio_path or tmp_path / f"out{suffix}") == ["truehd"]
    assert (report.audio_path is None) == (suffix == ".mkv")


def test_of_several_tracks_those_that_fit_stay(tmp_path: Path) -> None:
    source = clip_with(tmp_path / "a.mkv", "flac", "aac", "libopus")
    report = deliver(source, tmp_path / "out.mov")
    assert tracks_of(tmp_path / "out.mov") == ["aac"]
    assert tracks_of(tmp_path / "out.mka") == ["flac", "opus"]
    (note,) = report.notes
    assert "tracks 1 (flac), 3 (opus)" in note and "out.mka" in note


def with_unknown_track(folder: Path, *codecs: str) -> Path:
    """As a phone writes it: the last track is of a kind that FFmpeg does not know."""
    data = bytearray(clip_with(folder / "a.mp4", *codecs).read_bytes())
    at = data.rindex(b"mp4a")
    settings = data.index(b"esds", at)
    data[at : at + 4], data[settings : settings + 4] = b"apac", b"dapa"
    (folder / "phone.mp4").write_bytes(data)
    return folder / "phone.mp4"


@pytest.mark.parametrize("suffix", DELIVERY)
def test_a_track_of_an_unknown_kind_is_left_out_and_named(tmp_path: Path, suffix: str) -> None:
    report = deliver(with_unknown_track(tmp_path, "aac", "aac"), tmp_path / f"out{suffix}")
    assert tracks_of(report.audio_path or tmp_path / f"out{suffix}") == ["aac"]
    assert any("sound track 2 (of an unknown kind) cannot be copied" in note for note in report.notes)


@pytest.mark.parametrize("codec", ["g722", "pcm_alaw", "pcm_mulaw", "adpcm_ms", "adpcm_ima_wav"])
def test_matroska_holds_what_is_known_by_its_number_in_avi(tmp_path: Path, codec: str) -> None:
    source = clip_with(tmp_path / "a.avi", codec)
    for suffix in (".mp4", ".mkv", ".mov"):
        report = deliver(source, tmp_path / f"out{suffix}")
        if suffix != ".mov":  # which holds some of them
            assert report.audio_path == (tmp_path / "out.mka" if suffix == ".mp4" else None)
        result = report.audio_path or tmp_path / f"out{suffix}"
        assert tracks_of(result) == [codec]
        assert sound_packets(result) == sound_packets(source)
        with av.open(str(result)) as made, av.open(str(source)) as was:
            assert [f.samples for f in made.decode(audio=0)] == [f.samples for f in was.decode(audio=0)]


def test_what_neither_container_holds_is_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = clip_with(tmp_path / "a.mkv", "aac")
    monkeypatch.setattr("uhrmat.media.video.sound._accepts", lambda *_: False)
    report = deliver(source, tmp_path / "out.mp4")
    assert (report.frames, report.audio_path, report.audio_packets) == (FRAMES, None, 0)
    assert report.notes == ("sound track 1 (aac) cannot be copied and is left out",)


def test_sound_beside_stills_leaves_out_what_nothing_holds(tmp_path: Path) -> None:
    source = with_unknown_track(tmp_path, "aac", "aac")
    with open_clip(source) as clip:
        count, notes = copy_sound(clip.info, tmp_path / "frames.mka", Fraction(0))
    assert count == len(sound_packets(tmp_path / "frames.mka")) > 0
    assert ["2 (of an unknown kind)" in note for note in notes] == [True]
    lonely = with_unknown_track(tmp_path, "aac")
    with open_clip(lonely) as clip:
        count, notes = copy_sound(clip.info, tmp_path / "none.mka", Fraction(0))
    assert count == 0 and len(notes) == 1
    assert not (tmp_path / "none.mka").exists()


@pytest.mark.parametrize(("codec", "suffix"), [("libopus", s) for s in DELIVERY] + [("aac", s) for s in DELIVERY])
def test_language_title_and_disposition_go_along(tmp_path: Path, codec: str, suffix: str) -> None:
    labels = ({"language": "deu", "title": "Ton", "comment": "secret"}, {"language": "fra", "title": "Son"})
    source = clip_with(tmp_path / "a.mkv", codec, codec, metadata=labels)
    report = deliver(source, tmp_path / f"out{suffix}")
    with av.open(str(report.audio_path or tmp_path / f"out{suffix}")) as container:
        result = [{k.lower(): v for k, v in s.metadata.items()} for s in container.streams.audio]
    assert result[0]["language"] in ("deu", "ger") and result[1]["language"] in (
        "fra",
        "fre",
    )  # one language, two codes
    if suffix != ".mp4":  # which has no place for the title of a track
        assert [f.get("title", f.get("name")) for f in result] == ["Ton", "Son"]
    assert all("comment" not in f for f in result)


@pytest.mark.parametrize("language", ["eng", "deu", "zho", "nld", "cze", "fre", "swe", "jpn", "per"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv"])
def test_a_language_is_known_by_either_of_its_codes(tmp_path: Path, language: str, suffix: str) -> None:
    source = clip_with(tmp_path / "a.mp4", "aac", metadata=({"language": language},))
    deliver(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        result = container.streams.audio[0].metadata["language"]
    same = {"deu": "ger", "zho": "chi", "nld": "dut", "cze": "ces", "fre": "fra", "swe": "sve", "per": "fas"}
    assert result in (language, same.get(language), {v: k for k, v in same.items()}.get(language))


def test_sound_that_goes_back_to_the_beginning_follows_on(tmp_path: Path) -> None:
    frames = [grey_frame(60 + i, 64, 48) for i in range(6)]
    data = encode(tmp_path / "a.ts", frames, sound=True, options={"bf": "0"}).read_bytes()
    (tmp_path / "joined.ts").write_bytes(data + data)
    out = tmp_path / "out.mov"
    deliver(tmp_path / "joined.ts", out)
    with av.open(str(out)) as container:
        times = [float(p.pts * p.time_base) for p in container.demux(audio=0) if p.size]
    single = len(sound_packets(tmp_path / "a.ts"))
    assert len(times) == 2 * single
    assert np.allclose(np.diff(times), 1024 / 48000, atol=0.001)


def test_sound_of_a_file_that_breaks_off_goes_as_far_as_it_is_there(tmp_path: Path) -> None:
    whole = clip_with(tmp_path / "a.mkv", "libopus", seconds=2.0)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    report = deliver(cut, tmp_path / "out.mkv")
    assert 0 < report.audio_packets < len(sound_packets(whole))
    assert sound_packets(whole)[: report.audio_packets] == sound_packets(tmp_path / "out.mkv")


def test_what_a_muxer_refuses_only_on_the_way_goes_beside_the_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trial looks at the first packets; were it wrong, the matte is not lost for it."""
    source = clip_with(tmp_path / "a.mkv", "libopus")
    monkeypatch.setattr("uhrmat.media.video.sound._accepts", lambda *_: True)
    report = deliver(source, tmp_path / "out.mov")
    assert report.audio_path == tmp_path / "out.mka"
    assert sound_packets(tmp_path / "out.mka") == sound_packets(source)
    assert tracks_of(tmp_path / "out.mov") == []
    assert any("cannot hold the sound" in note for note in report.notes)


def test_a_clip_without_sound_has_no_plan(tmp_path: Path) -> None:
    silent = encode(tmp_path / "a.mp4", [grey_frame(60, 64, 48)])
    plan = plan_sound(silent, tmp_path / "out.mov")
    assert (plan.inside, plan.aside, plan.notes) == ((), (), ())
    assert plan_sound(None, tmp_path / "out.mov") == plan


def test_a_full_disk_is_no_reason_to_leave_the_sound_out(tmp_path: Path) -> None:
    source = clip_with(tmp_path / "a.mkv", "aac")
    (tmp_path / "out.mov").mkdir()
    with pytest.raises(OutputError):
        deliver(source, tmp_path / "out.mov")
    with av.open(str(tmp_path / "b.m4a"), "w") as muxer:
        play(muxer, add_sound(muxer), 0.1)
    assert plan_sound(tmp_path / "b.m4a", tmp_path / "x.mov").inside == (0,)
