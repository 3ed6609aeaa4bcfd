"""What a joined file says of itself: codec tag, profile, layout, alpha, pixel aspect, title, time code, chapters."""

from __future__ import annotations

import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenEXR
import pytest

from tests.media.video.helpers import clip_info, encode, grey_frame, scenery, soft_alpha, some_frame
from uhrmat.media.video import CODECS, ClipInfo, Content, check_alpha, join_segments, open_clip, open_writer
from uhrmat.media.video.labels import Chapter, Labels, advance_timecode
from uhrmat.media.video.stills import pixel_aspect_note

WIDE = Fraction(4, 3)
DELIVERED = [  # codec, suffix, tag, profile, layout with and without alpha
    ("prores4444", ".mov", "ap4h", "4444", "yuva444p12le", "yuv444p12le"),
    ("prores4444", ".mkv", "ap4h", "4444", "yuva444p12le", "yuv444p12le"),
    ("vp9", ".webm", "", "Profile 0", "yuv420p", "yuv420p"),
    ("vp9", ".mkv", "", "Profile 0", "yuv420p", "yuv420p"),
    ("ffv1", ".mkv", "", None, "bgra", "bgr0"),
    ("h264", ".mp4", "avc1", "High", "", "yuv420p"),
    ("h264", ".mov", "avc1", "High", "", "yuv420p"),
    ("h264", ".mkv", "", "High", "", "yuv420p"),
    ("hevc", ".mp4", "hvc1", "Main", "", "yuv420p"),
    ("hevc", ".mov", "hvc1", "Main", "", "yuv420p"),
    ("hevc", ".mkv", "", "Main", "", "yuv420p"),
]
EVERY = [(name, suffix) for name, suffix, *_ in DELIVERED]


def deliver(folder: Path, name: str, suffix: str, info: ClipInfo, content: Content, frames: int = 3) -> Path:
    """Two segments joined into one file."""
    parts, colour = [], scenery(info.height, info.width)
    for first, last in ((0, 2), (2, frames)):
        parts.append(folder / f"part{first}{CODECS[name].suffix}")
        with open_writer(parts[-1], name, info, content) as writer:
            for index in range(first, last):
                writer.write(some_frame(index, colour), soft_alpha(info.height, info.width, index), colour)
    join_segments(parts, folder / f"out{suffix}", info, name)
    return folder / f"out{suffix}"


def test_every_container_of_every_codec_is_in_the_table() -> None:
    assert [(c.name, suffix) for c in CODECS.values() if not c.sequence for suffix in c.suffixes] == EVERY


@pytest.mark.parametrize(("name", "suffix", "tag", "profile", "with_alpha", "without"), DELIVERED)
def test_the_delivered_file_is_what_its_codec_promises(
    tmp_path: Path, name: str, suffix: str, tag: str, profile: str | None, with_alpha: str, without: str
) -> None:
    info = clip_info(64, 48)
    for content, layout in (("foreground", with_alpha), ("composite", without)):
        if not layout:
            continue
        path = deliver(tmp_path, name, suffix, info, content)  # type: ignore[arg-type]
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            assert context.codec_tag.strip("\0") == tag
            assert (context.profile, context.pix_fmt) == (profile, layout)
        if content == "foreground":
            assert check_alpha(path, name, {i: soft_alpha(48, 64, i) for i in range(3)}, "foreground").ok
            with open_clip(path) as clip:
                assert clip.info.has_alpha or name == "vp9"  # there the alpha lies beside the picture
                assert next(clip.frames()).picture.alpha is not None


@pytest.mark.parametrize("aspect", [WIDE, Fraction(10, 11), Fraction(1)])
@pytest.mark.parametrize(("name", "suffix"), EVERY)
def test_the_pixel_aspect_is_kept_by_every_container(tmp_path: Path, name: str, suffix: str, aspect: Fraction) -> None:
    info = clip_info(66, 48, sample_aspect=aspect)
    path = deliver(tmp_path, name, suffix, info, "alpha")
    with open_clip(path) as clip:
        result = clip.info.sample_aspect
        assert clip.info.labels == Labels()
        assert [f.index for f in clip.frames()] == [0, 1, 2]
    if suffix == ".webm":  # counts whole pixels
        assert abs(result * 66 - aspect * 66) <= Fraction(1, 2)
    else:
        assert result == aspect


@pytest.mark.parametrize("name", ["ffv1", "prores4444"])
def test_a_matroska_header_with_a_pixel_aspect_keeps_its_checksum(tmp_path: Path, name: str) -> None:
    data = deliver(tmp_path, name, ".mkv", clip_info(66, 48, sample_aspect=WIDE), "alpha").read_bytes()
    at = data.rindex(b"\x16\x54\xae\x6b", 0, data.index(b"\x1f\x43\xb6\x75")) + 4  # Tracks, before the first Cluster
    width = 9 - data[at].bit_length()
    length = int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1)
    body = data[at + width : at + width + length]
    assert body[:2] == b"\xbf\x84"
    assert zlib.crc32(body[6:]) == int.from_bytes(body[2:6], "little")
    assert b"\x54\xb2\x81\x03" in body  # DisplayUnit: the ratio of the sides
    assert b"  " not in body  # the room that was kept is used or void


