"""Every codec there and back: alpha, colour, time stamps, odd sizes, single frames."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media.video.helpers import RATE, clip_info, scenery, soft_alpha, some_frame, stamps
from uhrmat.core.errors import OutputError
from uhrmat.media.video import CODECS, ClipInfo, Codec, Content, check_alpha, open_clip, open_writer

STREAMS = [codec for codec in CODECS.values() if not codec.sequence]
WITH_ALPHA = [
    (codec.name, content, bits)
    for codec in STREAMS
    for content in ("alpha", "foreground")
    if content in codec.contents
    for bits in codec.bits
]


def write(
    path: Path, codec: Codec, info: ClipInfo, content: Content, count: int = 3, bits: int | None = None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Write `count` frames; the alphas and the colour they hold."""
    colour = scenery(info.height, info.width, "uint8" if info.bits == 8 else "uint16")
    alphas = [soft_alpha(info.height, info.width, seed) for seed in range(count)]
    with open_writer(path, codec, info, content, bits=bits) as writer:
        for index, alpha in enumerate(alphas):
            writer.write(some_frame(index, colour), alpha, colour)
    assert writer.written == count
    return alphas, colour


@pytest.mark.parametrize(("name", "content", "bits"), WITH_ALPHA)
def test_alpha_comes_back(tmp_path: Path, name: str, content: Content, bits: int) -> None:
    codec, path = CODECS[name], tmp_path / f"a{CODECS[name].suffix}"
    alphas, _ = write(path, codec, clip_info(96, 64), content, bits=bits)
    check = check_alpha(path, codec, dict(enumerate(alphas)), content)
    assert check.ok
    assert check.frames == 3
    assert check.exact if codec.lossless else check.psnr >= 45


def test_noise_for_an_alpha_comes_back_too(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((64, 96), np.float32)
    for name, content in (("h264", "alpha"), ("hevc", "alpha"), ("vp9", "alpha"), ("vp9", "foreground")):
        path = tmp_path / f"{name}{content}{CODECS[name].suffix}"
        colour = scenery(64, 96)
        with open_writer(path, name, clip_info(96, 64), content) as writer:  # type: ignore[arg-type]
            writer.write(some_frame(0, colour), noise, colour)
        check = check_alpha(path, name, {0: noise}, content)  # type: ignore[arg-type]
        assert check.psnr >= 45, (name, content, check)


def test_prores_carries_ten_bits_of_alpha(tmp_path: Path) -> None:
    ramp, colour = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64), scenery(64, 64)
    with open_writer(tmp_path / "a.mov", "prores4444", clip_info(64, 64), "foreground") as writer:
        writer.write(some_frame(0, colour), ramp, colour)
    with open_clip(tmp_path / "a.mov") as clip:
        back = next(clip.frames()).picture.alpha
    assert back is not None
    assert len(np.unique(back)) == 1024
    assert np.abs(back / 65535 - ramp).max() <= 0.51 / 1023


