"""`uhrmat video --report page.html`: frames read back from what was written, and figures along the clip."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from tests.report.page.test_write import picture_at
from uhrmat.cli.app import app
from uhrmat.core.errors import OutputError
from uhrmat.core.options import ModelOptions
from uhrmat.report.page.encode import BACKDROP
from uhrmat.video.active_masks import pack_mask, unpack_mask
from uhrmat.video.page import _pairs, shown, spread, write_clip_page
from uhrmat.video.plan import plan_clip
from uhrmat.video.run import ClipResources, matte_clip
from uhrmat.video.spec import ClipSpec

MODEL = ModelOptions(prior="mask", refiner="bilinear", precision="fp32")
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
    return data_of(page)


def data_of(page: Path) -> dict[str, Any]:
    result = re.search(r'id="data">(.*?)</script>', page.read_text("utf-8"), re.DOTALL)
    assert result
    return dict(json.loads(result[1]))


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
    active = [picture_at(one["sides"][0]["data"]["small"])[..., 1] for one in data["exhibits"]]
    assert all(one["sides"][0]["active"] for one in data["exhibits"])
    assert active[0][20, 38] == 255 and active[0][2, 2] == 0 and active[0][20, 26] == 0, "the disc's edge"
    assert not active[1].any(), "nothing moved"
    if colours:
        assert np.abs(picture_at(side["colour"]["small"])[20, 26].astype(int) - (200, 100, 50)).max() < 12


def test_a_run_that_goes_on_shows_what_the_one_before_computed(
    shot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("-o", "cut.mkv", "--codec", "ffv1", "--keyframe-interval", "2")
    unbroken = page_of(shot, *words)
    with monkeypatch.context() as patched:
        patched.setattr("uhrmat.video.run.finish_clip", stop)
        line = [
            "video",
            shot,
            "--mask",
            shot.with_name("masks"),
            *LIGHT,
            *words,
            "--overwrite",
            "--report",
            "page.html",
        ]
        assert CliRunner().invoke(app, [str(word) for word in line]).exit_code == 1
    again = page_of(shot, *words, "--resume")
    seen = [[one["sides"][0]["data"]["small"] for one in data["exhibits"]] for data in (unbroken, again)]
    assert seen[0] == seen[1] and picture_at(seen[1][2])[..., 1].any()
    facts = [{row[0]: row[1] for row in data["exhibits"][0]["table"]} for data in (unbroken, again)]
    assert "3 of them by an earlier run" in facts[1]["frames"] and "earlier" not in facts[0]["frames"]


def stop(plan: Any) -> list[str]:
    raise OutputError("The disk is full.", "")


def test_frames_whose_active_pixels_nobody_kept_are_shown_without(shot: Path, tmp_path: Path) -> None:
    plan = plan_clip(ClipSpec(source=shot, output=tmp_path / "cut.mkv", mask=shot.with_name("masks"), model=MODEL))
    done = matte_clip(plan, ClipResources.load(plan), keep_active=(1,))
    assert set(done.active) == {1} and shown(plan) == {0, 1, 2}
    write_clip_page(tmp_path / "page.html", done, [])
    data = data_of(tmp_path / "page.html")
    assert [one["sides"][0]["active"] for one in data["exhibits"]] == [False, True, False]


@pytest.mark.parametrize("size", [(1, 1), (37, 53)])
def test_masks_come_back(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(1).random(size) > 0.5
    assert (unpack_mask(pack_mask(mask)) == mask).all()


def test_frames_are_spread() -> None:
    assert spread(3) == [0, 1, 2] and spread(1) == [0]
    many = spread(1000)
    assert len(many) == 12 and many[0] == 0 and many[-1] == 999


def test_wanted_frames_are_paired() -> None:
    """The source's frame 1 was not decoded, and the matte's frame 3 is missing."""

    def clip(*indices: int) -> Any:
        frames = [SimpleNamespace(index=i, picture=i) for i in indices]
        return SimpleNamespace(frames=lambda start, stop: (f for f in frames if start <= f.index < stop))

    result = list(_pairs(clip(10, 12, 13, 14, 15), clip(0, 1, 2, 4, 5), 10, [0, 1, 2, 3, 4]))
    assert result == [(0, 10, 0), (2, 12, 2), (4, 14, 4)]


def test_every_frame_is_there_small_over_a_colour(shot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    clip = page_of(shot)["clip"]
    assert list(clip["thumbnails"]) == ["0", "1", "2"] and clip["best"] is None
    thumb = picture_at(clip["thumbnails"]["1"])
    assert thumb.shape == (40, 56, 3), "smaller frames are not enlarged"
    assert np.abs(thumb[2, 2].astype(int) - BACKDROP).max() < 12
    assert np.abs(thumb[20, 26].astype(int) - (200, 100, 50)).max() < 12


def test_doubtful_frames_are_in_the_page_and_the_best_is_shown(
    shot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_clip(ClipSpec(source=shot, output=tmp_path / "cut.mkv", mask=shot.with_name("masks"), model=MODEL))
    done = matte_clip(plan, ClipResources.load(plan))
    done = replace(done, plan=replace(plan, hints=replace(plan.hints, keys={0: plan.hints.keys[0]})))
    for frame, confidence in zip(done.frames, (1.0, 0.3, 0.2), strict=True):
        frame |= {"confidence": confidence, "propagation": "sure" if confidence == 1 else "doubtful"}
    assert done.as_dict()["best_hint_frame"] == 2
    monkeypatch.setattr("uhrmat.video.page._shown", lambda count, pixels: [0])
    write_clip_page(tmp_path / "page.html", done, [])
    data = data_of(tmp_path / "page.html")
    assert (data["clip"]["doubtful"], data["clip"]["lost"], data["clip"]["best"]) == ([1, 2], [], 2)
    assert data["clip"]["series"]["confidence of the propagated mask"] == [1.0, 0.3, 0.2]
    assert next(iter(data["clip"]["series"])) == "confidence of the propagated mask", "narrow screens show the first"
    assert [one["frame"] for one in data["exhibits"]] == [0, 2]
