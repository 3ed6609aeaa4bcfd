"""Every benchmark runs on tiny sizes and writes what it promises, and the page's tables are made from that."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import budget, engines, gpu_engines, image, patches, report, scaling
from benchmarks import watch as watch_module
from benchmarks.common import header, write
from benchmarks.shot import BAND, bands
from benchmarks.watch import watch

HEADER = {"machine", "versions", "commit", "date", "quick"}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of all benchmarks, each run once."""
    folder = tmp_path_factory.mktemp("results")
    before = torch.get_num_threads()
    quick = ["--quick", "--threads", "1", "--results", str(folder)]
    try:
        budget.main([*quick, "--cases", "sparsemat"])
        engines.main(quick)
        scaling.main(quick)
        patches.main(quick)
        gpu_engines.main([*quick, "--device", "cpu", "--nets", "lite", "--precisions", "fp32", "bf16"])
        image.main([*quick, "--methods", "uhrmat", "cf"])
        row = {"page": "image", "bytes": 4_000_000, "first_s": 0.4, "median_s": 0.3, "largest_s": 0.4, "browser": "1.2"}
        write(folder, "page", header(1, True) | {"rows": [row]})  # in a browser: test_page.py
    finally:
        torch.set_num_threads(before)
    return folder


def load(results: Path, name: str) -> dict[str, Any]:
    result = json.loads((results / f"{name}.json").read_text())
    assert set(result) >= HEADER and result["quick"] is True
    assert {"processor", "cores", "threads", "load", "flags"} <= set(result["machine"])
    assert {"python", "torch", "numpy"} <= set(result["versions"])
    assert (results / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    return result


def test_budget(results: Path) -> None:
    result = json.loads((results / "budget.json").read_text())["sparsemat"]
    assert [step["scale"] for step in result["steps"]] == [0.25, 0.5, 1.0]
    assert (
        result["steps"][-1]["active"] < result["active_of_one_shot"] and result["room"] < result["active_of_one_shot"]
    )


def test_engines(results: Path) -> None:
    result = load(results, "engines")["engines"]
    assert result["tiles_fp32"]["max_error"] < 1e-4
    assert result["gather_gemm_fp32"]["max_error"] < 1e-4
    assert result["gather_gemm_in_parts_fp32"]["max_error"] < 1e-4
    assert set(result["tiles_bf16"]["steps"]) == {"halo", "convolution", "store"}


def test_scaling(results: Path) -> None:
    result = load(results, "scaling")
    assert [row["active"] for row in result["by_active"]] == [2016, 4000, 8000]
    assert len({row["active"] for row in result["by_picture"]}) == 1
    assert {"wall_ms", "cpu_ms", "network_ms", "peak_bytes"} <= set(result["by_active"][0])
    assert {"wall_ms", "cpu_ms", "peak_bytes"} == set(result["exponent"]) == set(result["picture_ratio"])


def test_patches(results: Path) -> None:
    result = load(results, "patches")
    runs = result["runs"]
    assert set(runs) == {"one_shot", "patches_dense", "patches_tiles"}
    assert runs["patches_dense"]["mse_1e3"] == pytest.approx(runs["patches_tiles"]["mse_1e3"], rel=1e-4)
    assert 0 < result["against_one_shot"]["patches_tiles"]["max"] < 0.5
    assert all(0 < of["share"] < 1 for of in result["gmacs"].values())


def test_gpu_path_on_the_cpu(results: Path) -> None:
    result = load(results, "gpu")
    assert len(result["parity"]) == len(result["speed"]) == 3 * 2
    for row in result["parity"]:
        assert "only" in row["error"] if row["engine"] == "spconv" else row["passed"]
    for row in result["speed"]:
        assert "error" in row if row["engine"] == "spconv" else row["refine_ms"] > 0 and row["peak_bytes"] > 0


def test_image(results: Path) -> None:
    [scene] = load(results, "image")["scenes"]
    ours, closed_form = scene["runs"]
    for run in (ours, closed_form):
        assert "error" not in run
        assert {"wall_s", "cpu_s", "peak_bytes", "sad", "mse", "grad", "conn"} <= set(run)
    assert ours["active_pixels"] >= scene["unknown"]


def test_report(results: Path, tmp_path: Path) -> None:
    full = report.fill(report.PAGE.read_text(), results)
    assert full.count("Quick run") == len(report.TABLES) and "not measured yet" not in full
    assert report.fill(full, results) == full
    empty = report.fill(full, tmp_path)
    assert empty.count("not measured yet") == len(report.TABLES)


def test_every_table_is_on_the_page() -> None:
    text = report.PAGE.read_text()
    assert all(f"<!-- table {name} -->" in text for name in report.TABLES)


def test_bands_hold_what_was_asked_for() -> None:
    mask = bands(300, 500, 20_000)
    assert 20_000 <= np.count_nonzero(mask) < 20_000 + BAND
    assert np.count_nonzero(bands(300, 500, 0)) == 0
    with pytest.raises(ValueError, match="do not fit"):
        bands(64, 64, 4096)


def test_patches_cover_the_picture() -> None:
    for length in (40, 64, 65, 200, 512):
        covered = np.zeros(length, int)
        for start in patches.starts(length, 64):
            covered[start : start + 64] += 1
        assert covered.min() >= 1


def test_watch_stops_what_takes_too_much(tmp_path: Path) -> None:
    greedy = "import time; x = bytearray(400_000_000); x[::4096] = b'1' * len(x[::4096]); time.sleep(3600)"
    run = watch([sys.executable, "-c", greedy], tmp_path, 600, 200_000_000)
    assert run.error is not None and "GB" in run.error
    run = watch([sys.executable, "-c", "raise SystemExit('no')"], tmp_path, 600, 1 << 40)
    assert run.error == "exit code 1: no"


def test_watch_counts_what_a_child_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child keeps its memory until it was looked at."""
    seen, count = tmp_path / "seen", watch_module.tree_memory

    def noted(pid: int) -> int:
        result = count(pid)
        if result > 150_000_000:
            seen.touch()
        return result

    monkeypatch.setattr(watch_module, "tree_memory", noted)
    child = (
        "import os, time; x = bytearray(150_000_000); x[::4096] = b'1' * len(x[::4096]); end = time.monotonic() + 120\n"
        f"while not os.path.exists({str(seen)!r}) and time.monotonic() < end: time.sleep(0.05)"
    )
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}]); print('done')"
    run = watch([sys.executable, "-c", code], tmp_path, 600, 1 << 40)
    assert run.error is None and run.output == "done\n" and run.peak_bytes > 150_000_000
