"""`uhrmat video --report page.html`: frames read back from what was written, and figures along the clip."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.page.test_write import picture_at
from uhrmat.cli.app import app
from uhrmat.page.clip import _pairs, spread

LIGHT = ("--prior", "mask", "--refiner", "bilinear", "--precision", "fp32")


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """Three frames of a bright disc on black, with a mask of each."""
    folder = tmp_path / "shot"
    folder.mkdir()
    (tmp_path / "masks").mkdir()
    ys, xs = np.indices((40, 56))
    for number in range(3):
        alpha = np.clip(12.5 - np.hypot(ys - 20, xs - 26), 0, 1)
        Image.fromarray(np.rint(200 * alpha[..., None] * [1.0, 0.5, 0.25]).astype(np.uint8)).save(
            folder / f"f{number}.png"
        )
        Image.fromarray(np.rint(255 * alpha).astype(np.uint8)).save(tmp_path / "masks" / f"{number}.png")
    return folder


def page_of(shot: Path, *words: Any) -> dict[str, Any]:
    page = shot.with_name("page.html")
    line = ["video", shot, "--mask", shot.with_name("masks"), *LIGHT, *words, "--report", page]
    done = CliRunner().invoke(app, [str(word) for word in line])
    assert done.exit_code == 0, done.output
    assert "page.html" in done.stdout
    found = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


@pytest.mark.parametrize(("words", "colours"), [((), False), (("-o", "cut.mkv", "--codec", "ffv1"), True)])
def test_frames_and_figures(
    shot: Path, words: tuple[str, ...], colours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = page_of(shot, *words)
    assert [one["frame"] for one in data["exhibits"]] == data["clip"]["numbers"] == [0, 1, 2]
    assert set(map(len, data["clip"]["series"].values())) == {3}
    side = data["exhibits"][1]["sides"][0]
    alpha = picture_at(side["data"]["small"])[..., 0]
    assert alpha[20, 26] == 255 and alpha[2, 2] == 0
    assert (side["colour"] is not None) == colours
    if colours:
        assert np.abs(picture_at(side["colour"]["small"])[20, 26].astype(int) - (200, 100, 50)).max() < 12


def test_frames_are_spread() -> None:
    assert spread(3) == [0, 1, 2] and spread(1) == [0]
    many = spread(1000)
    assert len(many) == 12 and many[0] == 0 and many[-1] == 999


def test_wanted_frames_are_paired() -> None:
    """The source's frame 1 was not decoded, and the matte's frame 3 is missing."""

    def clip(*indices: int) -> Any:
        frames = [SimpleNamespace(index=i, picture=i) for i in indices]
        return SimpleNamespace(frames=lambda start, stop: (f for f in frames if start <= f.index < stop))

    found = list(_pairs(clip(10, 12, 13, 14, 15), clip(0, 1, 2, 4, 5), 10, [0, 1, 2, 3, 4]))
    assert found == [(0, 10, 0), (2, 12, 2), (4, 14, 4)]
