"""A clip as the hints of another clip: which frame belongs to which, and the values of its samples."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.video.helpers import HEIGHT, WIDTH, frames, pipeline, write_stream
from uhrmat import InputError
from uhrmat.media.video import open_clip
from uhrmat.media.video.types import ClipInfo
from uhrmat.video.hint_clip import HintFrames, match_hint_clip
from uhrmat.video.hints import HintReader, find_hints, key_hints
from uhrmat.video.iterate import iterate_clip

SIZE = (12, 16)


def clip_info(count: int, rate: Fraction = Fraction(25), size: tuple[int, int] = SIZE, **changes: Any) -> ClipInfo:
    fields = {"path": Path("clip.mkv"), "kind": "stream", "time_base": 1 / rate}
    return ClipInfo(**{**fields, "height": size[0], "width": size[1], "rate": rate, "frames": count, **changes})


def levels(count: int, size: tuple[int, int] = SIZE) -> list[np.ndarray]:
    """Black on the left, white on the right, and the frame's number in the middle as a level of 255."""
    rows = []
    for number in range(count):
        row = np.zeros(size, np.uint8)
        row[:, size[1] // 2 :] = 255
        row[:, size[1] // 2 - 1] = 6 * number
        rows.append(row)
    return rows


def write_hints(
    path: Path, rows: list[np.ndarray], codec: str = "ffv1", pixel_format: str = "gray", rate: int = 25,
    full: bool = True, gop: int = 4,
) -> Path:  # fmt: skip
    """A clip with exactly these code values in its luma, or in all channels of RGB, or in the alpha."""
    import av

    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options={"g": str(gop)})
        stream.height, stream.width = rows[0].shape
        stream.pix_fmt = pixel_format
        stream.codec_context.color_range = 2 if full else 1
        for row in rows:
            if pixel_format == "bgra":
                colours = np.full((*row.shape, 3), (200, 30, 90), np.uint8)
                frame = av.VideoFrame.from_ndarray(np.dstack([colours, row]), "bgra")
            elif pixel_format == "gray16le":
                frame = av.VideoFrame.from_ndarray(row.astype(np.uint16) * 257, "gray16le")
            elif pixel_format == "yuv420p":
                neutral = np.full((row.shape[0] // 2, row.shape[1]), 128, np.uint8)
                frame = av.VideoFrame.from_ndarray(np.vstack([row, neutral]), "yuv420p")
            else:
                frame = av.VideoFrame.from_ndarray(row, "gray")
            frame.color_range = 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(
    ("pixel_format", "full"),
    [("gray", True), ("gray16le", True), ("yuv420p", True), ("yuv420p", False), ("bgra", True)],
)
def test_samples_are_read_as_data_in_the_range_of_the_codes(tmp_path: Path, pixel_format: str, full: bool) -> None:
    rows = levels(3)
    codes = rows if full else [np.rint(16 + row * (219 / 255)).astype(np.uint8) for row in rows]
    path = write_hints(tmp_path / "m.mkv", codes, pixel_format=pixel_format, full=full)
    clip = match_hint_clip(path, "alpha", clip_info(3), 0, 3)
    assert clip.alpha == (pixel_format == "bgra")
    read = HintFrames(clip, SIZE)
    for number, row in enumerate(rows):
        values = read(number)
        assert values.dtype == np.float32 and values.min() == 0.0 and values.max() == 1.0
        expected = row / np.float32(255) if full else (codes[number] - np.float32(16)) / np.float32(219)
        np.testing.assert_allclose(values, expected, atol=1e-6)


def test_an_opaque_alpha_channel_gives_way_to_the_grey(tmp_path: Path) -> None:
    import av

    path = tmp_path / "m.mkv"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "bgra"
        for row in levels(2):
            pixels = np.dstack([row, row, row, np.full_like(row, 255)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "bgra")))
        container.mux(stream.encode(None))
    clip = match_hint_clip(path, "alpha", clip_info(2), 0, 2)
    assert not clip.alpha and any("is opaque" in note for note in clip.notes)
    assert HintFrames(clip, SIZE)(1)[0, SIZE[1] // 2 - 1] == np.float32(6 / 255)


def test_a_coloured_opaque_clip_is_refused(tmp_path: Path) -> None:
    path = write_stream(tmp_path / "m.mkv", frames(1))
    with pytest.raises(InputError, match=r"The mask clip '.*m.mkv' is coloured"):
        match_hint_clip(path, "mask", clip_info(1, size=(HEIGHT, WIDTH)), 0, 1)


@pytest.mark.parametrize(
    ("count", "rate", "info", "span", "expected", "note"),
    [
        (6, 25, clip_info(6), (2, 5), {2: 2, 3: 3, 4: 4}, ""),
        (6, 30, clip_info(6), (0, 6), {n: n for n in range(6)}, ""),  # as many frames: by number, whatever the rates
        (3, 25, clip_info(9), (4, 7), {4: 0, 5: 1, 6: 2}, "as many as are matted"),
        (6, 25, clip_info(4), (0, 4), {n: n for n in range(4)}, "the last 2 are not used"),
        (3, 25, clip_info(5), (0, 5), {0: 0, 1: 1, 2: 2}, "ends at frame 2 of the clip"),
        (12, 50, clip_info(5), (0, 5), {0: 0, 1: 2, 2: 4, 3: 6, 4: 8}, "matched by time"),
        (3, 25, clip_info(5, Fraction(50)), (0, 5), {0: 0, 1: 0, 2: 1, 3: 1, 4: 2}, "matched by time"),
        (4, 25, clip_info(3, numbers=(7, 8, 10), kind="sequence"), (0, 3), {0: 0, 1: 1, 2: 3}, ""),
        (5, 25, clip_info(3, numbers=(7, 8, 10), kind="sequence"), (0, 2), {0: 0, 1: 1}, "the last 2 are not used"),
    ],
)
def test_which_frame_of_the_hint_clip_belongs_to_which(
    tmp_path: Path, count: int, rate: int, info: ClipInfo, span: tuple[int, int], expected: dict[int, int], note: str
) -> None:
    clip = match_hint_clip(write_hints(tmp_path / "m.mkv", levels(count), rate=rate), "mask", info, *span)
    assert clip.frames == expected
    assert any(note in text for text in clip.notes) if note else not clip.notes


def test_a_hint_clip_that_ends_too_early_or_has_other_proportions_is_refused(tmp_path: Path) -> None:
    path = write_hints(tmp_path / "m.mkv", levels(3))
    with pytest.raises(InputError, match="ends after 3 frames, but the first to be matted is 4"):
        match_hint_clip(path, "mask", clip_info(9), 4, 9)
    with pytest.raises(InputError, match=r"is 16x12, but the clip .clip\.mkv. is 20x12"):
        match_hint_clip(path, "alpha", clip_info(3, size=(12, 20)), 0, 3)


def test_seeking_and_reading_on_give_the_same_values(tmp_path: Path) -> None:
    path = write_hints(tmp_path / "m.mkv", levels(40), codec="libx264", pixel_format="yuv420p", gop=12)
    clip = match_hint_clip(path, "alpha", clip_info(40), 0, 40)
    on = HintFrames(clip, SIZE)
    whole = [on(n).copy() for n in range(40)]
    assert len({whole[number].tobytes() for number in (3, 17, 39)}) == 3
    for number in (39, 17, 18, 3, 3, 38):
        np.testing.assert_array_equal(HintFrames(clip, SIZE)(number), whole[number])
        np.testing.assert_array_equal(on(number), whole[number])


@pytest.mark.parametrize("kind", ["mask", "trimap", "alpha"])
def test_hints_of_half_the_size_are_brought_to_the_frames(tmp_path: Path, kind: str) -> None:
    path = write_hints(tmp_path / "m.mkv", levels(2))
    size = (24, 32)
    info = clip_info(2, size=size)
    hints = find_hints(info, 0, 2, **{kind: path})  # type: ignore[arg-type]
    given = HintReader(hints, size, tmp_path)(1)
    array = getattr(given, kind)
    assert array.shape == (SIZE if kind == "alpha" else size)
    assert array[0, 0] == 0 and array[0, -1] == (255 if kind == "trimap" else 1)
    assert any("is scaled to 32x24" in note for note in hints.notes) == (kind != "alpha")
    assert not given.warnings and hints.files() == [path]


def test_a_short_alpha_clip_is_propagated_from_its_last_frame(tmp_path: Path) -> None:
    hints = find_hints(clip_info(4), 0, 4, alpha=write_hints(tmp_path / "m.mkv", levels(2)))
    assert hints.propagated and set(hints.keys) == {0, 1}
    key = key_hints(hints, 1, SIZE)
    assert key.mask is not None and key.trimap is not None
    assert key.trimap[0, 0] == 0 and key.trimap[0, -1] == 255 and key.trimap[0, SIZE[1] // 2] == 128
    own = HintReader(hints, SIZE, tmp_path)(1)  # a frame with an alpha of its own takes that, not what was propagated
    assert own.alpha is not None and own.alpha[0, SIZE[1] // 2 - 1] == np.float32(6 / 255)


def test_frames_of_a_reader_and_their_times(tmp_path: Path) -> None:
    with open_clip(write_hints(tmp_path / "m.mkv", levels(4), rate=24)) as reader:
        assert [reader.time(n) for n in range(4)] == [Fraction(n, 24) for n in range(4)]  # type: ignore[union-attr]


def test_an_alpha_clip_is_refined_frame_by_frame(tmp_path: Path) -> None:
    clip = frames(3)
    source = write_stream(tmp_path / "clip.mkv", clip)
    matte = write_hints(tmp_path / "m.mkv", [np.rint(255 * frame.alpha).astype(np.uint8) for frame in clip])
    results = list(iterate_clip(pipeline("bilinear"), source, {"alpha": matte}, foreground=False))
    for frame, result in zip(clip, results, strict=True):
        assert float(np.abs(result.alpha - frame.alpha).mean()) < 0.03
    shifted = [result.alpha for result in iterate_clip(
        pipeline("bilinear"), source, {"alpha": matte}, start=1, stop=3, foreground=False, temporal=False
    )]  # fmt: skip
    assert float(np.abs(shifted[0] - clip[1].alpha).mean()) < 0.03
