"""Names of numbered stills: which digits count, percent signs anywhere, and patterns that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.media.video.helpers import clip_info, scenery, some_frame
from tests.media.video.test_sequences import H, W, still
from uhrmat.core.errors import InputError
from uhrmat.media.video import CODECS, check_alpha, open_clip, open_writer
from uhrmat.media.video.names import MAX_DIGITS, FrameNames, number_files
from uhrmat.media.video.stills import output_names


@pytest.mark.parametrize(
    ("pattern", "seventh"),
    [
        ("f_%04d.png", "f_0007.png"),
        ("f_%d.png", "f_7.png"),
        ("f_####.exr", "f_0007.exr"),
        ("100% done/f_%02d.png", "100% done/f_07.png"),
        ("100%/50% of 100%_%02d.png", "100%/50% of 100%_07.png"),
        ("50%%_%02d.png", "50%_07.png"),
        ("take #3_%03d.tif", "take #3_007.tif"),
        ("%s %x/%03d.png", "%s %x/007.png"),
        (f"f_%0{MAX_DIGITS}d.png", f"f_{7:020d}.png"),
    ],
)
def test_a_pattern_gives_the_files_and_reads_its_own_form_back(pattern: str, seventh: str) -> None:
    names = FrameNames.parse(Path(pattern))
    assert names is not None and names.file(7) == Path(seventh)
    assert names.expression.fullmatch(Path(seventh).name)
    again = FrameNames.parse(names.path)
    assert again == names


@pytest.mark.parametrize("name", ["f.png", "100%.png", "50%%.png", "%s.png", "a%2fb.png", "%%04d.png"])
def test_names_without_a_number_are_no_pattern(name: str) -> None:
    assert FrameNames.parse(Path("folder_%04d") / name) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("f_%04d_v%02d.png", "more than one number"),
        ("%d%d.png", "more than one number"),
        ("f_##_###.png", "more than one number"),
        ("f_%0999999999d.png", "at most 20 digits"),
        ("f_%999999999999999999999999d.png", "at most 20 digits"),
        (f"f_{'#' * 21}.png", "at most 20 digits"),
    ],
)
def test_patterns_that_cannot_be_are_refused_for_reading_and_for_writing(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        open_clip(tmp_path / name)
    with pytest.raises(InputError, match=words):
        open_writer(tmp_path / name, "png", clip_info(W, H), "alpha")


@pytest.mark.parametrize(
    ("names", "pattern", "numbers"),
    [
        (["1001_v2.png", "1002_v2.png", "1003_v2.png"], "%04d_v2.png", (1001, 1002, 1003)),
        (["shot7.0009.4k.png", "shot7.0010.4k.png"], "shot7.%04d.4k.png", (9, 10)),
        (["0100_A_v012.png", "0101_A_v013.png"], None, ()),
        (["1001_v2.png", "1001_v3.png", "1002_v2.png", "1002_v3.png"], None, ()),
        (["s1_0001.png"], "s1_%04d.png", (1,)),
        (["0042_v3.png"], "%04d_v3.png", (42,)),
        (["100%_1.png", "100%_2.png"], "100%%_%d.png", (1, 2)),
    ],
)
def test_the_digits_that_vary_are_the_number(
    tmp_path: Path, names: list[str], pattern: str | None, numbers: tuple[int, ...]
) -> None:
    for name in names:
        still(tmp_path / name)
    if pattern is None:
        with pytest.raises(InputError, match="several sequences: '#_"):
            open_clip(tmp_path)
        return
    with open_clip(tmp_path) as clip:
        assert (clip.info.pattern, clip.info.numbers) == (pattern, numbers)
        assert [path.name for path in clip.info.files] == names


def test_digits_of_versions_and_of_shots_do_not_count() -> None:
    names = ["cut_0010_v1.png", "cut_0048_v2.png", "cut_0099_v7.png"]
    assert [file.number for file in number_files(map(Path, names))] == [10, 48, 99]
    assert [file.number for file in number_files([Path("v2_0005.png"), Path("plain.png")])] == [5]


@pytest.mark.parametrize("stem", ["clip 50%", "100% %d final", "take #3"])
@pytest.mark.parametrize("folder", ["out 100%", "%04d", "a #2"])
def test_percent_signs_of_a_clip_and_a_folder_are_kept(tmp_path: Path, stem: str, folder: str) -> None:
    info, alpha = clip_info(W, H, path=tmp_path / f"{stem}.mp4"), np.ones((H, W), np.float32)
    with open_writer(tmp_path / folder, "png", info, "alpha") as writer:
        writer.write(some_frame(5, scenery(H, W)), alpha, None)
    assert [p.name for p in (tmp_path / folder).iterdir()] == [f"{stem}_000005.png"]
    assert check_alpha(writer.path, "png", writer.samples, "alpha").exact


def test_a_pattern_is_one_only_with_the_codecs_extension(tmp_path: Path) -> None:
    info = clip_info(W, H)
    assert output_names(tmp_path / "x_%03d.tiff", CODECS["tiff"], info).file(4).name == "x_004.tiff"
    assert output_names(tmp_path / "x_%03d", CODECS["png"], info).file(4) == tmp_path / "x_%03d" / "nowhere_000004.png"
    (tmp_path / "y_%03d.png").mkdir()
    assert output_names(tmp_path / "y_%03d.png", CODECS["png"], info).file(4).parent == tmp_path / "y_%03d.png"
