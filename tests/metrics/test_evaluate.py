"""`uhrmat evaluate` and its parts: pairing, table, CSV, JSON, plot, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha
from uhrmat.metrics import score
from uhrmat.metrics.evaluation import find_pairs


def save(path: Path, value: float | np.ndarray, size: tuple[int, int] = (8, 6)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.broadcast_to(np.asarray(value, np.uint8), size) if np.ndim(value) < 2 else np.asarray(value, np.uint8)
    Image.fromarray(np.ascontiguousarray(array)).save(path)
    return path


def run(*args: object) -> Result:
    return CliRunner().invoke(app, ["evaluate", *map(str, args)])


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    for name, value in (("a", 255), ("b c", 0)):
        save(tmp_path / "pred" / f"{name}_alpha.png", value)
        save(tmp_path / "pred" / f"{name}_preview.png", 9)
        save(tmp_path / "gt" / f"{name}.png", 255)
        save(tmp_path / "tri" / f"{name}_trimap.png", np.repeat([[0], [128], [255]], 6, 1).repeat([2, 4, 2], 0))
    return tmp_path / "pred", tmp_path / "gt", tmp_path / "tri"


def test_folders_are_matched_by_stem_and_scored(folders: tuple[Path, Path, Path]) -> None:
    pred, truth, tri = folders
    save(truth / "lonely.png", 0)
    result = run(pred, truth, "--trimap", tri, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert (document["protocol"], document["region"], document["scale"]["sad"]) == ("alphamatting", "unknown", 1e-3)
    assert [p["name"] for p in document["pictures"]] == ["a", "b c"]
    assert document["pictures"][1]["sad"] == pytest.approx(24 / 1000) and document["pictures"][1]["pixels"] == 24
    assert document["mean"]["sad"] == pytest.approx(12 / 1000)
    assert document["unmatched"] == [str(truth / "lonely.png")]


def test_table_csv_and_plot(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    pred, truth, tri = folders
    table, plot = tmp_path / "s.csv", tmp_path / "s.png"
    result = run(pred, truth, "--trimap", tri, "--region", "whole", "--csv", table, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "SAD /1e3" in result.stdout and "mean" in result.stdout and "whole" in result.stdout
    rows = list(csv.reader(table.open(encoding="utf-8")))
    assert rows[0][:5] == ["name", "protocol", "region", "pixels", "SAD /1e3"]
    assert [row[0] for row in rows[1:]] == ["a", "b c", "mean"] and float(rows[2][4]) == pytest.approx(48 / 1000)
    drawn = np.asarray(Image.open(plot).convert("RGB"))
    assert drawn.shape[1] == 1000 and (drawn == (70, 120, 180)).all(2).sum() > 1000


def test_two_files_and_clip_with_dtssd(tmp_path: Path) -> None:
    for number, value in ((8, 0), (9, 255), (10, 255)):
        save(tmp_path / "p" / f"frame{number}.png", value)
        save(tmp_path / "g" / f"true_{number:04d}.png", 0)
    one = run(tmp_path / "p/frame9.png", tmp_path / "g/true_0009.png", "--json")
    assert json.loads(one.stdout)["mean"]["mad"] == pytest.approx(1000)
    clip = json.loads(run(tmp_path / "p", tmp_path / "g", "--clip", "--json").stdout)
    assert [p["dtssd"] for p in clip["pictures"]] == [0, 100, 0] and clip["protocol"] == "rvm"
    assert [p["name"] for p in clip["pictures"]] == ["8", "9", "10"]
    (tmp_path / "p/frame9.png").unlink()
    with pytest.raises(InputError, match="no partner"):
        find_pairs(tmp_path / "p", tmp_path / "g", clip=True)


def test_an_alpha_file_is_read_without_colour_management(tmp_path: Path) -> None:
    """A nearly black 16-bit matte is nearly black, not 8-bit in disguise; an RGBA file gives its alpha."""
    dim = tmp_path / "dim.png"
    Image.fromarray(np.full((4, 4), 200, np.uint16)).save(dim)
    assert read_alpha(dim).max() == np.float32(200 / 65535)
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[..., 0], rgba[:2, :, 3] = 99, 70
    save(tmp_path / "rgba.png", rgba)
    assert (read_alpha(tmp_path / "rgba.png") * 255).tolist() == [[70] * 4] * 2 + [[0] * 4] * 2
    save(tmp_path / "red.png", np.full((4, 4, 3), (200, 10, 10)))
    with pytest.raises(InputError, match="coloured"):
        read_alpha(tmp_path / "red.png")


def test_refusals(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    pred, truth, tri = folders
    small = save(tmp_path / "small.png", 0, (5, 5))
    for args, says in (
        ((pred, tmp_path / "no"), "does not exist"),
        ((pred, small), "mixed"),
        ((small, truth / "a.png"), "5x5"),
        ((truth / "a.png", truth / "a.png", "--trimap", small), "5x5"),
        ((pred, truth, "--region", "unknown"), "--trimap"),
        ((pred, truth, "--region", "moon"), "moon"),
        ((pred, truth, "--protocol", "moon"), "moon"),
        ((pred / "a_alpha.png", truth / "a.png", "--clip"), "--clip"),
        ((tri, truth), "No file"),
        ((pred, truth, "--trimap", pred), "trimap"),
    ):
        result = run(*args)
        assert (result.exit_code, "Traceback" in result.output) == (2, False), (args, result.output)
        assert says in result.stderr, (args, result.output)


def test_nothing_is_written_when_something_is_wrong(tmp_path: Path) -> None:
    a, b = save(tmp_path / "a.png", 0), save(tmp_path / "b.png", 0, (3, 3))
    assert run(a, b, "--csv", tmp_path / "s.csv", "--plot", tmp_path / "s.png").exit_code == 2
    assert not (tmp_path / "s.csv").exists() and not (tmp_path / "s.png").exists()


def test_ambiguous_names_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "p/a.png", 0)
    save(tmp_path / "p/a.tif", 0)
    save(tmp_path / "g/a.png", 0)
    with pytest.raises(InputError, match="one name"):
        find_pairs(tmp_path / "p", tmp_path / "g")


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["cat.png", "dog_alpha.png", "owl.png"], ["cat.png", "dog_alpha.png", "owl.png"]),
        (["cat_alpha.png", "cat.png", "cat_preview.png", "dog.png", "owl_ALPHA.png"], ["cat_alpha.png", "dog.png",
                                                                                    "owl_ALPHA.png"]),
        (["cat_alpha.png", "cat_foreground.png", "cat_Mask.png", "dog.png", "owl.png"], ["cat_alpha.png", "dog.png",
                                                                                      "owl.png"]),
    ],
)  # fmt: skip
def test_a_name_with_an_ending_hides_no_other(tmp_path: Path, names: list[str], wanted: list[str]) -> None:
    for name in names:
        save(tmp_path / "p" / name, 255)
    for name in ("cat", "dog", "owl_gt"):
        save(tmp_path / "g" / f"{name}.png", 255)
    pairing = find_pairs(tmp_path / "p", tmp_path / "g")
    assert [pair.pred.name for pair in pairing.pairs] == wanted and pairing.unmatched == ()


def test_names_match_however_accents_are_stored(tmp_path: Path) -> None:
    save(tmp_path / "p/caf\u00e9_alpha.png", 255)
    save(tmp_path / "g/cafe\u0301.png", 255)
    save(tmp_path / "t/cafe\u0301_trimap.png", 128)
    (pair,) = find_pairs(tmp_path / "p", tmp_path / "g", tmp_path / "t").pairs
    assert pair.trimap is not None and pair.truth.parent.name == "g"


def test_a_clips_frames_beside_their_other_outputs(tmp_path: Path) -> None:
    for number in (1, 2):
        for ending in ("_alpha", "_foreground", ""):
            save(tmp_path / "p" / f"shot_{number}{ending}.png", 255)
        save(tmp_path / "g" / f"{number}.png", 255)
    pairs = find_pairs(tmp_path / "p", tmp_path / "g", clip=True).pairs
    assert [pair.pred.name for pair in pairs] == ["shot_1_alpha.png", "shot_2_alpha.png"]


@pytest.mark.parametrize("option", ["--plot", "--csv"])
@pytest.mark.parametrize("name", ["gt/a.png", "pred/a_alpha.png", "tri/a_trimap.png", "gt/lonely.png", "linked.png"])
@pytest.mark.parametrize("more", [[], ["--overwrite"]])
def test_no_input_is_overwritten(
    folders: tuple[Path, Path, Path], tmp_path: Path, option: str, name: str, more: list[str]
) -> None:
    pred, truth, tri = folders
    save(truth / "lonely.png", 0)
    (tmp_path / "linked.png").symlink_to(truth / "a.png")
    before = (tmp_path / name).read_bytes()
    result = run(pred, truth, "--trimap", tri, option, tmp_path / name, *more)
    assert result.exit_code == 2 and "is one of the inputs" in result.stderr, result.output
    assert (tmp_path / name).read_bytes() == before


def test_files_that_exist_are_replaced_with_overwrite(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    pred, truth, _ = folders
    mine = tmp_path / "mine.png"
    mine.write_bytes(b"mine")
    assert "exists" in run(pred, truth, "--plot", mine).stderr and mine.read_bytes() == b"mine"
    assert "Two outputs" in run(pred, truth, "--plot", tmp_path / "x", "--csv", tmp_path / "x").stderr
    assert "is a folder" in run(pred, truth, "--csv", pred).stderr
    assert run(pred, truth, "--plot", mine, "--overwrite").exit_code == 0 and mine.read_bytes() != b"mine"


def test_a_trimap_that_leaves_nothing_unknown_gives_no_figures(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    pred, truth, tri = folders
    save(tri / "a_trimap.png", np.repeat([[0], [255]], 6, 1).repeat([2, 6], 0))
    result = run(pred, truth, "--trimap", tri, "--csv", tmp_path / "s.csv", "--plot", tmp_path / "s.png")
    assert result.exit_code == 0 and "n/a" in result.stdout and "the trimap of 'a' leaves nothing" in result.stderr
    document = json.loads(run(pred, truth, "--trimap", tri, "--json").stdout)
    first, second = document["pictures"]
    assert first == {"name": "a", "pixels": 0} and document["mean"]["sad"] == second["sad"]
    save(tri / "b c_trimap.png", 255)
    for args in ((pred, truth, "--trimap", tri), (pred / "a_alpha.png", truth / "a.png", "--trimap",
                                                  tri / "a_trimap.png")):  # fmt: skip
        result = run(*args)
        assert result.exit_code == 2 and "nothing unknown" in result.stderr and "--region whole" in result.stderr


@pytest.mark.parametrize("levels", [(0, 1, 2), (1, 128, 254), (0, 32768, 65535), (0.0, 0.5, 1.0), (-1, 0, 1)])
def test_a_region_is_read_like_a_trimap_hint(levels: tuple[float, ...]) -> None:
    trimap = np.array([levels])
    assert score(np.ones((1, 3)), np.zeros((1, 3)), trimap).pixels == 1


def test_an_empty_cut_out_is_an_empty_matte(tmp_path: Path) -> None:
    rgba = np.zeros((8, 6, 4), np.uint8)
    rgba[..., :3] = 200, 60, 20
    save(tmp_path / "nothing.png", rgba)
    truth = save(tmp_path / "truth.png", 255)
    document = json.loads(run(tmp_path / "nothing.png", truth, "--json").stdout)
    assert document["mean"]["mad"] == 1000
