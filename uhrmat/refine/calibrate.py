"""Measures the memory that refiners need: bytes per pixel for each device, engine, precision and network.

`uhrmat doctor --calibrate` runs `calibrate` and writes a user's own table, whose entries count before those of the
package's (`memory.cost`). A ring of active pixels is refined at two sizes, each in a process of its own; slope and
intercept come from how much the memory grows. On the CPU that is the growth of the largest resident size (Linux:
/proc/self/clear_refs resets it), with one thread: more threads change a few megabytes only. On a GPU it is what the
ring takes beside the same picture with hardly an active pixel, on the path that ships (`resident.run`), whose planes
are reckoned by themselves (`resident_bytes`).
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from uhrmat.core.children import command, environment
from uhrmat.core.devices import PRECISIONS
from uhrmat.core.errors import UhrmatError
from uhrmat.core.memory import resident_memory
from uhrmat.media import Picture, atomic_write
from uhrmat.refine.base import RefineInput
from uhrmat.refine.ddfe.network import DDFE
from uhrmat.refine.ddfe.refiner import DDFERefiner
from uhrmat.refine.layers import SparseConv
from uhrmat.refine.memory.cost import Cost, load_calibration, user_calibration
from uhrmat.refine.memory.tiling import count_cells
from uhrmat.refine.resident.run import HostPlanes, refine_on_device
from uhrmat.refine.shm.network import SHM
from uhrmat.refine.shm.refiner import SHMRefiner
from uhrmat.refine.sparse_refiner import full_window
from uhrmat.sparse.choose import candidate_engines
from uhrmat.sparse.resident import TILE
from uhrmat.sparse.resident_tiles import largest_windows
from uhrmat.sparse.spconv_engine import SPCONV_TYPES

_RING = 32
"""Width of a ring, pixels: what the unknown band of a trimap has at least once it is dilated."""
_WARM_UP = 256
"""Side of the picture that is refined first, so that libraries have allocated what they keep."""
_NO_LIMIT = 1 << 60
"""Bytes."""


@dataclass(frozen=True)
class Cell:
    """One entry of the table.

    Attributes:
        engine: One of `sparse.ENGINES`, without "auto".
        precision: One of `core.devices.PRECISIONS`.
        network: "lite" or "paper" for SHM, "ddfe-line" or "ddfe-paper".
    """

    engine: str
    precision: str
    network: str

    def key(self, device: str) -> str:
        """Name in the table, like "cpu/tiles/float32/lite"."""
        dtype = str(PRECISIONS[self.precision]).rpartition(".")[2]
        return f"{torch.device(device).type}/{self.engine}/{dtype}/{self.network}"

    def sides(self) -> tuple[int, int]:
        """Sides of the two pictures, pixels: as large as half a minute and 2 GB allow."""
        if self.network == "paper":
            return (192, 512) if self.engine == "dense" else (384, 1152)
        return (384, 1024) if self.engine == "dense" else (768, 2304)


def cells(device: str) -> list[Cell]:
    """All cells of a kind of device that can be measured on it, those used most first."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        engines = {name for precision in PRECISIONS.values() for name in candidate_engines(device, precision)}
        names = product(("tiles", "spconv"), ("fp16", "bf16", "fp32"), ("lite", "paper"))
        able = [Cell(*name) for name in names if name[0] in engines and _computes_in(name[0], name[1])]
    else:
        able = [Cell(*name) for name in product(("tiles", "dense"), ("fp32", "bf16"), ("lite", "paper"))]
    ddfe = product(("fp16", "fp32") if on_gpu else ("fp32",), ("line", "paper"))
    return [*able, *(Cell("tiles", precision, f"ddfe-{size}") for precision, size in ddfe)]


def _computes_in(engine: str, precision: str) -> bool:
    return engine != "spconv" or PRECISIONS[precision] in SPCONV_TYPES


