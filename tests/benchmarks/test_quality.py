"""Quality of refiners behind one prior: measured on files, each prior solved once for all refiners."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import quality
from uhrmat.prior.closed_form.problem import Start
from uhrmat.train.synth import render_scene


@pytest.mark.parametrize("prior", ["closed-form+knn", "lpn-trimap"])
def test_the_refiners_of_one_prior_are_measured(tmp_path: Path, prior: str) -> None:
    scene = render_scene(5, 96, 120, kind="hair", camera=False)
    pictures: dict[str, np.ndarray] = {
        "": scene.image[..., ::-1] * 255,
        "_trimap": scene.trimap,
        "_gt": scene.alpha * 255,
    }
    for suffix, pixels in pictures.items():
        cv2.imwrite(str(tmp_path / f"a{suffix}.png"), np.rint(pixels).astype(np.uint8))
    options = ["uhr", "--pictures", str(tmp_path), "--refiners", "bilinear,guided", "--prior", prior, "--threads", "1"]
    quality.main([*options, "--results", str(tmp_path / "results")])
    result = json.loads((tmp_path / "results" / "quality-uhr.json").read_text())
    assert result["prior"] == prior and set(result["means"]) == {"bilinear", "guided"}
    unknown = scene.trimap == 128
    worst = float(np.maximum(scene.alpha, 1 - scene.alpha)[unknown].sum()) / 1000
    assert all(0 < row["sad"] < worst for row in result["means"].values())


def test_each_system_is_solved_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = list[bool]()

    def solve(_: np.ndarray, trimap: np.ndarray, name: str, start: Start | None) -> tuple[np.ndarray, list[str]]:
        asked.append(start is not None)
        return np.full(trimap.shape, len(asked), np.float32), [name]

    monkeypatch.setattr(quality, "solve", solve)
    once, trimap = quality.Once(), np.full((4, 5), 128, np.uint8)
    image, half = np.zeros((4, 5, 3), np.float32), np.full((4, 5), 0.5, np.float32)
    for estimate in (half, half, half / 2):
        assert (once(image, trimap, "a")[0] == 1).all()
        once(image, trimap, "a", Start(half, trimap == 128, estimate=estimate))
    assert asked == [False, True, True]
    once(image + 1, trimap, "a")
    assert asked == [False, True, True, False]
