"""The measurement of a GPU, taken on the CPU: in one command, without libraries that such a machine lacks."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu, gpu_parts

ABSENT = ("av", "imagecodecs", "OpenEXR", "pymatting", "tifffile", "spconv", "matplotlib", "timm", "transformers")


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes that find torch, NumPy, OpenCV, Pillow and safetensors, but none of `ABSENT`."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nfor name in {ABSENT}: sys.modules[name] = None\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(autouse=True)
def time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is, no part is cut short that a test does not cut short."""
    for part in gpu.PARTS:
        monkeypatch.setitem(gpu.PARTS, part, 600.0)


def measure(folder: Path, *more: str) -> dict[str, Any]:
    line = ["--device", "cpu", "--quick", "--threads", "1", "--limit", "3600", "--results", str(folder), *more]
    gpu.main(line)
    result: dict[str, Any] = json.loads((folder / "gpu.json").read_text())
    return result


def test_parts_run_and_are_not_run_again(bare: None, tmp_path: Path) -> None:
    first = measure(tmp_path, "--parts", "refine", "prior", "memory", "clips")["parts"]
    assert [part["ended"] for part in first.values()] == ["well"] * 4
    rows = {name: part["result"]["rows"] for name, part in first.items()}
    assert [row["case"] for row in rows["refine"]] == ["tiny", "120x80"] and rows["refine"][0]["median_ms"] > 0
    assert [row["largest_difference"] for row in rows["prior"] if "largest_difference" in row] == [0.0, 0.0]
    parts = next(row for row in rows["memory"] if row["mode"] == "parts")
    assert parts["steps"][-1]["parts"] > 1 and parts["largest_difference"] < 1e-2
    assert rows["clips"][0]["frames_per_s"] > 0 and {"prior", "refine", "foreground"} <= set(
        rows["clips"][0]["seconds_a_frame"]
    )
    assert measure(tmp_path, "--parts", "refine", "prior")["parts"] == first
    assert json.loads((tmp_path / "gpu-refine.json").read_text()) == first["refine"]["result"]


def test_engines_are_measured_without_matplotlib(bare: None, tmp_path: Path) -> None:
    part = measure(tmp_path, "--parts", "engines-tiles")["parts"]["engines-tiles"]
    assert part["ended"] == "well" and part["result"]["speed"] and not list(tmp_path.glob("*.png"))


def test_a_part_that_takes_too_long_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def command(part: str, wanted: Any) -> list[str]:
        if part != "refine":
            return [sys.executable, "-c", "raise SystemExit('no GPU')"]
        (tmp_path / "gpu-refine.json").write_text(json.dumps({"rows": [1]}))  # as by its process, before its time ends
        return [sys.executable, "-c", "import time; time.sleep(3600)"]

    monkeypatch.setattr(gpu, "command", command)
    monkeypatch.setitem(gpu.PARTS, "refine", 0.5)
    with pytest.raises(SystemExit, match="refine, prior"):
        measure(tmp_path, "--parts", "refine", "prior")
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["refine"]["ended"] == "late" and parts["refine"]["result"] == {"rows": [1]}
    assert parts["prior"]["ended"] == "exit code 1" and "no GPU" in parts["prior"]["log"]
    assert gpu.before(tmp_path / "gpu.json", json.loads((tmp_path / "gpu.json").read_text())) == {}


def test_all_parts_fit_their_time_and_have_a_command() -> None:
    assert set(gpu.OTHERS) == set(gpu_parts.PARTS)
    assert {f"engines-{name}" for name in gpu.ENGINES} | set(gpu.OTHERS) == set(gpu.PARTS)
    with pytest.raises(SystemExit):
        gpu.main(["--parts", "nothing"])


def test_no_time_left_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="Not measured whole: refine"):
        measure(tmp_path, "--parts", "refine", "--limit", "1")
    assert json.loads((tmp_path / "gpu.json").read_text())["parts"]["refine"]["ended"] == "not begun"
