"""The benchmarks of DAVIS sequences, on one that is made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import davis, propagation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sequence of a disc that moves."""
    ys, xs = np.indices((48, 64))
    for kind in ("JPEGImages", "Annotations"):
        (tmp_path / kind / "disc").mkdir(parents=True)
    for number in range(4):
        inside = np.hypot(ys - 24, xs - 24 - 2 * number) < 12
        Image.fromarray(np.where(inside[..., None], (220, 40, 30), (30, 60, 200)).astype(np.uint8)).save(
            tmp_path / "JPEGImages" / "disc" / f"{number:05d}.jpg", quality=98
        )
        Image.fromarray(np.uint8(255) * inside).save(tmp_path / "Annotations" / "disc" / f"{number:05d}.png")
    return tmp_path


def test_a_disc_that_moves_is_followed(folder: Path) -> None:
    words = ["--refiner", "guided", "--step", "2", "--threads", "1", "--propagation", "flow"]
    davis.main([str(folder), "--results", str(folder), *words])
    first, keys = json.loads((folder / "davis.json").read_text())["sequences"]
    assert (first["hints"], keys["hints"]) == (1, 2)
    assert min(first["worst"], keys["worst"]) > 0.9


def test_iou() -> None:
    a, b = np.array([True, True, False]), np.array([True, False, True])
    assert davis.iou(a, b) == pytest.approx(1 / 3) and davis.iou(~a & a, ~b & b) == 1


def test_both_ways_of_propagation_are_measured_side_by_side(folder: Path) -> None:
    propagation.main([str(folder), "--results", str(folder), "--quick", "--threads", "1"])
    network, flow = json.loads((folder / "propagation.json").read_text())["sequences"]
    assert (network["method"], flow["method"]) == ("network", "flow")
    assert flow["J"] > 0.7 and flow["doubtful"] == flow["training_seconds"] == 0
    assert network["frames"] == 4 and 0 <= network["worst"] <= network["J"] <= 1
