"""The benchmarks of hints: a matte clip refined, and the radius of masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import hint_clip, mask_radius


def test_a_matte_clip_is_measured_against_its_enlargements(tmp_path: Path) -> None:
    hint_clip.main(["--quick", "--results", str(tmp_path), "--threads", "1", "--methods", "bilinear", "guided"])
    rows = json.loads((tmp_path / "hint_clip.json").read_text())["rows"]
    assert [row["method"] for row in rows] == ["bilinear", "guided"]
    assert all(0 < row["whole_mad"] < 60 and row["recipe"]["height"] == 72 for row in rows)


def test_masks_of_every_kind_are_as_far_from_the_truth_as_their_names_say() -> None:
    alpha = np.zeros((100, 200), np.float32)
    alpha[30:70, 50:150] = 1
    alpha[10:30, 90:110] = 1
    made = mask_radius.masks(alpha)
    assert tuple(made) == ("exact", "shifted", "dilated", "polygon", "box")
    assert (made["exact"] == alpha).all()
    assert made["shifted"][50, 52] == 1 and made["shifted"][50, 51] == 0 and made["shifted"][50, 151] == 1
    assert made["dilated"][50, 48] == 1 and made["dilated"][50, 47] == 0
    assert made["box"].sum() == 60 * 100 and (made["box"] >= made["exact"]).all()


def test_the_radius_of_masks_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alpha = np.zeros((120, 160), np.uint8)
    alpha[30:90, 40:120] = 255
    rng = np.random.default_rng(1)
    pixels = np.clip(60 + 0.5 * alpha[..., None] + rng.normal(0, 3, (120, 160, 3)), 0, 255).astype(np.uint8)
    for name, array in (("Images", pixels), ("GroundTruth", alpha)):
        (tmp_path / name).mkdir()
        Image.fromarray(array).save(tmp_path / name / "a.png")
    options = ["--kinds", "exact", "dilated", "--radii", "widened", "usual", "30", "--threads", "1"]
    mask_radius.main([str(tmp_path), "--results", str(tmp_path), "--priors", "closed-form", *options])
    rows = json.loads((tmp_path / "mask_radius.json").read_text())["rows"]
    sads = {(row["kind"], row["choice"]): row["sad"] for row in rows}
    assert len(rows) == len(sads) == 6 and "dilated, closed-form: widened" in capsys.readouterr().out
    assert all(sad < 0.1 for (_, choice), sad in sads.items() if choice != "30")
    assert sads["exact", "30"] > 2 * sads["exact", "usual"]  # nothing of the subject is known
