"""The benchmark of clips runs on tiny sizes and writes what it promises."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from benchmarks import clip


def test_quick(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    try:
        clip.main(["--quick", "--threads", "1", "--results", str(tmp_path), "--refiner", "guided"])
    finally:
        torch.set_num_threads(before)
    result = json.loads((tmp_path / "clip.json").read_text())
    assert {row["temporal"] for row in result["quality"]} == {"off", "frame by frame", "on"}
    off, _, on = result["quality"][:3]
    assert off["clip"] == on["clip"] and off["reuse_share"] == 0 < on["reuse_share"]
    assert on["gmacs_paper"] < off["gmacs_paper"] < off["gmacs_paper_dense"]
    assert {"mad", "mse", "grad", "dtssd", "active_share"} <= set(on)
    assert [row["temporal"] for row in result["drift"]] == list(clip.MODES)
    assert all(row["frames_per_second"] > 0 for row in result["speed"])
    assert [row["temporal"] for row in result["speed"]] == list(clip.MODES)
    assert 0 < result["memory"][0]["early"] <= 2 * result["memory"][0]["late"]
