"""Measure how many bytes the refiner takes per pixel: for each engine, precision and network, in fresh processes.

Run from the repository: `python -m benchmarks.calibrate [--device cuda]`; it updates
uhrmat/refine/memory/bytes_per_pixel.json, which budgets are reckoned with. A ring of active pixels is refined at two
sizes; what the memory grows by gives slope and intercept. On the CPU that is the growth of the largest resident size
(Linux:
/proc/self/clear_refs resets it), with one thread, which changes a few megabytes only and is kind to a busy machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from uhrmat.core.devices import PRECISIONS
from uhrmat.core.memory import resident_memory
from uhrmat.media import Picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.memory.cost import CALIBRATION, Cost
from uhrmat.refine.memory.tiling import count_cells
from uhrmat.refine.shm.network import SHM
from uhrmat.refine.shm.refiner import SHMRefiner

WIDTH = 32
"""Of the ring, pixels: what a trimap's band widened by 7 on either side has at least."""
SIDES = {("tiles", "lite"): (768, 2304), ("tiles", "paper"): (384, 1152), ("dense", "lite"): (384, 1024)}
SIDES[("dense", "paper")] = (192, 512)
SIDES[("spconv", "lite")], SIDES[("spconv", "paper")] = SIDES[("tiles", "lite")], SIDES[("tiles", "paper")]


def ring(side: int) -> np.ndarray:
    """(side, side) bool: three rings, WIDTH wide."""
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    distance = np.hypot(y, x)
    return np.logical_or.reduce([np.abs(distance - side * share) < WIDTH / 2 for share in (0.2, 0.32, 0.44)])


def job(side: int) -> RefineInput:
    """Noise with a smooth prior and the ring."""
    rng = np.random.default_rng(0)
    picture = Picture.from_array(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    small, prior = rng.random((128, 128, 3), np.float32), rng.random((128, 128), np.float32)
    active = ring(side)
    return RefineInput(picture, small, prior, np.where(active, 128, 0).astype(np.uint8), active)


def measure(device: str, engine: str, precision: str, network: str, side: int) -> None:
    """Prints load, active pixels and bytes of one refine, as JSON. To be run in a process of its own."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "w.safetensors"
        save_file(SHM(network).state_dict(), weights, {"size": network})
        refiner = SHMRefiner(str(weights), engine, PRECISIONS[precision], device)
    warm = job(256)
    refiner.refine(warm, np.zeros(warm.size, np.float32))
    work = job(side)
    alpha, cells = np.ones(work.size, np.float32), count_cells(work.active)
    load = Cost(refiner.engine, 1, 0).load(cells)
    start = _reset(device)
    refiner.refine(work, alpha)
    print(json.dumps({"load": load, "active": int(cells.sum()), "bytes": _peak(device) - start}))


def _reset(device: str) -> int:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    Path("/proc/self/clear_refs").write_text("5")
    return resident_memory()


def _peak(device: str) -> int:
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_reserved(device))
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def cell(device: str, engine: str, precision: str, network: str) -> dict[str, float]:
    """Slope and intercept from two sizes, each in a fresh process."""
    found = []
    for side in SIDES[engine, network]:
        code = (
            f"import benchmarks.calibrate as c; c.measure({device!r}, {engine!r}, {precision!r}, {network!r}, {side})"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        found.append(json.loads(done.stdout.splitlines()[-1]))
    low, high = found
    slope = (high["bytes"] - low["bytes"]) / (high["load"] - low["load"])
    return {
        "per_pixel": round(slope, 1),
        "fixed": max(0, round(low["bytes"] - slope * low["load"])),
        "per_active_pixel_of_the_ring": round(slope * high["load"] / high["active"], 1),
        "loads": [low["load"], high["load"]],
    }


def machine(device: str) -> dict[str, object]:
    """Where and with what this was measured."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    cuda = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "processor": cuda or names[0],
        "cores": os.cpu_count(),
        "threads": 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
    }


def names(kind: str) -> list[tuple[str, str, str]]:
    """(engine, precision, network) of all cells of a kind of device, the usual ones first."""
    if kind == "cuda":
        return list(product(("tiles", "spconv"), ("fp16", "bf16", "fp32"), ("lite", "paper")))
    return list(product(("tiles", "dense"), ("fp32", "bf16"), ("lite", "paper")))


def main() -> None:
    """Measures cell by cell; each is stored when it is done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="cells whose name holds this, like tiles/float32/lite")
    options = parser.parse_args()
    kind = torch.device(options.device).type
    for engine, precision, network in names(kind):
        name = f"{kind}/{engine}/{str(PRECISIONS[precision]).rpartition('.')[2]}/{network}"
        if options.only in name:
            found = cell(options.device, engine, precision, network)
            print(name, found, flush=True)
            store(name, found, {kind: machine(options.device)})


def store(name: str, found: dict[str, float], where: dict[str, object]) -> None:
    """Puts one cell into the package's file."""
    stored = json.loads(CALIBRATION.read_text()) if CALIBRATION.exists() else {}
    machines, cells = stored.get("machines", {}) | where, stored.get("cells", {}) | {name: found}
    CALIBRATION.write_text(json.dumps({"machines": machines, "cells": dict(sorted(cells.items()))}, indent=1) + "\n")


if __name__ == "__main__":
    main()
