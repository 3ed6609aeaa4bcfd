"""Nothing found without hints: the message, the exit code, and that no file is left. The bundled network looks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from uhrmat import MattingPipeline
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError

LIGHT = ("--prior", "lpn-person", "--refiner", "bilinear", "--precision", "fp32", "--device", "cpu")
MESSAGE = "no subject found: give --mask, --point or --box, or paint it (uhrmat paint)"


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, [*map(str, words), *LIGHT])


@pytest.fixture
def blank(tmp_path: Path) -> Path:
    """A photograph of nothing, in a folder of its own."""
    (tmp_path / "in").mkdir()
    Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(tmp_path / "in" / "blank.png")
    return tmp_path / "in" / "blank.png"


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """Three such frames."""
    (tmp_path / "shot").mkdir()
    for number in range(3):
        Image.fromarray(np.full((60, 80, 3), 120, np.uint8)).save(tmp_path / "shot" / f"f_{number:03d}.png")
    return tmp_path / "shot"


def left(folder: Path) -> list[str]:
    """Files below a folder, but for a manifest's."""
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and ".uhrmat" not in path.parts)


def test_an_image_without_a_subject_fails_and_the_next_goes_on(blank: Path, tmp_path: Path) -> None:
    Image.open(blank).save(blank.with_name("other.png"))
    result = run("image", blank, blank.with_name("other.png"), "-o", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert f"{blank}: {MESSAGE}" in result.stderr and f"other.png: {MESSAGE}" in result.stderr
    items = json.loads(result.stdout)["items"]
    assert [item["status"] for item in items] == ["failed", "failed"] and MESSAGE in items[0]["error"]
    assert left(tmp_path) == ["blank.png", "other.png"]


def test_an_image_may_be_kept_empty(blank: Path, tmp_path: Path) -> None:
    result = run("image", blank, "-o", tmp_path / "out", "--outputs", "alpha", "--keep-empty")
    assert result.exit_code == 0, result.output
    assert "no subject was found" in result.stdout
    assert np.asarray(Image.open(tmp_path / "out" / "blank_alpha.png")).max() == 0


def test_a_hint_needs_no_confidence(blank: Path, tmp_path: Path) -> None:
    trimap = np.zeros((60, 80), np.uint8)
    trimap[20:40, 20:40], trimap[25:35, 25:35] = 128, 255
    Image.fromarray(trimap).save(tmp_path / "trimap.png")
    result = run("image", blank, "--trimap", tmp_path / "trimap.png", "-o", tmp_path / "out", "--outputs", "alpha")
    assert result.exit_code == 0, result.output


def test_a_batch_names_the_item_and_goes_on(blank: Path, tmp_path: Path) -> None:
    words = ("batch", blank.parent, "-o", tmp_path / "out", "--jobs", 0, "--outputs", "alpha")
    result = run(*words)
    assert result.exit_code == 1 and MESSAGE in result.output
    failed = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert [item["item"] for item in failed] == ["blank.png"] and failed[0]["error"] == MESSAGE
    assert left(tmp_path / "out") == ["failures.json"]
    assert run(*words, "--keep-empty").exit_code == 0 and "blank_alpha.png" in left(tmp_path / "out")


def test_a_batch_refuses_a_clip_without_a_subject(shot: Path, tmp_path: Path) -> None:
    words = ("batch", shot.parent, "-o", tmp_path / "out", "--jobs", 0, "--outputs", "alpha", "--codec", "png")
    result = run(*words, "--sequences", "shot")
    assert result.exit_code == 1 and MESSAGE in result.output
    assert not [name for name in left(tmp_path / "out") if name.endswith(".png")]


def test_a_clip_without_a_subject_leaves_nothing(shot: Path, tmp_path: Path) -> None:
    words = ("video", shot, "-o", tmp_path / "out" / "a_%04d.png")
    result = run(*words)
    assert result.exit_code == 1 and f"{shot}: {MESSAGE}" in result.stderr
    assert not (tmp_path / "out").exists() or left(tmp_path / "out") == []
    assert run(*words, "--keep-empty").exit_code == 0
    assert left(tmp_path / "out") == [f"a_{number:04d}.png" for number in range(3)]


def test_python_raises_an_input_error(blank: Path, shot: Path) -> None:
    with MattingPipeline(prior="lpn-person", refiner="bilinear", precision="fp32", device="cpu") as pipeline:
        with pytest.raises(InputError, match="no subject found: give `mask`, `points` or `boxes`"):
            pipeline(blank)
        assert (pipeline(blank, keep_empty=True, foreground=False).alpha == 0).all()
        with pytest.raises(InputError, match="no subject found"):
            pipeline.video(shot, rate=25)
        assert len(list(pipeline.video(shot, rate=25, keep_empty=True, foreground=False))) == 3
