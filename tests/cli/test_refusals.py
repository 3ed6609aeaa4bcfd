"""Bad input: exit code 2 before any work, one sentence with a cure, nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import FakeMatter, Run, make_photo, make_trimap

Words = list[object]


def _two(folder: Path) -> list[Path]:
    return [make_photo(folder / "one.png"), make_photo(folder / "two.png")]


def _file(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _p(folder: Path) -> Path:
    return make_photo(folder / "photo.png")


CASES: dict[str, tuple[Callable[[Path], Words], str]] = {
    "missing photograph": (lambda d: [d / "none.png"], "does not exist"),
    "folder as photograph": (lambda d: [d], "folder"),
    "empty photograph": (lambda d: [_file(d / "empty.png", b"")], "empty"),
    "text as photograph": (lambda d: [_file(d / "text.png", b"hello")], "something else"),
    "missing trimap": (lambda d: [_p(d), "--trimap", d / "none.png"], "does not exist"),
    "empty trimap": (lambda d: [_p(d), "--trimap", _file(d / "t.png", b"")], "empty"),
    "trimap of other size": (
        lambda d: [_p(d), "--trimap", make_trimap(d / "t.png", (16, 13))],
        "is 16x13, but the photograph photo.png is 16x12. Export it at the photograph's size, or scale it with "
        "--resize-trimap.",
    ),
    "turned trimap": (lambda d: [_p(d), "--trimap", make_trimap(d / "t.png", (12, 16))], "turned by 90°"),
    "mask of other proportions": (lambda d: [_p(d), "--mask", make_trimap(d / "m.png", (30, 10))], "mask"),
    "turned mask, to be scaled": (
        lambda d: [_p(d), "--mask", make_trimap(d / "m.png", (120, 160)), "--resize-trimap"],
        "turned by 90°",
    ),
    "turned trimap, to be scaled": (
        lambda d: [_p(d), "--trimap", make_trimap(d / "t.png", (40, 50)), "--resize-trimap"],
        "turned by 90°",
    ),
    "plate of other proportions, to be scaled": (
        lambda d: [_p(d), "--plate", make_photo(d / "p.png", (30, 10)), "--resize-trimap"],
        "The plate",
    ),
    "photograph as its mask": (lambda d: [_p(d), "--mask", d / "photo.png"], "is the photograph itself"),
    "photograph as its plate": (lambda d: [_p(d), "--plate", d / "photo.png"], "is the photograph itself"),
    "folder of the photographs": (
        lambda d: [_p(d), "--trimap", make_trimap(d / "other_trimap.png").parent],
        "has no trimaps for photo.png. It must have exactly one, named photo_trimap.png",
    ),
    "one trimap for two": (lambda d: [*_two(d), "--trimap", make_trimap(d / "t.png")], "into a folder"),
    "folder without trimap": (lambda d: [_p(d), "--trimap", _file(d / "maps" / "x.txt", b"").parent], "has no trimaps"),
    "trimap and mask": (
        lambda d: [_p(d), "--trimap", make_trimap(d / "t.png"), "--mask", make_trimap(d / "m.png")],
        "Keep the trimap",
    ),
    "same names": (
        lambda d: [make_photo(d / "a.png"), make_photo(d / "a.tif"), "-o", d / "out"],
        "would be written to",
    ),
    "output is an input": (
        lambda d: [make_photo(d / "a.png"), make_photo(d / "a_alpha.png"), "--overwrite"],
        "is one of the inputs",
    ),
    "output exists": (lambda d: [_p(d), "-o", _file(d / "out" / "photo_alpha.png", b"x").parent], "--overwrite"),
    "output folder is a file": (lambda d: [_p(d), "-o", _file(d / "taken", b"x")], "output folder"),
    "unknown output": (lambda d: [_p(d), "--outputs", "alpha,depth"], "Choose from alpha"),
    "no output": (lambda d: [_p(d), "--outputs", ","], "Choose from alpha"),
    "plate and key": (lambda d: [_p(d), "--plate", make_photo(d / "p.png"), "--key", "green"], "Give one of them"),
    "plate of other proportions": (lambda d: [_p(d), "--plate", make_photo(d / "p.png", (30, 10))], "The plate"),
    "no colour": (lambda d: [_p(d), "--key", "grün"], "Give green, blue, auto or #rrggbb"),
    "prior without its hint": (lambda d: [_p(d), "--key", "auto", "--prior", "plate"], "needs a plate"),
    "hint without its prior": (lambda d: [_p(d), "--key", "auto", "--prior", "lpn-person"], "takes no key"),
    "one alpha for two": (lambda d: [*_two(d), "--alpha", make_trimap(d / "a.png")], "into a folder"),
    "unknown prior": (lambda d: [_p(d), "--prior", "nonsense"], "Choose auto"),
    "unknown background": (lambda d: [_p(d), "--background", "nosuchcolour"], "neither a colour"),
    "bad memory": (lambda d: [_p(d), "--max-memory", "much"], "8GB"),
    "less memory than the photograph takes": (lambda d: [_p(d), "--max-memory", "1MB"], "decoding it needs"),
    "too many pixels": (lambda d: [_p(d), "--max-pixels", "100"], "limit is 100"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_before_any_work(run: Run, matter: type[FakeMatter], tmp_path: Path, case: str) -> None:
    words, expected = CASES[case][0](tmp_path), CASES[case][1]
    before = sorted(tmp_path.rglob("*"))
    result = run("image", *words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ") and len(result.stderr.splitlines()) == 1
    assert expected in result.stderr
    assert not matter.calls and sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to")
def test_folder_that_takes_no_files(run: Run, photo: Path) -> None:
    result = run("image", photo, "-o", "/proc/self")
    assert result.exit_code == 2 and "Choose another output folder" in result.stderr


@pytest.mark.parametrize("words", [["--threads", "0"], ["--alpha-format", "gif"], ["--nonsense"], []])
def test_usage_errors_of_the_parser(run: Run, photo: Path, words: list[str]) -> None:
    result = run("image", *([photo, *words] if words else []))
    assert result.exit_code == 2 and "Usage" in result.stderr


def test_no_hint_at_all(matter: type[FakeMatter], photo: Path) -> None:
    from typer.testing import CliRunner

    from uhrmat.cli.app import app

    result = CliRunner().invoke(app, ["image", str(photo)])
    assert result.exit_code == 2 and "Give --trimap, or a coarse --mask" in result.stderr
