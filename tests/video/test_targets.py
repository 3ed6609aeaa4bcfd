"""Where a clip's outputs go: what -o means, and that no input is replaced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.video.helpers import frames, write_frames, write_stream
from uhrmat import InputError, OutputError, UhrmatError
from uhrmat.video.plan import check_report, plan_clip
from uhrmat.video.spec import ClipSpec
from uhrmat.video.targets import destination, sound_beside

CLIP = frames(3)


@pytest.fixture
def stream(tmp_path: Path) -> ClipSpec:
    path = write_stream(tmp_path / "take 50%.mkv", CLIP)
    Image.fromarray(CLIP[0].trimap).save(tmp_path / "first.png")
    return ClipSpec(source=path, trimap=tmp_path / "first.png")


@pytest.fixture
def shot(tmp_path: Path) -> ClipSpec:
    pictures, trimaps = write_frames(tmp_path, CLIP)
    return ClipSpec(source=pictures, trimap=trimaps)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("out", "folder"),
        ("out.v2", "folder"),
        ("comp.v012", "folder"),
        ("2024.06.01", "folder"),
        ("50% done", "folder"),
        ("take #3", "folder"),
        ("there.gif", "folder"),
        ("cut.mov", "file"),
        ("cut 100%.webm", "file"),
        ("take #3.mkv", "file"),
        ("CUT.MP4", "file"),
        ("f_%04d.png", "frames"),
        ("f.####.EXR", "frames"),
    ],
)
def test_what_an_output_names(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "there.gif").mkdir()
    assert destination(tmp_path / name) == kind


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cut.gif", r"'.gif' is not written. Use .*\.mov, .*%04d.png.*\.exr"),
        ("cut.avi", "is not written"),
        ("cut.mxf", "is not written"),
        ("cut.JPG", "is not written"),
        ("cut.webp", "is not written"),
        ("cut.m4v", "is not written"),
        ("cut.png", "names one picture.*cut_%04d.png"),
        ("cut.tiff", "names one picture"),
        ("cut_0001.exr", "names one picture"),
        ("f_%04d", "cannot be written. End the name"),
        ("f_####", "cannot be written"),
        ("f_%04d.jpg", "cannot be written"),
        ("f_%04d_v%02d.png", "more than one number"),
        ("f_%0999999999d.png", "20 digits"),
    ],
)
def test_outputs_that_cannot_be_are_refused(stream: ClipSpec, tmp_path: Path, name: str, words: str) -> None:
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=words):
        plan_clip(replace(stream, output=tmp_path / name))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output": "cut.mov", "codec": "png"}, "png cannot be written to 'cut.mov'.*cut_%04d.png"),
        ({"output": "c_%03d.png", "codec": "exr"}, "exr cannot be written"),
        ({"output": "c_%03d.png", "codec": "ffv1"}, "ffv1 cannot be written"),
        ({"output": "cut.mov", "outputs": ("alpha",), "background": "white"}, "hold alpha and composite"),
    ],
)
def test_an_extension_that_is_not_the_codecs_is_refused(
    stream: ClipSpec, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UhrmatError, match=words):
        plan_clip(replace(stream, **{**changes, "output": tmp_path / changes["output"]}))


@pytest.mark.parametrize(
    ("output", "background", "contents"),
    [
        ("cut.mov", "white", ["composite"]),
        ("cut.mp4", "#203040", ["composite"]),
        ("c_%03d.png", "white", ["composite"]),
        ("cut.mov", None, ["foreground"]),
        ("cut.mp4", None, ["alpha"]),
        ("folder", "white", ["alpha", "composite"]),
        ("folder", None, ["alpha"]),
    ],
)
def test_a_background_and_one_file_make_the_composite(
    stream: ClipSpec, tmp_path: Path, output: str, background: str | None, contents: list[str]
) -> None:
    plan = plan_clip(replace(stream, output=tmp_path / output, background=background))
    assert [target.content for target in plan.targets] == contents


def test_only_frames_that_would_be_written_are_in_the_way(shot: ClipSpec, tmp_path: Path) -> None:
    beside = replace(shot, source=shot.source / "shot_%04d.png", output=shot.source / "matte.%04d.png")
    assert plan_clip(beside).targets[0].path == beside.output
    (shot.source / "matte.1999.png").touch()
    assert plan_clip(beside)
    (shot.source / "matte.1002.png").touch()
    with pytest.raises(OutputError, match=r"matte\.1002\.png exists\. Replace it with --overwrite"):
        plan_clip(beside)
    assert plan_clip(beside, overwrite=True) and plan_clip(replace(beside, start=2))


@pytest.mark.parametrize("source", ["", "*.png", "*_%04d.png"])
def test_outputs_that_would_be_read_as_frames_are_refused(shot: ClipSpec, source: str) -> None:
    spec = replace(shot, source=shot.source / source, output=shot.source / "matte_%04d.png")
    with pytest.raises(OutputError, match="would be taken for a frame of the input"):
        plan_clip(spec)


@pytest.mark.parametrize("which", ["frame", "trimap", "link", "hard link"])
def test_an_output_over_an_input_is_refused_as_such(shot: ClipSpec, tmp_path: Path, which: str) -> None:
    assert shot.trimap is not None
    names = {"frame": shot.source / "shot_%04d.png", "trimap": shot.trimap / "trimap_%04d.png"}
    output = names.get(which, tmp_path / "out" / "x_%04d.png")
    if which not in names:
        (tmp_path / "out").mkdir()
        made = tmp_path / "out" / "x_1002.png"
        (made.symlink_to if which == "link" else made.hardlink_to)(shot.source / "shot_1002.png")
    with pytest.raises(OutputError, match="would replace"):
        plan_clip(replace(shot, output=output), overwrite=True)


def test_a_background_is_an_input_too(stream: ClipSpec, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "b_0001.png")
    spec = replace(stream, output=tmp_path / "b_%04d.png", background=str(tmp_path / "b_0001.png"))
    with pytest.raises(OutputError, match=r"b_0001\.png would replace an input"):
        plan_clip(spec, overwrite=True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("out", "out.mka"),
        ("100% out", "100% out.mka"),
        ("f/cut_%04d.png", "cut.mka"),
        ("f/50%_####.exr", "50%.mka"),
        ("f/%04d.png", "f.mka"),
    ],
)
def test_the_sound_beside_stills(tmp_path: Path, path: str, name: str) -> None:
    assert sound_beside(tmp_path / path).name == name


def test_apart_takes_a_folder_as_it_is_named(stream: ClipSpec, tmp_path: Path) -> None:
    spec = replace(stream, output=tmp_path / "x_%04d.png", codec="png", outputs=("alpha",), apart=True)
    assert plan_clip(spec).targets[0].path == tmp_path / "x_%04d.png" / "take 50%_alpha"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("take 50%.mkv", "would replace an input"),
        ("first.json", "would replace an input"),
        ("cut.mov", "name of an output"),
    ],
)
def test_a_report_replaces_no_input_and_no_output(stream: ClipSpec, tmp_path: Path, name: str, words: str) -> None:
    plan = plan_clip(replace(stream, output=tmp_path / "cut.mov"))
    check_report(tmp_path / "report.json", plan)
    with pytest.raises(OutputError, match=words):
        check_report(tmp_path / name, plan)


@pytest.mark.parametrize("name", ["z" * 252 + ".mov", "z" * 300, "ü" * 130 + "/x.mov", "f_%04d" + "y" * 250 + ".png"])
def test_a_name_that_is_too_long_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="bytes, and this disk allows"):
        destination(tmp_path / name)


@pytest.mark.parametrize("name", ["-", "/dev/null"])
def test_a_clip_goes_into_files_only(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="not a file or folder to write to"):
        destination(Path(name))
