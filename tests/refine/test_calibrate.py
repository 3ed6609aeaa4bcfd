"""Calibration measures bytes per pixel in processes of its own; a user's table counts before the package's."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from uhrmat.core.errors import UhrmatError
from uhrmat.refine import calibrate as calibration
from uhrmat.refine.calibrate import Cell, calibrate, cells, measure, ring_input, ring_mask, sides_below_cap, store_entry
from uhrmat.refine.memory.cascade import RefineStep
from uhrmat.refine.memory.cost import CALIBRATION, COST, cost_of, load_calibration, user_calibration
from uhrmat.refine.resident.run import HostPlanes, HostResult
from uhrmat.refine.runner import RefineOutcome


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    load_calibration.cache_clear()
    yield tmp_path
    load_calibration.cache_clear()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the largest resident size is reset on Linux only")
def test_a_cell_is_measured_and_stored_in_the_users_table(own_cache: Path) -> None:
    lines: list[str] = []
    wanted = [Cell("tiles", "fp32", "ddfe-paper")]
    path = calibrate("cpu", wanted, sides=(128, 320), progress=lambda key, entry: lines.append(key))
    assert path == user_calibration() and own_cache in path.parents and lines == ["cpu/tiles/float32/ddfe-paper"]
    stored = json.loads(path.read_text())
    assert {"processor", "torch", "date", "threads"} <= set(stored["machines"]["cpu"])
    assert list(stored["cells"]) == lines and len(stored["cells"][lines[0]]["loads"]) == 2


def test_a_users_entry_counts_before_the_packages() -> None:
    before = cost_of("cpu", "tiles", torch.float32, "lite").per_pixel
    entry = {"per_pixel": 1234.0, "fixed": 7}
    store_entry(user_calibration(), "cpu/tiles/float32/lite", entry, {"cpu": {"date": "2030-01-01"}})
    after = cost_of("cpu", "tiles", torch.float32, "lite")
    assert after.per_pixel == pytest.approx(1234.0 * COST.margin) != before and after.fixed == 7
    assert load_calibration()["machines"]["cpu"] == {"date": "2030-01-01"}
    assert "cpu/dense/float32/paper" in load_calibration()["cells"]


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 1}', '{"cells": {"a": {}}, "machines": {}}', "\x00"])
def test_a_users_table_that_is_broken_is_left_out(text: str) -> None:
    packaged = load_calibration()
    user_calibration().parent.mkdir(parents=True)
    user_calibration().write_text(text)
    load_calibration.cache_clear()
    assert load_calibration() == packaged


def test_what_is_measured_is_used_by_refiners() -> None:
    keys = {cell.key("cpu") for cell in cells("cpu")}
    assert keys == set(json.loads(CALIBRATION.read_text())["cells"])
    inputs = ring_input(64)
    assert inputs.size == (64, 64) and 0 < inputs.active.sum() < 64 * 64
    assert np.array_equal(inputs.trimap == 128, inputs.active)


@pytest.mark.parametrize("installed", [False, True])
def test_a_gpus_cells_are_those_that_its_engines_can_do(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if installed else None)
    made = cells("cuda:1")
    spconv = {cell.precision for cell in made if cell.engine == "spconv"}
    assert spconv == ({"fp16", "fp32"} if installed else set())
    assert {c.precision for c in made if c.engine == "tiles" and c.network == "lite"} == {"fp16", "bf16", "fp32"}
    assert Cell("tiles", "fp16", "ddfe-line") in made and len(set(made)) == len(made)


def test_a_cell_that_fails_is_skipped_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(device: str, cell: Cell, sides: tuple[int, int]) -> dict[str, float]:
        if cell.network == "paper":
            raise UhrmatError("No memory is left.")
        return {"per_pixel": 1.0, "fixed": 0}

    monkeypatch.setattr(calibration, "measure_cell", measure)
    skipped, wanted = dict[str, str](), [Cell("tiles", "fp32", name) for name in ("paper", "lite")]
    path = calibrate("cpu", wanted, skipped=lambda key, why: skipped.update({key: why}), sides=(8, 16))
    assert skipped == {"cpu/tiles/float32/paper": "No memory is left."}
    assert list(json.loads(path.read_text())["cells"]) == ["cpu/tiles/float32/lite"]
    with pytest.raises(UhrmatError, match="No memory"):
        calibrate("cpu", wanted[:1], sides=(8, 16))


def emulate_gpu(monkeypatch: pytest.MonkeyPatch, peaks: list[int]) -> list[int]:
    """Refiners of "cuda" that run on the CPU and report these peaks; returns the active pixels of each run."""
    made, refine, seen = calibration._untrained, calibration.refine_on_device, list[int]()
    monkeypatch.setattr(calibration, "_untrained", lambda device, cell: made("cpu", cell))

    def watched(refiner: Any, host: HostPlanes, *rest: Any, **named: Any) -> HostResult:
        assert host.active is not None
        seen.append(int(host.active.sum()))
        return refine(refiner, host, *rest, **named)

    monkeypatch.setattr(calibration, "refine_on_device", watched)
    monkeypatch.setattr(calibration, "_reset", lambda device: 1000)
    monkeypatch.setattr(calibration, "_peak", lambda device: peaks.pop(0))
    return seen


@pytest.mark.parametrize("network", ["lite", "ddfe-line"])
def test_a_gpu_is_measured_on_the_path_that_ships(network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ring takes beside the picture with a single active pixel: planes are reckoned by themselves."""
    seen = emulate_gpu(monkeypatch, [1 << 20, 301_000, 901_000])
    done = measure("cuda:0", Cell("tiles", "fp32", network), 300)
    active = int(ring_mask(300).sum())
    assert seen == [int(ring_mask(256).sum()), 1, active]
    assert done["bytes"] == 600_000 and done["active"] == active
    assert done["load"] == 256 * sum(
        ring_mask(300)[y : y + 16, x : x + 16].any() for y in range(0, 300, 16) for x in range(0, 300, 16)
    )


