"""The comparison of the prior's two solvers, on one small photograph."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks import device_prior


def test_both_solvers_reach_one_solution(tmp_path: Path) -> None:
    y, x = np.mgrid[:120, :160]
    distance = np.hypot(y - 60, x - 80)
    alpha = np.clip((36 - distance) / 12 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(1).normal(0, 6, (120, 160, 3))
    photo = np.rint((alpha * [60, 90, 210] + (1 - alpha) * [170, 120, 40] + noise).clip(0, 255))
    trimap = np.where(distance < 24, 255, np.where(distance > 50, 0, 128))
    for folder, array in (("Images", photo), ("Trimap1", trimap)):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), array.astype(np.uint8))
    more = ["--photos", str(tmp_path), "--results", str(tmp_path), "--device", "cpu", "--threads", "1", "--quick"]
    device_prior.main(more)
    rows = json.loads((tmp_path / "device_prior.json").read_text())["rows"]
    assert [(row["photo"], row["prior"]) for row in rows] == [("a", name) for name in device_prior.NAMES]
    for row in rows:
        assert row["exact_from_exact"]["largest"] < 1e-4 and row["device_from_exact"]["largest"] < 1e-2
        assert row["cpu_s"] > 0 and row["device_s"] > 0 and row["unknown"] > 100
