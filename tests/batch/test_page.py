"""The page of a run's stills: read back from the files, bounded, and refused in time."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

from uhrmat.batch import page as module
from uhrmat.batch.executors.inline import InlineExecutor
from uhrmat.batch.page import StillsPage
from uhrmat.batch.run import run_batch
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError, OutputError
from uhrmat.report.page import album

from .helpers import batch_run, files, light, tree

BOTH = light(outputs=("alpha", "foreground"))


def paged(root: Path, page: Path, settings: Any = BOTH, **chosen: Any) -> dict[str, Any]:
    """Runs over `root`, and writes the page; its event."""
    made = StillsPage(page, root / "out", settings, lambda event: [("seconds", str(event["seconds"]))])
    run_batch(batch_run(root, settings=settings, **chosen), lambda: InlineExecutor(settings), made)
    return made.write()


def data_of(page: Path) -> dict[str, Any]:
    result = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert result
    return dict(json.loads(result[1]))


def pixels(address: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",", 1)[1])))).astype(int)


def test_stills_are_shown_as_they_were_written(tmp_path: Path) -> None:
    tree(tmp_path)
    text = paged(tmp_path, tmp_path / "page.html")
    assert (text["shown"], text["stills"], text["path"]) == (4, 4, str(tmp_path / "page.html"))
    shown = data_of(tmp_path / "page.html")["exhibits"]
    assert [one["title"] for one in shown] == ["a/p1.png", "a/p3.png", "p0.png", "p2.png"]  # and no clip
    alpha = np.asarray(Image.open(tmp_path / "out" / "p0_alpha.png")).astype(int)
    side = shown[2]["sides"][0]
    assert np.array_equal(pixels(side["data"]["small"])[..., 0], alpha) and side["colour"] is not None
    assert shown[2]["table"][1][0] == "seconds"


def test_colours_that_were_multiplied_are_divided_again(tmp_path: Path) -> None:
    tree(tmp_path, 1)
    colours = []
    for premultiply in (False, True):
        settings = light(outputs=("foreground",), premultiply=premultiply)
        paged(tmp_path, tmp_path / "page.html", settings, include=["*.png"])
        colours.append(pixels(data_of(tmp_path / "page.html")["exhibits"][0]["sides"][0]["colour"]["small"]))
    assert np.abs(colours[0] - colours[1])[:, 24:].mean() < 3  # where alpha is above a half


def test_many_are_thinned_out_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, 5)
    monkeypatch.setattr(module, "MOST", 3)
    text = paged(tmp_path, tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert (text["shown"], text["stills"]) == (3, 5)
    assert data["title"] == "3 of 5 photographs of out, evenly spread"
    assert [one["title"] for one in data["exhibits"]] == ["a/p1.png", "p0.png", "p4.png"]


def test_a_result_that_is_gone_is_left_out(tmp_path: Path) -> None:
    tree(tmp_path, 2)
    made = StillsPage(tmp_path / "page.html", tmp_path / "out", BOTH, lambda event: [])
    run_batch(batch_run(tmp_path, settings=BOTH), lambda: InlineExecutor(BOTH), made)
    (tmp_path / "out" / "p0_foreground.png").unlink()
    assert made.write()["shown"] == 1


def test_a_run_that_does_nothing_leaves_the_page_of_the_last_one(tmp_path: Path) -> None:
    tree(tmp_path, 2)
    paged(tmp_path, tmp_path / "page.html")
    before = (tmp_path / "page.html").read_bytes()
    assert paged(tmp_path, tmp_path / "page.html")["path"] is None
    assert (tmp_path / "page.html").read_bytes() == before and len(files(tmp_path / "out")) > 4


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.html").write_text("<!doctype html>mine")
    with pytest.raises(OutputError, match="exists"):
        StillsPage(tmp_path / "notes.html", tmp_path / "out", BOTH, lambda event: [])
    with pytest.raises(OutputError, match=r"no \.html file"):
        StillsPage(tmp_path / "page.png", tmp_path / "out", BOTH, lambda event: [])
    with pytest.raises(InputError, match="shows alphas"):
        StillsPage(tmp_path / "page.html", tmp_path / "out", light(outputs=("preview",)), lambda event: [])


def command(root: Path, *more: str) -> Result:
    words = ["batch", root / "in", "-o", root / "out", "--masks", root / "masks", "--prior", "mask", "--jobs", 0]
    words += ["--refiner", "bilinear", "--device", "cpu", "--outputs", "alpha", "--include", "*.png"]
    return CliRunner().invoke(app, [*map(str, words), "--report", str(root / "page.html"), *more])


def test_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, 2)
    first = command(tmp_path)
    assert first.exit_code == 0 and "2 of 2 stills" in first.stdout, first.output
    table = dict(data_of(tmp_path / "page.html")["exhibits"][0]["table"][1:])
    assert table["size"] == "48 × 32" and table["alpha"] == "a/p1_alpha.png"
    again = command(tmp_path)
    assert again.exit_code == 0 and "no still was done, so there is no page" in again.output

    def full(*arguments: Any) -> None:
        raise OutputError("The disk is full.", "Make room.")

    monkeypatch.setattr(album, "write_page", full)
    failed = command(tmp_path, "--overwrite", "--json")
    last = json.loads(failed.stdout.splitlines()[-1])
    assert (failed.exit_code, last["event"], last["error"]) == (1, "page", "The disk is full.")
    assert "error: The disk is full. Make room." in failed.stderr


def test_by_command_it_is_refused_before_any_work(tmp_path: Path) -> None:
    tree(tmp_path, 1)
    (tmp_path / "page.html").write_text("mine")
    assert command(tmp_path).exit_code == 2
    assert not (tmp_path / "out").exists() and (tmp_path / "page.html").read_text() == "mine"
