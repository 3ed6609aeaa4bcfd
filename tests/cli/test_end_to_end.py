"""The real path, from the command line to files, and the example that comes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from uhrmat.cli.app import app
from uhrmat.hints.files import read_trimap
from uhrmat.media import read_info

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("photo", ["kitten.jpg", "raccoon.png"])
def test_the_examples_fit_together(photo: str) -> None:
    info = read_info(EXAMPLES / photo)
    hint = EXAMPLES / f"{Path(photo).stem}_trimap.png"
    trimap = read_trimap(hint, (info.height, info.width))
    assert set(np.unique(np.asarray(Image.open(hint)))) == {0, 128, 255}
    assert 0.05 < np.mean(trimap == 128) < 0.15


def test_a_disc_is_cut_out(tmp_path: Path) -> None:
    """A soft red disc over green: known pixels stay, the open ones come near the truth, colours lose the green."""
    y, x = np.mgrid[:96, :96]
    alpha = np.clip((30 - np.hypot(y - 48, x - 48)) / 4 + 0.5, 0, 1)
    picture = alpha[..., None] * [220, 30, 30] + (1 - alpha[..., None]) * [20, 200, 40]
    Image.fromarray(np.rint(picture).astype(np.uint8)).save(tmp_path / "disc.png")
    distance = np.abs(np.hypot(y - 48, x - 48) - 30)
    trimap = np.where(distance < 6, 128, np.rint(alpha) * 255).astype(np.uint8)
    Image.fromarray(trimap).save(tmp_path / "trimap.png")

    words = ["image", tmp_path / "disc.png", "--trimap", tmp_path / "trimap.png", "-o", tmp_path / "out"]
    result = CliRunner().invoke(
        app, [*map(str, words), "--refiner", "projection", "--outputs", "alpha,foreground,preview"]
    )
    assert result.exit_code == 0, result.output

    actual = np.asarray(Image.open(tmp_path / "out" / "disc_alpha.png"))
    known = trimap != 128
    assert np.array_equal(actual[known], trimap[known])
    assert np.abs(actual / 255 - alpha)[~known].mean() < 0.05
    foreground = np.asarray(Image.open(tmp_path / "out" / "disc_foreground.png")).astype(int)
    half = np.abs(alpha - 0.5) < 0.2
    assert (foreground[half][:, 1] < 90).all(), "the green is gone from the edge"
