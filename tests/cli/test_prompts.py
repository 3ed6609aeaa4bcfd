"""`uhrmat image` with points and boxes: what they reach, and what is refused before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from uhrmat.cli.app import app

LIGHT = ("--refiner", "bilinear", "--precision", "fp32", "--device", "cpu", "--outputs", "alpha", "--json")


def run(*words: Any) -> Result:
    return CliRunner().invoke(app, ["image", *map(str, words), *LIGHT])


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A red disc at (60, 80) and a blue one at (175, 80) before grey with noise, 240 x 160."""
    pixels = np.full((160, 240, 3), 128, np.uint8)
    cv2.circle(pixels, (60, 80), 35, (204, 51, 51), -1)
    cv2.circle(pixels, (175, 80), 35, (51, 51, 204), -1)
    noise = np.random.default_rng(5).normal(0, 5, pixels.shape)
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def alpha(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "photo_alpha.png"))


def test_a_box_and_the_same_box_drawn_as_a_mask(photo: Path, tmp_path: Path) -> None:
    result = run(photo, "--box", "20,40,100,120", "-o", tmp_path / "box")
    assert result.exit_code == 0, result.output
    item = json.loads(result.stdout)["items"][0]
    assert item["prior"] == "prompts" and any("points or boxes were given" in note for note in item["notes"])
    matte = alpha(tmp_path / "box")
    assert matte[80, 60] == 255 and matte[80, 175] == 0 and matte[20, 20] == 0
    drawn = np.zeros((160, 240), np.uint8)
    drawn[40:120, 20:100] = 255
    Image.fromarray(drawn).save(tmp_path / "rectangle.png")
    result = run(photo, "--mask", tmp_path / "rectangle.png", "-o", tmp_path / "mask")
    assert result.exit_code == 0 and "taken as a box" in result.stdout
    assert (alpha(tmp_path / "mask") == matte).all()


def test_background_is_marked_with_a_minus_sign(photo: Path, tmp_path: Path) -> None:
    result = run(photo, "--point", "60,80", "--point", "-175,80", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    matte = alpha(tmp_path / "out")
    assert matte[80, 60] == 255 and matte[80, 175] == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--point", "240,10"), "The point 240,10 lies outside the picture, which is 240x160."),
        (("--box", "10,10,10,40"), "The box 10,10,10,40 holds no pixel."),
        (("--box", "10,10"), "'10,10' is no box."),
        (("--point", "9,9", "--point", "-9,9"), "The pixel 9,9 is given as subject and as background."),
        (("--point", "9,9", "--key", "green"), "Hints of two kinds were given: key and points or boxes."),
        (("--point", "9,9", "--prior", "lpn-person"), "The prior lpn-person takes no points or boxes."),
        (("--prior", "prompts"), "The prior prompts needs points or boxes."),
    ],
)
def test_what_cannot_work_is_refused(photo: Path, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    result = run(photo, *words, "-o", tmp_path / "out")
    assert result.exit_code != 0 and message in result.stderr
    assert not (tmp_path / "out").exists()


def test_points_belong_to_one_photograph(photo: Path, tmp_path: Path) -> None:
    other = photo.with_name("other.png")
    other.write_bytes(photo.read_bytes())
    result = run(photo, other, "--point", "9,9", "-o", tmp_path / "out")
    assert result.exit_code != 0 and "points and boxes belong to one" in result.stderr
    assert "folder of masks" in result.stderr
