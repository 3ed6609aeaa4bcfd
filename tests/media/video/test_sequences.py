"""Numbered stills in and out: names, gaps, digits, depths, and what EXR means."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.media.video.helpers import clip_info, scenery, soft_alpha, some_frame
from uhrmat.core.errors import InputError, OutputError
from uhrmat.media import Picture, read_picture, srgb_decode, write_rgb
from uhrmat.media.video import CODECS, Content, check_alpha, open_clip, open_writer

H, W = 12, 16


def still(path: Path, level: int = 100, size: tuple[int, int] = (H, W), dtype: str = "uint8") -> Path:
    picture = Picture.from_array(np.full((*size, 3), level, dtype))
    write_rgb(path, picture.pixels, picture.info)
    return path


def numbers_and_levels(source: Path) -> list[tuple[int | None, int]]:
    with open_clip(source) as clip:
        return [(f.number, int(f.picture.pixels[0, 0, 0])) for f in clip.frames()]


def test_a_folder_is_read_in_the_order_of_its_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 2, 100):
        still(tmp_path / f"f_{number}.png", number)
    (tmp_path / "notes.txt").write_text("9")
    (tmp_path / ".f_1.png").write_bytes(b"junk of an operating system")
    still(tmp_path / "cover.png")
    assert numbers_and_levels(tmp_path) == [(2, 2), (9, 9), (10, 10), (100, 100)]
    with open_clip(tmp_path, rate=Fraction(30000, 1001)) as clip:
        assert (clip.info.numbers, clip.info.pattern, clip.info.frames) == ((2, 9, 10, 100), "f_%d.png", 4)
        assert [f.time for f in clip.frames(1, 3)] == [Fraction(7 * 1001, 30000), Fraction(8 * 1001, 30000)]
        assert any("95 numbers" in note for note in clip.notes)


@pytest.mark.parametrize(
    ("pattern", "result"),
    [("a_%04d.png", [7, 8]), ("a_####.png", [7, 8]), ("a_*.png", [7, 8]), ("b%d.png", [7]), ("*v2.png", [3])],
)
def test_patterns_choose_among_sequences(tmp_path: Path, pattern: str, result: list[int]) -> None:
    for name in ("a_0007.png", "a_0008.png", "b7.png", "c_3_v2.png"):
        still(tmp_path / name)
    if pattern == "*v2.png":
        pattern = "c_%d_v2.png"
    assert [number for number, _ in numbers_and_levels(tmp_path / pattern)] == result
    with pytest.raises(InputError, match="several sequences"):
        open_clip(tmp_path)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (("f.0998.tif", "f.1000.tif"), "f.%04d.tif"),
        (("9.png", "10.png"), "%d.png"),
        (("s01e002.png", "s01e003.png"), "s01e%03d.png"),
        (("50%_01.png", "50%_02.png"), "50%%_%02d.png"),
    ],
)
def test_the_numbering_is_recognised_and_kept(tmp_path: Path, names: tuple[str, ...], pattern: str) -> None:
    (tmp_path / "in").mkdir()
    for name in names:
        still(tmp_path / "in" / name)
    with open_clip(tmp_path / "in") as clip:
        assert clip.info.pattern == pattern
        with open_writer(tmp_path / "out", "png", clip.info, "alpha") as writer:
            for frame in clip.frames():
                writer.write(frame, np.zeros((H, W), np.float32), None)
    written = sorted(p.name for p in (tmp_path / "out").iterdir())
    assert written == sorted(Path(name).stem + ".png" for name in names)


def test_a_stream_is_numbered_by_index_and_a_pattern_is_obeyed(tmp_path: Path) -> None:
    colour = scenery(H, W)
    for path, name in ((tmp_path / "o", "nowhere_000005.png"), (tmp_path / "p" / "x##.png", "x05.png")):
        with open_writer(path, "png", clip_info(W, H), "composite") as writer:
            writer.write(some_frame(5, colour), None, colour)
        folder = path if path.suffix == "" else path.parent
        assert [p.name for p in folder.iterdir()] == [name]


@pytest.mark.parametrize("content", ["alpha", "foreground"])
@pytest.mark.parametrize(
    ("name", "bits"), [("png", 8), ("png", 16), ("tiff", 8), ("tiff", 16), ("exr", 16), ("exr", 32)]
)
def test_alpha_of_stills_comes_back(tmp_path: Path, name: str, bits: int, content: Content) -> None:
    colour, alpha = scenery(H, W, "uint8" if bits == 8 else "uint16"), soft_alpha(H, W)
    with open_writer(tmp_path, name, clip_info(W, H), content, bits=bits) as writer:
        writer.write(some_frame(3, colour), alpha, colour)
    check = check_alpha(writer.path, name, writer.samples, content)
    assert check.ok
    assert check.exact == (CODECS[name].lossless or bits == 32)
    back = read_picture(writer.file(3))  # type: ignore[attr-defined]
    assert back.info.bit_depth == (16 if name == "tiff" and content == "alpha" else bits)


def test_exr_is_linear_and_premultiplied_png_straight(tmp_path: Path) -> None:
    colour, alpha = np.full((H, W, 3), 200, np.uint8), np.full((H, W), 0.5, np.float32)
    for name in ("exr", "png"):
        with open_writer(tmp_path / name, name, clip_info(W, H), "foreground") as writer:
            writer.write(some_frame(0, colour), alpha, colour)
    exr = read_picture(tmp_path / "exr" / "nowhere_000000.exr")
    png = read_picture(tmp_path / "png" / "nowhere_000000.png")
    light = float(srgb_decode(np.float32(200 / 255)))
    assert np.allclose(exr.pixels, light / 2, rtol=1e-3)
    assert exr.info.linear
    assert (png.pixels == 200).all()


def test_linear_frames_stay_linear_and_become_video(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    light = srgb_decode(scenery(H, W).astype(np.float32) / 255) * np.float32(2)
    picture = Picture.from_array(light, linear=True)
    write_rgb(tmp_path / "in" / "f.0001.exr", picture.pixels, picture.info, exr_float=True)
    with open_clip(tmp_path / "in" / "f.####.exr") as clip:
        frame = next(clip.frames())
        assert (clip.info.linear, frame.picture.pixels.dtype) == (True, np.float32)
        for name, path in (("exr", tmp_path / "out"), ("ffv1", tmp_path / "out.mkv")):
            with open_writer(path, name, clip.info, "composite") as writer:
                writer.write(frame, None, frame.picture.pixels)
    again = read_picture(tmp_path / "out" / "f.0001.exr")
    assert np.array_equal(again.pixels, light)
    with open_clip(tmp_path / "out.mkv") as clip:
        shown = next(clip.frames()).picture.pixels
    assert np.abs(shown / 65535 - frame.picture.to_float()).max() < 1e-4


def test_sixteen_bits_in_sixteen_bits_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    deep = Picture.from_array(scenery(H, W, "uint16"))
    write_rgb(tmp_path / "in" / "f1.tif", deep.pixels, deep.info)
    with open_clip(tmp_path / "in") as clip:
        assert clip.info.bits == 16
        frame = next(clip.frames())
        with open_writer(tmp_path / "out", "png", clip.info, "composite") as writer:
            writer.write(frame, None, frame.picture.pixels)
    assert np.array_equal(read_picture(tmp_path / "out" / "f1.png").pixels, deep.pixels)


def test_the_input_frames_are_never_replaced(tmp_path: Path) -> None:
    still(tmp_path / "f_1.png")
    with open_clip(tmp_path) as clip, pytest.raises(OutputError, match="replace the input"):
        open_writer(tmp_path, "png", clip.info, "alpha")


def test_what_is_no_sequence_is_refused_in_words(tmp_path: Path) -> None:
    empty, mixed, twice, sizes = (tmp_path / n for n in ("empty", "mixed", "twice", "sizes"))
    for folder in (empty, mixed, twice, sizes):
        folder.mkdir()
    still(mixed / "a1.png")
    still(mixed / "a2.tif")
    still(twice / "a1.png")
    still(twice / "a01.png")
    still(sizes / "a1.png")
    still(sizes / "a2.png", size=(H, W + 1))
    for source, words in (
        (empty, "no numbered frames"),
        (mixed, "several sequences"),
        (twice, "have one number"),
        (empty / "f_%04d.png", "No numbered frame"),
        (tmp_path / "none" / "f_%04d.png", "does not exist"),
    ):
        with pytest.raises(InputError, match=words):
            open_clip(source)
    with open_clip(sizes) as clip, pytest.raises(InputError, match="one size"):
        list(clip.frames())


def test_a_damaged_still_is_named(tmp_path: Path) -> None:
    still(tmp_path / "f1.png")
    whole = still(tmp_path / "f2.png").read_bytes()
    (tmp_path / "f2.png").write_bytes(whole[:60])
    with open_clip(tmp_path) as clip, pytest.raises(InputError, match=r"f2\.png"):
        list(clip.frames())
