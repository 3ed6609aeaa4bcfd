"""`uhrmat trimap` from words to a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from .conftest import Run


@pytest.fixture
def mask(tmp_path: Path) -> Path:
    """200 × 100 pixels, the right half foreground."""
    values = np.zeros((100, 200), np.uint8)
    values[:, 100:] = 255
    Image.fromarray(values).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def unknown_columns(path: Path) -> tuple[int, int]:
    """The first and the last column of the unknown band; the rest is exactly known, everywhere."""
    trimap = np.asarray(Image.open(path))
    assert set(np.unique(trimap)) == {0, 128, 255} and (trimap == trimap[0]).all()
    columns = np.flatnonzero(trimap[0] == 128)
    return int(columns[0]), int(columns[-1])


def test_erode_and_dilate(run: Run, mask: Path) -> None:
    target = mask.with_name("t.png")
    assert run("trimap", mask, "-o", target, "--erode", 5, "--dilate", 20).exit_code == 0
    assert unknown_columns(target) == (80, 104)


def test_radius_is_both(run: Run, mask: Path) -> None:
    target = mask.with_name("t.png")
    assert run("trimap", mask, "-o", target, "--radius", 7).exit_code == 0
    assert unknown_columns(target) == (93, 106)


def test_default_radius_is_told(run: Run, mask: Path) -> None:
    result = run("trimap", mask, "-o", mask.with_name("t.png"))
    first, last = unknown_columns(mask.with_name("t.png"))
    assert result.exit_code == 0 and f"{100 - first} pixels inside" in result.stdout
    assert "chosen by the picture's size" in result.stdout and last - first > 2


def test_tiff_reads_back_as_the_same_trimap(run: Run, mask: Path) -> None:
    from uhrmat.hints.files import read_trimap

    for name in ("t.png", "t.tif"):
        assert run("trimap", mask, "-o", mask.with_name(name), "--radius", 3).exit_code == 0
    assert np.array_equal(read_trimap(mask.with_name("t.png")), read_trimap(mask.with_name("t.tif")))


def test_json(run: Run, mask: Path) -> None:
    target = mask.parent / "new folder" / "t.png"
    document = json.loads(run("trimap", mask, "-o", target, "--erode", 0, "--dilate", 10, "--json").stdout)
    assert document == {
        "file": str(target),
        "width": 200,
        "height": 100,
        "erode": 0,
        "dilate": 10,
        "from_size": False,
        "unknown_share": 0.05,
        "notes": [],
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["-o", "mask.png", "--overwrite"], "is the mask itself"),
        (["-o", "there.png"], "--overwrite"),
        (["-o", "t.jpg"], ".png or .tif"),
        (["-o", "t.png", "--radius", "3", "--erode", "3"], "Give one radius"),
        (["-o", "mask.png/t.png"], "mask.png"),
    ],
)
def test_refused(run: Run, mask: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: str) -> None:
    monkeypatch.chdir(mask.parent)
    Path("there.png").write_bytes(b"x")
    result = run("trimap", "mask.png", *words)
    assert result.exit_code == 2 and expected in result.stderr and len(result.stderr.splitlines()) == 1
    assert sorted(path.name for path in mask.parent.iterdir()) == ["mask.png", "there.png"]


def test_missing_mask(run: Run, tmp_path: Path) -> None:
    result = run("trimap", tmp_path / "none.png", "-o", tmp_path / "t.png")
    assert result.exit_code == 2 and "does not exist" in result.stderr


@pytest.mark.parametrize(
    ("values", "says"),
    [(0, "is black"), (255, "is white"), (128, "50% only"), ([0, 1, 2, 3], "labels"), ([[0] * 9 + [255] * 9], "cover")],
)
def test_masks_that_make_no_trimap(run: Run, tmp_path: Path, values: object, says: str) -> None:
    array = np.array(values, np.uint8) if isinstance(values, list) else np.full((4, 9), values, np.uint8)
    Image.fromarray(np.atleast_2d(array)).save(tmp_path / "m.png")
    result = run("trimap", tmp_path / "m.png", "-o", tmp_path / "t.png", "--radius", 20)
    assert result.exit_code == 2 and says in result.stderr and not (tmp_path / "t.png").exists()


@pytest.mark.parametrize(
    ("level", "radius", "says"),
    [(3, 2, "3 is taken as the subject"), (150, 2, "highest value is 59%"), (255, 0, "nothing is unknown"),
     (255, 150, "no known foreground")],
)  # fmt: skip
def test_what_may_not_be_meant_is_noted(run: Run, mask: Path, level: int, radius: int, says: str) -> None:
    Image.fromarray((np.asarray(Image.open(mask)) > 0).astype(np.uint8) * np.uint8(level)).save(mask)
    target = mask.with_name("t.png")
    result = run("trimap", mask, "-o", target, "--erode", radius, "--dilate", min(radius, 5))
    assert result.exit_code == 0 and says in " ".join(result.stdout.split())
    actual = json.loads(
        run("trimap", mask, "-o", target, "--erode", radius, "--dilate", 0, "--overwrite", "--json").stdout
    )
    assert any(says in note for note in actual["notes"])