def calibrate(
    device: str,
    wanted: Iterable[Cell] | None = None,
    path: Path | None = None,
    progress: Callable[[str, dict[str, Any]], None] = lambda key, entry: None,
    skipped: Callable[[str, str], None] = lambda key, why: None,
    sides: tuple[int, int] | None = None,
) -> Path:
    """Measure cell by cell and store each when it is done.

    Args:
        device: Like "cpu" or "cuda:0".
        wanted: What is measured; None takes all cells of the device.
        path: The table; None takes the user's own, `memory.cost.user_calibration`.
        progress: Called with each cell's key and entry.
        skipped: Called with the key of each cell that could not be measured, and why; the others are measured.
        sides: Of the two pictures, pixels, instead of each cell's own.

    Returns:
        The table's path.

    Raises:
        UhrmatError: This system does not tell how much memory a process took at most, or no cell could be measured.
    """
    if torch.device(device).type != "cuda" and not Path("/proc/self/clear_refs").exists():
        raise UhrmatError("Memory can be measured on Linux or on a CUDA device only.", "Keep the table of the package.")
    path = user_calibration() if path is None else path
    failure, stored = None, 0
    for cell in cells(device) if wanted is None else wanted:
        try:
            entry = measure_cell(device, cell, sides or cell.sides())
        except UhrmatError as error:
            failure = error
            skipped(cell.key(device), error.message)
            continue
        store_entry(path, cell.key(device), entry, {torch.device(device).type: describe_machine(device)})
        progress(cell.key(device), entry)
        stored += 1
    if failure is not None and not stored:
        raise failure
    return path


def measure_cell(device: str, cell: Cell, sides: tuple[int, int]) -> dict[str, Any]:
    """Slope and intercept from two sizes, each in a fresh process, as an entry of the table.

    Raises:
        UhrmatError: One of them could not be measured.
    """
    if torch.device(device).type == "cuda" and cell.engine == "tiles":
        sides = sides_below_cap(cell, sides, largest_windows(torch.device(device)))
    low, high = (_run(device, cell, side) for side in sides)
    slope = (high["bytes"] - low["bytes"]) / (high["load"] - low["load"])
    return {
        "per_pixel": round(slope, 1),
        "fixed": max(0, round(low["bytes"] - slope * low["load"])),
        "per_active_pixel_of_the_ring": round(slope * high["load"] / high["active"], 1),
        "loads": [low["load"], high["load"]],
    }


def sides_below_cap(cell: Cell, sides: tuple[int, int], cap: int) -> tuple[int, int]:
    """The two sides, the larger one reduced until no layer's windows exceed the bytes that are gathered at once: above
    them memory grows no more with the pixels, and a slope would promise too much.

    Args:
        cell: Of the tiles engine.
        sides: Of the two pictures, pixels.
        cap: Bytes, see `resident_tiles.largest_windows`.

    Raises:
        UhrmatError: The pictures would be too much alike.
    """
    layers = (layer for layer in _network(cell).modules() if isinstance(layer, SparseConv))
    widest = max(layer.weight.shape[0 if layer.kind == "inverse" else 1] for layer in layers)
    of_pixel = widest * PRECISIONS[cell.precision].itemsize * (TILE + 2) ** 2 / TILE**2
    low, high = sides
    while _load(cell, ring_mask(high)) * of_pixel > cap:
        high = high * 7 // 8
        if 2 * high < 3 * low:
            raise UhrmatError(
                f"The GPU gathers windows of {cap:,} bytes at once, too few for pictures of {low} and {high} pixels.",
                "Keep the estimate, or use a GPU with more memory.",
            )
    return low, high


def store_entry(path: Path, key: str, entry: dict[str, Any], machines: dict[str, Any]) -> None:
    """Put one entry, and where it was measured, into a table, which is made where there is none."""
    stored = json.loads(path.read_text("utf-8")) if path.exists() else {}
    entries = stored.get("cells", {}) | {key: entry}
    table = {"machines": stored.get("machines", {}) | machines, "cells": dict(sorted(entries.items()))}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(table, indent=1) + "\n", "utf-8")
    load_calibration.cache_clear()


