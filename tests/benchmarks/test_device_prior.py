"""The comparison of the prior's two solvers, on one small photograph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks import device_prior


def test_both_solvers_reach_one_solution(disc: Path, tmp_path: Path) -> None:
    for folder, name in (("Images", "a"), ("Trimap1", "a_trimap")):
        (tmp_path / folder).mkdir()
        shutil.copy(disc / f"{name}.png", tmp_path / folder / "a.png")
    more = ["--photos", str(tmp_path), "--results", str(tmp_path), "--device", "cpu", "--threads", "1", "--quick"]
    device_prior.main(more)
    rows = json.loads((tmp_path / "device_prior.json").read_text())["rows"]
    assert [(row["photo"], row["prior"]) for row in rows] == [("a", name) for name in device_prior.NAMES]
    for row in rows:
        assert row["exact_from_exact"]["largest"] < 1e-4 and row["device_from_exact"]["largest"] < 1e-2
        assert row["cpu_s"] > 0 and row["device_s"] > 0 and row["unknown"] > 100