def test_a_picture_that_a_gpu_does_not_hold_at_once_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    emulate_gpu(monkeypatch, [1, 2, 3])
    step = RefineStep(1.0, 5, 5, 2)
    done = HostResult(np.zeros((1, 1)), np.zeros((1, 1)), RefineOutcome(np.zeros((1, 1), bool), [step]))
    monkeypatch.setattr(calibration, "refine_on_device", lambda *rest, **named: done)
    with pytest.raises(UhrmatError, match="256 pixels"):
        measure("cuda:0", Cell("tiles", "fp32", "lite"), 300)


def test_sizes_stay_below_the_bytes_of_windows_that_are_gathered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = [cell for cell in cells("cuda:0") if cell.engine == "tiles"]
    assert all(sides_below_cap(cell, cell.sides(), 1 << 30) == cell.sides() for cell in gpu)
    lite = Cell("tiles", "fp32", "lite")
    low, high = sides_below_cap(lite, (768, 2304), 1 << 28)
    assert low == 768 and 1152 <= high < 2304
    wider = sides_below_cap(Cell("tiles", "fp16", "lite"), (768, 2304), 1 << 28)
    assert high < wider[1]  # numbers of half the size, more pixels
    with pytest.raises(UhrmatError, match="too few for pictures of 768"):
        sides_below_cap(lite, (768, 2304), 1 << 26)
    asked = list[tuple[str, int]]()

    def run(device: str, cell: Cell, side: int) -> dict[str, int]:
        asked.append((device, side))
        return {"load": side, "active": side, "bytes": 3 * side}

    monkeypatch.setattr(calibration, "_run", run)
    monkeypatch.setattr(calibration, "largest_windows", lambda device: 1 << 28)
    assert calibration.measure_cell("cuda:0", lite, (768, 2304))["per_pixel"] == 3
    calibration.measure_cell("cpu", lite, (768, 2304))
    assert asked == [("cuda:0", 768), ("cuda:0", high), ("cpu", 768), ("cpu", 2304)]