def describe_machine(device: str) -> dict[str, Any]:
    """Processor, versions and date of a measurement."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    processor = torch.cuda.get_device_name(device) if device.startswith("cuda") else (names or [platform.machine()])[0]
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "threads": 1,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "system": platform.platform(),
        "date": time.strftime("%Y-%m-%d"),
    }


def _run(device: str, cell: Cell, side: int) -> dict[str, int]:
    """Load, active pixels and bytes of one picture, measured in a fresh process."""
    wanted = json.dumps([device, cell.engine, cell.precision, cell.network, side])
    child = subprocess.run(
        command("uhrmat.refine.calibrate"), input=wanted, env=environment(), capture_output=True, text=True
    )
    if child.returncode:
        reason = (child.stderr.strip().splitlines() or ["no message"])[-1][:160]
        raise UhrmatError(f"{cell.key(device)} could not be measured ({reason}).", "See `uhrmat doctor`.")
    measured: dict[str, int] = json.loads(child.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """The child process: measures one picture, given as JSON on stdin, and prints the result as JSON."""
    device, engine, precision, network, side = json.loads(sys.stdin.read())
    print(json.dumps(measure(device, Cell(engine, precision, network), side)))


def measure(device: str, cell: Cell, side: int) -> dict[str, int]:
    """Refine one picture and measure. Needs a process of its own: memory is not given back in between.

    Returns:
        load: see `memory.cost.Cost`; active: active pixels; bytes: by which the memory grew.
    """
    torch.manual_seed(0)
    torch.set_num_threads(1)
    refiner, inputs = _untrained(device, cell), ring_input(side)
    if torch.device(device).type == "cuda":
        _grown_on_gpu(refiner, ring_input(_WARM_UP), device)
        empty = np.zeros_like(inputs.active)
        empty[side // 2, side // 2] = True
        planes = _grown_on_gpu(refiner, replace(inputs, active=empty), device)
        grown = _grown_on_gpu(refiner, inputs, device) - planes
    else:
        for one in (ring_input(_WARM_UP), inputs):
            alpha, start = np.ones(one.size, np.float32), _reset(device)
            refiner.prepare(one, alpha)(full_window(one.size))
            refiner.finish(one, alpha)
            grown = _peak(device) - start
    return {"load": _load(cell, inputs.active), "active": int(np.count_nonzero(inputs.active)), "bytes": grown}


def _grown_on_gpu(refiner: SHMRefiner | DDFERefiner, inputs: RefineInput, device: str) -> int:
    """Bytes by which a GPU's memory grows where it refines a picture at once.

    Raises:
        UhrmatError: The memory ran out.
    """
    host = HostPlanes(inputs.picture, inputs.small, inputs.prior, inputs.trimap, inputs.active)
    start = _reset(device)
    done = refine_on_device(refiner, host, "parts", _NO_LIMIT, finished=True)
    if any(step.parts > 1 for step in done.outcome.steps):
        raise UhrmatError(f"The GPU's memory does not hold a picture of {inputs.size[0]} pixels.", "Free some of it.")
    return _peak(device) - start


def _load(cell: Cell, active: np.ndarray) -> int:
    return Cost(cell.engine, 1, 0).load(count_cells(active))


def _network(cell: Cell) -> SHM | DDFE:
    """Untrained."""
    size = cell.network.removeprefix("ddfe-")
    return DDFE(size) if cell.network.startswith("ddfe-") else SHM(size)


def _untrained(device: str, cell: Cell) -> SHMRefiner | DDFERefiner:
    kind = DDFERefiner if cell.network.startswith("ddfe-") else SHMRefiner
    with tempfile.TemporaryDirectory() as folder:
        weights = str(Path(folder) / "w.safetensors")
        save_file(_network(cell).state_dict(), weights, {"size": cell.network.removeprefix("ddfe-")})
        return kind(weights, cell.engine, PRECISIONS[cell.precision], device)


def ring_input(side: int) -> RefineInput:
    """A square of noise with a noisy prior and three rings of active, unknown pixels."""
    rng = np.random.default_rng(0)
    picture = Picture.from_array(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
    small, prior = rng.random((128, 128, 3), np.float32), rng.random((128, 128), np.float32)
    active = ring_mask(side)
    return RefineInput(picture, small, prior, np.where(active, 128, 0).astype(np.uint8), active)


def ring_mask(side: int) -> np.ndarray:
    """Three rings, (side, side) bool."""
    y, x = np.mgrid[:side, :side].astype(np.float32) - side / 2
    distance = np.hypot(y, x)
    return np.asarray(
        np.logical_or.reduce([np.abs(distance - side * share) < _RING / 2 for share in (0.2, 0.32, 0.44)])
    )


def _reset(device: str) -> int:
    """Starts a new maximum; returns the bytes that are held now."""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()  # what was freed before must not count
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    Path("/proc/self/clear_refs").write_text("5")
    return resident_memory()


def _peak(device: str) -> int:
    """The maximum since `_reset`, bytes."""
    if device.startswith("cuda"):
        return int(torch.cuda.max_memory_reserved(device))
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