@pytest.mark.parametrize("content", ["alpha", "foreground", "composite"])
def test_exr_frames_carry_the_pixel_aspect_and_give_it_back(tmp_path: Path, content: Content) -> None:
    info, colour = clip_info(66, 48, sample_aspect=WIDE), scenery(48, 66)
    with open_writer(tmp_path / "f_%04d.exr", "exr", info, content) as writer:
        for index in range(2):
            writer.write(some_frame(index, colour), soft_alpha(48, 66), colour)
    with OpenEXR.File(str(tmp_path / "f_0001.exr"), header_only=True) as file:
        assert file.header()["pixelAspectRatio"] == pytest.approx(4 / 3)
    with open_clip(tmp_path / "f_%04d.exr") as clip:
        assert clip.info.sample_aspect == WIDE
        frame = next(clip.frames())
        assert (frame.picture.width, frame.picture.height) == (66, 48)
        with open_writer(tmp_path / "part.mov", "prores4444", clip.info, "alpha") as writer:
            writer.write(frame, soft_alpha(48, 66), None)
    join_segments([tmp_path / "part.mov"], tmp_path / "out.mov", clip.info, "prores4444")
    with open_clip(tmp_path / "out.mov") as clip:
        assert clip.info.sample_aspect == WIDE


def test_what_stills_cannot_say_is_said_in_a_note() -> None:
    wide, square = clip_info(66, 48, sample_aspect=WIDE), clip_info(66, 48)
    for name in ("png", "tiff"):
        (note,) = pixel_aspect_note(CODECS[name], wide)
        assert "4:3" in note and name.upper() in note
        assert pixel_aspect_note(CODECS[name], square) == []
    assert pixel_aspect_note(CODECS["exr"], wide) == []


LABELS = Labels(
    "Mermaids",
    "10:00:00:00",
    (Chapter(Fraction(0), Fraction(1, 20), "in"), Chapter(Fraction(1, 20), Fraction(1), "out")),
)


@pytest.mark.parametrize(("name", "suffix"), EVERY)
def test_title_time_code_and_chapters_are_carried(tmp_path: Path, name: str, suffix: str) -> None:
    info = clip_info(64, 48, rate=Fraction(24), time_base=Fraction(1, 30000), labels=LABELS)
    with open_clip(deliver(tmp_path, name, suffix, info, "alpha")) as clip:
        result = clip.info.labels
        assert clip.info.frames == 3
    assert (result.title, result.timecode) == ("Mermaids", "10:00:00:00")
    assert [c.title for c in result.chapters] == ["in", "out"]
    assert result.chapters[0].end == pytest.approx(0.05, abs=0.001)


def test_a_part_begins_with_its_own_time_code_and_chapter() -> None:
    labels = Labels(
        "a", "00:59:59:23", (Chapter(Fraction(0), Fraction(2), "x"), Chapter(Fraction(2), Fraction(9), "y"))
    )
    part = labels.shifted(Fraction(13, 6), Fraction(3), Fraction(0), Fraction(24))
    assert part.timecode == "01:00:02:03"
    assert part.chapters == (Chapter(Fraction(0), Fraction(5, 6), "y"),)
    early = labels.shifted(Fraction(-1, 4), Fraction(3), Fraction(0), Fraction(24))  # sound before the picture
    assert early.timecode == "00:59:59:17"
    assert early.chapters[0].start == Fraction(1, 4)


@pytest.mark.parametrize(
    ("code", "rate", "frames", "wanted"),
    [
        ("01:00:00:00", Fraction(25), 26, "01:00:01:01"),
        ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
        ("00:00:59;29", Fraction(30000, 1001), 1, "00:01:00;02"),
        ("00:09:59;29", Fraction(30000, 1001), 1, "00:10:00;00"),
        ("00:00:00;00", Fraction(30000, 1001), 107892, "01:00:00;00"),
        ("00:00:59;59", Fraction(60000, 1001), 1, "00:01:00;04"),
        ("00:01:00;02", Fraction(30000, 1001), -1, "00:00:59;29"),
        ("00:00:59:29", Fraction(30000, 1001), 1, "00:01:00:00"),
        ("00:00:00;00", Fraction(25), 1, ""),
        ("00:00:00:30", Fraction(25), 1, ""),
        ("soon", Fraction(25), 1, ""),
    ],
)
def test_time_codes_count_as_smpte_does(code: str, rate: Fraction, frames: int, wanted: str) -> None:
    assert advance_timecode(code, rate, frames) == wanted


def test_a_source_says_its_labels(tmp_path: Path) -> None:
    frames = [grey_frame(60 + i, 64, 48) for i in range(4)]
    with av.open(str(tmp_path / "a.mov"), "w") as muxer:
        stream = muxer.add_stream("mpeg4", rate=24)
        stream.width, stream.height = 64, 48
        muxer.metadata.update({"title": "Reel", "location": "+52.5+13.4/"})
        stream.metadata["timecode"] = "01:02:03:04"
        muxer.set_chapters([
            {"id": 1, "start": 0, "end": 2, "time_base": Fraction(1, 24), "metadata": {"title": "one"}},
        ])  # fmt: skip
        for index, frame in enumerate(frames):
            frame.pts, frame.time_base = index, Fraction(1, 24)
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
    with open_clip(tmp_path / "a.mov") as clip:
        labels = clip.info.labels
    assert (labels.title, labels.timecode) == ("Reel", "01:02:03:04")
    assert [(c.start, c.title) for c in labels.chapters] == [(0, "one")]
    plain = encode(tmp_path / "b.mp4", frames)
    with open_clip(plain) as clip:
        assert clip.info.labels == Labels()
        assert np.array_equal([f.index for f in clip.frames()], range(4))
