"""Hints of a clip: whose number a file has, and what is no hint."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.video.helpers import frames, write_stream
from uhrmat import InputError
from uhrmat.hints.trimap import default_radius
from uhrmat.media.video import ClipInfo, open_clip
from uhrmat.video.hints import ClipHints, HintReader, find_hints, key_hints, with_radius


def info(*numbers: int, count: int = 4) -> ClipInfo:
    kind: Any = "sequence" if numbers else "stream"
    return ClipInfo(
        path=Path("clip"),
        kind=kind,
        width=8,
        height=6,
        rate=Fraction(25),
        time_base=Fraction(1, 25),
        frames=len(numbers) or count,
        numbers=numbers,
    )


def masks(folder: Path, names: Sequence[str]) -> Path:
    folder.mkdir()
    for name in names:
        Image.new("L", (8, 6), 255).save(folder / f"{name}.png")
    return folder


def found(clip: ClipInfo, folder: Path, start: int = 0) -> ClipHints:
    return find_hints(clip, start, clip.frames or 0, mask=folder)


@pytest.mark.parametrize(
    ("clip", "names", "keys", "note"),
    [
        (info(), ["m0", "m1", "m2", "m3"], {0: "m0", 1: "m1", 2: "m2", 3: "m3"}, ""),
        (info(), ["m1", "m2", "m3", "m4"], {0: "m1", 1: "m2", 2: "m3", 3: "m4"}, "numbered from 1, the frames from 0"),
        (info(), ["m1", "m4"], {0: "m1", 3: "m4"}, "numbered from 1"),
        (info(), ["m0", "m9"], {0: "m0"}, "1 of the masks have the number of no frame, first m9.png"),
        (info(1001, 1002, 1003), ["m1001", "m1003"], {0: "m1001", 2: "m1003"}, ""),
        (info(1001, 1002, 1003), ["1", "2", "3"], {0: "1", 1: "2", 2: "3"}, "numbered from 1, the frames from 1001"),
        (info(1, 2, 3), ["m0", "m1", "m2"], {0: "m0", 1: "m1", 2: "m2"}, "numbered from 0, the frames from 1"),
        (info(), ["0000_v2", "0003_v2"], {0: "0000_v2", 3: "0003_v2"}, ""),
        (info(), ["k_0000_v1", "k_0002_v3"], {0: "k_0000_v1", 2: "k_0002_v3"}, ""),
    ],
)
def test_numbers_of_hints(tmp_path: Path, clip: ClipInfo, names: list[str], keys: dict[int, str], note: str) -> None:
    hints = found(clip, masks(tmp_path / "m", names))
    assert {at: path.stem for at, path in hints.keys.items()} == keys
    assert hints.propagated == (len(keys) < (clip.frames or 0))
    assert any(note in text for text in hints.notes) if note else not hints.notes


@pytest.mark.parametrize(
    ("clip", "names", "words"),
    [
        (info(), ["m1", "m2"], "the first is number 1, and the frames count from 0.*number from 0"),
        (info(), ["m2", "m3"], "the first is for frame 2.*--start 2"),
        (info(), ["m8"], "its numbers begin with 8"),
        (info(), ["cover"], "holds no numbered picture"),
        (info(1001, 1002, 1003), ["m1", "m2"], "number 1001: its numbers begin with 1. Number them like"),
        (info(1001, 1002, 1003), ["m1002"], "for frame 1002.*--start 1"),
        (info(), ["a0", "b0"], "are for one frame"),
    ],
)
def test_hints_that_lack_the_first_frame(tmp_path: Path, clip: ClipInfo, names: list[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        found(clip, masks(tmp_path / "m", names))


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".png"])
def test_a_clip_as_a_plate_is_refused_at_once(tmp_path: Path, suffix: str) -> None:
    path = write_stream(tmp_path / "m.mkv", frames(1)).rename(tmp_path / f"m{suffix}")
    with pytest.raises(InputError, match=r"The plate .* is a clip, and must be a picture"):
        find_hints(info(), 0, 4, plate=path)


@pytest.mark.parametrize("kind", ["mask", "trimap", "alpha"])
def test_a_pattern_is_read_like_a_folder(tmp_path: Path, kind: str) -> None:
    folder = masks(tmp_path / "m", ["m_0000", "m_0001", "m_0002", "m_0003", "other_0001"])
    for pattern in ("m_%04d.png", "m_####.png", "m_*.png"):
        hints = find_hints(info(), 0, 4, **{kind: folder / pattern})  # type: ignore[arg-type]
        assert hints.kind == kind and [path.stem for path in hints.keys.values()] == [f"m_000{n}" for n in range(4)]
        assert not hints.propagated and hints.given == {kind}


def test_an_alpha_of_one_frame_is_propagated_like_a_mask(tmp_path: Path) -> None:
    folder = masks(tmp_path / "m", ["m0"])
    hints = find_hints(info(), 0, 4, alpha=folder / "m0.png")
    assert hints.keys == {0: folder / "m0.png"} and hints.propagated and hints.given == {"mask"}


@pytest.mark.parametrize("second", ["mask", "trimap", "plate", "key"])
def test_an_alpha_goes_with_no_other_hint(tmp_path: Path, second: str) -> None:
    path = masks(tmp_path / "m", ["m0"]) / "m0.png"
    with pytest.raises(InputError, match="were given"):
        find_hints(info(), 0, 4, alpha=path, **{second: "green" if second == "key" else path})  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "words"), [(b"", "empty"), (b"\x89PNG\r\n\x1a\n", "damaged"), (b"?", "something")])
def test_a_hint_that_is_no_picture_is_refused_at_once(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(InputError, match=words):
        find_hints(info(), 0, 4, mask=tmp_path / "m.png")
    with pytest.raises(InputError, match="does not exist"):
        find_hints(info(), 0, 4, plate=tmp_path / "nowhere.png")


def test_the_first_frame_needs_no_hint_of_its_own(tmp_path: Path) -> None:
    folder = masks(tmp_path / "m", ["m2", "m3"])
    hints = find_hints(info(), 0, 4, mask=folder, first_needed=False)
    assert sorted(hints.keys) == [2, 3] and hints.propagated
    assert hints.notes == ("the first mask, m2.png, is for frame 2: propagated backward to frame 0",)
    with pytest.raises(InputError, match="the first is for frame 2"):
        find_hints(info(), 0, 2, mask=folder, first_needed=False)


@pytest.mark.parametrize(("radius", "pixels", "why"), [(5, 5, ""), (None, None, ""), ("auto", 2, ", because its edge")])
def test_the_radius_of_masks_is_chosen_once_for_a_clip(
    tmp_path: Path, radius: Any, pixels: int | None, why: str
) -> None:
    clip = frames(2)
    source, folder = write_stream(tmp_path / "clip.mkv", clip), tmp_path / "m"
    folder.mkdir()
    for frame in clip:
        Image.fromarray(((frame.alpha > 0.5) * 255).astype("uint8")).save(folder / f"m{frame.number}.png")
    with open_clip(source) as reader:
        hints = find_hints(reader.info, 0, 2, mask=folder, radius=radius)
        chosen = with_radius(hints, reader)
    assert chosen.radius == pixels
    assert len(chosen.notes) == bool(why) and all(f"radius of {pixels} pixels{why}" in note for note in chosen.notes)
    size = clip[0].alpha.shape
    pixels = pixels or default_radius(*size)
    assert f"radius of {pixels} pixels" in HintReader(chosen, size, tmp_path)(1).choices[0]
    assert f"radius of {pixels} pixels" in key_hints(chosen, 0, size).choices[0]


def test_a_radius_goes_with_masks_only(tmp_path: Path) -> None:
    path = masks(tmp_path / "m", ["m0"]) / "m0.png"
    with pytest.raises(InputError, match="The radius 3 was given without a mask"):
        find_hints(info(), 0, 4, trimap=path, radius=3)
