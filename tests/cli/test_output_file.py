"""`-o FILE`, `--format`, `--keep-metadata`, names that are too long."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import tifffile
from PIL import Image

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.regular import check_name
from uhrmat.image.outputs import OutputSpec, check_sides, for_file, names_file
from uhrmat.media import read_picture, write_rgb

from ..media.test_exif_clean import camera_exif
from .conftest import FakeMatter, Run, make_photo, make_trimap


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("file", "words", "mode"),
    [
        ("cut.png", (), "RGBA"),
        ("cut.webp", (), "RGBA"),
        ("CUT.PNG", ("--outputs", "cutout"), "RGBA"),
        ("matte.png", ("--outputs", "alpha"), "L"),
        ("over.jpg", ("--background", "white"), "RGB"),
        ("over.png", ("--background", "#204060"), "RGB"),
        ("sheet.jpeg", ("--outputs", "preview"), "RGB"),
        ("new/deep/cut.png", (), "RGBA"),
    ],
)
def test_one_photograph_into_one_file(
    run: Run, photo: Path, tmp_path: Path, file: str, words: tuple[str, ...], mode: str
) -> None:
    out = tmp_path / "out" / file
    result = run("image", photo, "-o", out, *words)
    assert result.exit_code == 0, result.output
    assert Image.open(out).mode == mode
    assert names(out.parent) == {out.name}


@pytest.mark.parametrize(
    ("file", "words"),
    [("cut.tif", ()), ("cut.tiff", ("--format", "tiff")), ("cut.exr", ()), ("a.tif", ("--outputs", "alpha"))],
)
def test_files_for_compositors(run: Run, photo: Path, tmp_path: Path, file: str, words: tuple[str, ...]) -> None:
    assert run("image", photo, "-o", tmp_path / file, *words).exit_code == 0
    if file.endswith(".exr"):
        assert OpenEXR.File(str(tmp_path / file)).header()["uhrmat:alpha"] == "premultiplied"
    else:
        alone = "alpha" in words
        assert tifffile.imread(tmp_path / file).dtype == (np.uint16 if alone else np.uint8)
        assert tifffile.imread(tmp_path / file).ndim == (2 if alone else 3)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("-o", "x.png", "--outputs", "alpha,foreground"), "can only hold one of alpha and foreground"),
        (("-o", "x.png", "--outputs", "foreground", "--background", "red"), "one of foreground and composite"),
        (("-o", "x.jpg"), "A file .jpg cannot hold the foreground. Use .png, .tif, .tiff, .exr or .webp."),
        (("-o", "x.webp", "--outputs", "alpha"), "A file .webp cannot hold the alpha"),
        (("-o", "x.png", "--format", "exr"), "--format exr does not go with a file .png"),
        (("-o", "x.tif", "--outputs", "alpha", "--alpha-format", "exr"), "--alpha-format exr does not go"),
        (("-o", "x.gif"), ".gif is none of the formats"),
        (("-o", "cut.mov"), ".mov is none of the formats"),
        (("-o", "cut.heic"), ".heic is none of the formats"),
        (("-o", "-"), "'-' is standard output, not a file or folder"),
        (("-o", "/dev/null"), "'/dev/null' is a device, not a file or folder"),
        (("-o", "x.jpg", "--background", "#ff000080"), "transparent in places, and a .jpg file has no alpha"),
        (("--format", "jpeg"), "png16"),
    ],
)
def test_what_one_file_cannot_be(
    run: Run, matter: type[FakeMatter], photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...], part: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    before = names(tmp_path)
    result = run("image", photo, *words)
    assert result.exit_code == 2 and part in " ".join(result.output.split())
    assert names(tmp_path) == before and not matter.calls


def test_several_photographs_need_a_folder(run: Run, photo: Path, tmp_path: Path) -> None:
    other = make_photo(tmp_path / "other.png")
    result = run("image", photo, other, "-o", tmp_path / "cut.png")
    assert result.exit_code == 2 and "There are 2 photographs, but" in result.output and "is one file" in result.output


def test_a_folder_that_is_called_like_a_file_is_a_folder(run: Run, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").mkdir()
    assert run("image", photo, "-o", tmp_path / "cut.png").exit_code == 0
    assert names(tmp_path / "cut.png") == {"photo_alpha.png", "photo_foreground.png"}


@pytest.mark.parametrize("name", ["shoot.v2", "2024.05.06", "out"])
def test_a_dot_alone_makes_no_file(run: Run, photo: Path, tmp_path: Path, name: str) -> None:
    assert run("image", photo, "-o", tmp_path / name).exit_code == 0
    assert (tmp_path / name).is_dir()


def test_a_file_that_exists_needs_overwrite(run: Run, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(b"mine")
    assert run("image", photo, "-o", tmp_path / "cut.png").exit_code == 2
    assert (tmp_path / "cut.png").read_bytes() == b"mine"
    assert run("image", photo, "-o", tmp_path / "cut.png", "--overwrite").exit_code == 0
    assert Image.open(tmp_path / "cut.png").mode == "RGBA"
    assert run("image", photo, "-o", photo, "--overwrite").exit_code == 2  # the photograph itself


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    ("fmt", "suffix", "bits"),
    [("png", ".png", (8, 8)), ("png16", ".png", (16, 16)), ("tiff", ".tif", (8, 16)), ("webp", ".webp", (8, 8))],
)
def test_formats_of_files_with_colour(
    run: Run, tmp_path: Path, fmt: str, suffix: str, bits: tuple[int, int], deep: bool
) -> None:
    photo = make_photo(tmp_path / "p.png")
    if deep:
        pixels = read_picture(photo).pixels.astype(np.uint16) * 257
        write_rgb(tmp_path / "p.png", pixels, read_picture(photo).info, bits=16)
    out = tmp_path / "out"
    words = ("--format", fmt, "--outputs", "foreground,cutout", "--background", "white", "--trimap")
    assert run("image", photo, *words, make_trimap(tmp_path / "t.png"), "-o", out).exit_code == 0
    assert names(out) == {f"p_{name}{suffix}" for name in ("foreground", "cutout", "composite")}
    for path in out.iterdir():
        assert read_picture(path).info.bit_depth == bits[deep]


def test_exr_of_a_photograph_is_linear(run: Run, photo: Path, tmp_path: Path) -> None:
    assert run("image", photo, "--format", "exr", "--outputs", "cutout", "-o", tmp_path / "out").exit_code == 0
    result = read_picture(tmp_path / "out" / "photo_cutout.exr")
    assert result.info.linear and result.info.bit_depth == 16


@pytest.mark.parametrize("keep", [False, True])
def test_no_file_of_a_photograph_carries_its_thumbnail(run: Run, tmp_path: Path, keep: bool) -> None:
    photo = tmp_path / "p.jpg"
    Image.open(make_photo(tmp_path / "p.png")).convert("RGB").save(photo, exif=b"Exif\0\0" + camera_exif())
    out = tmp_path / "out"
    words = ("--outputs", "alpha,foreground,cutout,preview", "--background", "white", "--report", out / "page.html")
    words += ("--trimap", make_trimap(tmp_path / "t.png", (12, 16)))  # it is turned
    assert run("image", photo, *words, *(("--keep-metadata",) if keep else ()), "-o", out).exit_code == 0
    assert len(names(out)) == 6
    for path in out.iterdir():
        data = path.read_bytes()
        assert b"MAKER NOTE" not in data and str(tmp_path).encode() not in data
        assert (b"Jane Artist" in data) == (keep and path.stem in ("p_foreground", "p_cutout", "p_composite"))
        if path.suffix == ".png":
            exif = Image.open(path).getexif()
            assert not exif.get_ifd(-1) and bool(exif.get_ifd(0x8825)) == (keep and path.stem != "p_alpha")


@pytest.mark.parametrize(
    ("photo", "words"),
    [
        ("x" * 248 + ".png", ("-o", "o")),
        ("ü" * 122 + ".png", ()),
        ("p.png", ("-o", "y" * 300)),
        ("p.png", ("-o", "o/" + "z" * 252 + ".png")),
    ],
)
def test_long_names_fail_before_the_work(
    run: Run, matter: type[FakeMatter], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: str,
    words: tuple[str, ...],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    make_photo(Path(photo))
    result = run("image", photo, *words)
    assert result.exit_code == 2 and "bytes, and this disk allows 255" in result.output, result.output
    assert names(tmp_path) == {photo} and not matter.calls


@pytest.mark.parametrize("option", ["--trimap", "--mask", "--plate", "--alpha", "--background"])
def test_long_names_of_inputs_are_inputs_that_are_not_there(run: Run, photo: Path, option: str) -> None:
    result = run("image", photo, option, "x" * 5000)
    assert result.exit_code == 2 and "Error: " not in result.output and "Errno" not in result.output


def test_a_name_may_be_as_long_as_the_disk_allows(tmp_path: Path) -> None:
    limit = os.pathconf(tmp_path, "PC_NAME_MAX")
    check_name(tmp_path / ("x" * limit))
    check_name(tmp_path / "new" / ("x" * limit) / "y")
    with pytest.raises(OutputError, match=f"has {limit + 1} bytes"):
        check_name(tmp_path / ("ü" * (limit // 2)) / "xx"[: 1 + limit % 2] / ("x" * (limit + 1)))


def test_a_format_that_is_too_small_is_refused_before_the_work() -> None:
    info = read_info_of(20000, 10)
    check_sides(OutputSpec(background="red").files(Path("p.png"), Path(), linear=False), Path("p.png"), info)
    for spec in (OutputSpec(colour_format="webp"), for_file(OutputSpec(), Path("x.webp"), None)):
        with pytest.raises(InputError, match=r"\.webp holds at most 16383 pixels a side, but p\.png is 20000x10"):
            check_sides(spec.files(Path("p.png"), Path(), linear=False), Path("p.png"), info)
    sheet = for_file(OutputSpec(), Path("x.webp"), ("preview",))
    check_sides(sheet.files(Path("p.png"), Path(), linear=False), Path("p.png"), info)


def read_info_of(width: int, height: int) -> object:
    from uhrmat.media import PictureInfo

    return PictureInfo(path=None, width=width, height=height, dtype="uint8", bit_depth=8)


def test_names_of_files_and_folders(tmp_path: Path) -> None:
    assert [names_file(tmp_path / name) for name in ("a.png", "a.TIFF", "a.jpg", "a", "a.b", "a.v12")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_a_link_to_nothing_is_an_output_that_exists(run: Run, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.png").symlink_to(tmp_path / "gone" / "cut.png")
    result = run("image", photo, "-o", tmp_path / "cut.png")
    assert result.exit_code == 2 and "exists" in result.stderr and not FakeMatter.made
    assert run("image", photo, "-o", tmp_path / "cut.png", "--overwrite").exit_code == 0
    assert (tmp_path / "cut.png").is_file() and not (tmp_path / "cut.png").is_symlink()
