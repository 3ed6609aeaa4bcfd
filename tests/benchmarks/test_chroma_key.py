"""The chroma key's benchmark: scenes agree with their alpha, and all figures are written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import chroma_key
from benchmarks.key_scenes import key_scene


def test_a_scene_is_its_subject_over_its_screen_up_to_the_camera() -> None:
    scene = key_scene(3, 128, 160)
    cover = scene.alpha[..., None]
    made = cover * scene.lit + (1 - cover) * scene.screen
    assert scene.moved and not key_scene(2, 128, 160).moved
    assert np.abs(made - scene.picture / np.float32(255)).mean() < 0.03
    assert scene.thin.any() and (scene.alpha[scene.soft] < 0.98).all() and scene.alpha.max() == 1
    again = key_scene(3, 128, 160)
    assert np.array_equal(scene.picture, again.picture) and not np.array_equal(
        scene.alpha, key_scene(5, 128, 160).alpha
    )


def test_all_figures_are_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = torch.get_num_threads()
    try:
        chroma_key.main(["--quick", "--threads", "1", "--results", str(tmp_path), "--pictures", str(tmp_path / "seen")])
    finally:
        torch.set_num_threads(before)
    document = json.loads((tmp_path / "chroma_key.json").read_text())
    row = document["means"]["all"]
    assert {"whole", "thin", "soft", "prior", "lost", "leak", "colour", "seconds"} <= set(row) and row["whole"] > 0
    assert (tmp_path / "seen" / "200.png").is_file() and "whole" in capsys.readouterr().out