@pytest.mark.parametrize("name", ["prores4444", "vp9", "ffv1"])
def test_threads_do_not_change_the_bytes(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    for pixels in (0, 10**9):  # all cores, then one
        monkeypatch.setattr("uhrmat.media.video.encode.SMALL", pixels)
        path = tmp_path / f"{pixels}{CODECS[name].suffix}"
        write(path, CODECS[name], clip_info(320, 256), "foreground", 2)
        made.append(path.read_bytes())
    assert made[0] == made[1]


def test_a_wrong_alpha_is_not_ok(tmp_path: Path) -> None:
    alphas, _ = write(tmp_path / "a.mov", CODECS["prores4444"], clip_info(96, 64), "foreground")
    assert not check_alpha(tmp_path / "a.mov", "prores4444", {0: alphas[2]}, "foreground").ok
    assert not check_alpha(tmp_path / "a.mov", "prores4444", {7: alphas[0]}, "foreground").ok
    assert not check_alpha(tmp_path / "none.mov", "prores4444", {0: alphas[0]}, "foreground").ok
    assert not check_alpha(tmp_path / "a.mov", "prores4444", {0: alphas[0][:32]}, "foreground").ok


@pytest.mark.parametrize("codec", STREAMS, ids=lambda c: c.name)
@pytest.mark.parametrize("depth", [8, 16])
def test_colour_comes_back(tmp_path: Path, codec: Codec, depth: int) -> None:
    info = clip_info(96, 64, bits=depth if depth == 8 else 10)
    alphas, colour = write(tmp_path / f"a{codec.suffix}", codec, info, "composite", 1)
    with open_clip(tmp_path / f"a{codec.suffix}") as clip:
        back = next(clip.frames()).picture.pixels
    chroma_is_halved_in_8_bits = ("h264", "hevc", "vp9")
    limit = 0.0 if codec.lossless else 4.0 if codec.name in chroma_is_halved_in_8_bits else 2.0
    top = np.iinfo(colour.dtype).max
    error = np.abs(back / np.iinfo(back.dtype).max - colour / top) * 255
    assert np.percentile(error, 99) <= limit
    assert error.mean() <= limit / 4


@pytest.mark.parametrize("name", ["prores4444", "vp9", "ffv1"])
def test_foreground_keeps_its_colour_at_the_edge_and_drops_the_background(tmp_path: Path, name: str) -> None:
    colour = np.full((64, 96, 3), (200, 60, 40), np.uint8)
    colour[:, 48:] = (20, 220, 30)  # the background, to be gone
    alpha = np.zeros((64, 96), np.float32)
    alpha[:, :48] = 1
    path = tmp_path / f"a{CODECS[name].suffix}"
    with open_writer(path, name, clip_info(96, 64), "foreground") as writer:
        writer.write(some_frame(0, colour), alpha, colour)
    with open_clip(path) as clip:
        back = next(clip.frames()).picture.pixels
    unit = back / np.iinfo(back.dtype).max * 255
    assert np.abs(unit[:, :48] - (200, 60, 40)).max() <= 4
    assert unit[:, 50:, 1].max() < 110


@pytest.mark.parametrize("codec", STREAMS, ids=lambda c: c.name)
@pytest.mark.parametrize("size", [(65, 33), (97, 64)])
def test_odd_sizes_keep_their_size_and_their_alpha(tmp_path: Path, codec: Codec, size: tuple[int, int]) -> None:
    content: Content = "foreground" if codec.has_alpha else "alpha"
    path = tmp_path / f"a{codec.suffix}"
    alphas, _ = write(path, codec, clip_info(*size), content, 1)
    with open_clip(path) as clip:
        assert (clip.info.width, clip.info.height, clip.info.frames) == (*size, 1)
    assert check_alpha(path, codec, {0: alphas[0]}, content).ok


@pytest.mark.parametrize("codec", STREAMS, ids=lambda c: c.name)
def test_uneven_stamps_and_length_are_kept(tmp_path: Path, codec: Codec) -> None:
    uneven = [0, 1001, 2500, 3000, 6006, 7007]
    path = tmp_path / f"a{codec.suffix}"
    alpha, colour = soft_alpha(48, 64), scenery(48, 64)
    with open_writer(path, codec, clip_info(64, 48, variable=True), "alpha") as writer:
        for index, pts in enumerate(uneven):
            writer.write(some_frame(index, colour, pts=pts), alpha, colour)
    tolerance = Fraction(1, 1000) if path.suffix in (".mkv", ".webm") else 0
    for result, pts in zip(stamps(path), uneven, strict=True):
        assert abs(result - Fraction(pts, 30000)) <= tolerance
    with open_clip(path) as clip:
        assert clip.info.variable
        assert clip.info.duration == pytest.approx(8008 / 30000, abs=float(1 / RATE))


def test_what_players_look_for_is_in_the_header(tmp_path: Path) -> None:
    for name, content in (("hevc", "alpha"), ("vp9", "foreground"), ("prores4444", "foreground")):
        write(tmp_path / f"{name}{CODECS[name].suffix}", CODECS[name], clip_info(64, 48), content, 1)  # type: ignore[arg-type]
    with av.open(str(tmp_path / "hevc.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"
    with av.open(str(tmp_path / "vp9.webm")) as container:
        assert {k.lower(): v for k, v in container.streams.video[0].metadata.items()}["alpha_mode"] == "1"
    with av.open(str(tmp_path / "prores4444.mov")) as container:
        context = container.streams.video[0].codec_context
        assert (context.codec_tag, context.pix_fmt) == ("ap4h", "yuva444p12le")


def test_the_sides_of_a_pixel_are_carried_over(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", CODECS["h264"], clip_info(64, 48, sample_aspect=Fraction(4, 3)), "alpha", 1)
    with open_clip(tmp_path / "a.mp4") as clip:
        assert clip.info.sample_aspect == Fraction(4, 3)


def test_depths_are_chosen_upwards_and_refused_where_there_are_none() -> None:
    assert [CODECS["h264"].depth(b) for b in (8, 10, 12)] == [8, 10, 10]
    assert [CODECS["ffv1"].depth(b) for b in (8, 10, 16)] == [8, 16, 16]
    with pytest.raises(OutputError, match="no 12 bits"):
        open_writer("a.mp4", "h264", clip_info(8, 8), "alpha", bits=12)


def test_psnr_is_that_of_the_worst_frame(tmp_path: Path) -> None:
    alphas, _ = write(tmp_path / "a.mkv", CODECS["ffv1"], clip_info(64, 48), "alpha", 2)
    shifted = np.clip(alphas[1] - 0.1, 0, 1)
    both = check_alpha(tmp_path / "a.mkv", "ffv1", {0: alphas[0], 1: shifted})
    rounded = np.rint(alphas[1] * 255) / 255
    assert both.psnr == pytest.approx(-10 * math.log10(np.mean((rounded - shifted) ** 2)), abs=0.01)
    assert not both.exact
