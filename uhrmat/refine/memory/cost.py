"""Memory that a refiner needs, as bytes per pixel that were measured.

They are measured for each device, engine, precision and network by `uhrmat doctor --calibrate` (`refine.calibrate`)
and stored with the machine they were measured on: in bytes_per_pixel.json of this package, and in a user's own file,
whose entries count before those of the package.
"""

from __future__ import annotations

import json
import math
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from uhrmat.refine.memory.tiling import CELL

CALIBRATION = Path(__file__).with_name("bytes_per_pixel.json")


@dataclass(frozen=True, kw_only=True)
class CostParams:
    """Parameters of the estimates of memory. Results depend on them only where a picture does not fit.

    Attributes:
        margin: Factor on measured bytes: trimaps differ in how much their coarse levels hold. Not tuned; `python -m
            benchmarks.budget` shows the memory that runs within a limit reach.
        fixed_on_gpu: Bytes of a GPU that was not calibrated: windows, their convolution and the library's workspace.
            An estimate.
        larger_network: Bytes per pixel of a network that was not measured, as a multiple of SHM `lite`'s: the paper's
            has four to five times its channels. An estimate.
    """

    margin: float = 1.1
    fixed_on_gpu: int = 3 << 28
    larger_network: float = 6.0


COST = CostParams()


@dataclass(frozen=True)
class Cost:
    """Memory of a network on an engine: bytes = fixed + per_pixel * load.

    The load counts what an engine holds: `tiles` the pixels of all tiles with active ones, `dense` the pixels of the
    window, others the active pixels.

    Attributes:
        engine: Name of the engine.
        per_pixel: Bytes for each pixel of the load.
        fixed: Bytes whatever the load.
        estimated: Whether this was not measured.
    """

    engine: str
    per_pixel: float
    fixed: float
    estimated: bool = False

    def load(self, cells: np.ndarray) -> int:
        """Load of a window, given as the active pixels of its cells (`tiling.count_cells`)."""
        if self.engine == "tiles":
            return int(np.count_nonzero(cells)) * CELL * CELL
        return cells.size * CELL * CELL if self.engine == "dense" else int(cells.sum(dtype=np.int64))

    def bytes(self, load: int) -> int:
        """Bytes for a load."""
        return math.ceil(self.fixed + self.per_pixel * load)

    def capacity(self, limit: int) -> int:
        """The load that fits into `limit` bytes; for `bytes(load)` it is never less than that load."""
        return max(0, int((limit - self.fixed) / self.per_pixel + 1e-6))


def user_calibration() -> Path:
    """The user's own table: below XDG_CACHE_HOME, on Windows LOCALAPPDATA, else ~/.cache."""
    variable = "LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME"
    return Path(os.environ.get(variable) or "~/.cache").expanduser() / "uhrmat" / CALIBRATION.name


@cache
def load_calibration() -> dict[str, Any]:
    """The table of the package with the user's own entries over it. A user's file that cannot be read is left out.

    Returns:
        cells: {"device/engine/precision/network": {"per_pixel", "fixed"}}, bytes; machines: where they were measured.
    """
    table: dict[str, Any] = json.loads(CALIBRATION.read_text("utf-8"))
    try:
        own = json.loads(user_calibration().read_text("utf-8"))
        entries = {key: entry for key, entry in own["cells"].items() if float(entry["per_pixel"]) > 0 <= entry["fixed"]}
        return {"machines": table["machines"] | own["machines"], "cells": table["cells"] | entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return table


def cost_of(device: str, engine: str, dtype: torch.dtype, network: str, params: CostParams = COST) -> Cost:
    """Look up or estimate the cost of a network.

    Args:
        device: Like "cpu" or "cuda:0".
        engine: Name of the engine.
        dtype: Of the arithmetic.
        network: Name in the table of measurements, like "lite" or "ddfe-line".
        params: Margin and estimates.

    Returns:
        The measured cost, or one estimated from the CPU's tiles by the size of a number.
    """
    cells = load_calibration()["cells"]
    kind, precision = torch.device(device).type, str(dtype).rpartition(".")[2]
    measured = cells.get(f"{kind}/{engine}/{precision}/{network}")
    if measured:
        return Cost(engine, measured["per_pixel"] * params.margin, measured["fixed"])
    known = cells.get(f"cpu/tiles/float32/{network}") or cells["cpu/tiles/float32/lite"]
    factor = dtype.itemsize / 4 * (1.0 if f"cpu/tiles/float32/{network}" in cells else params.larger_network)
    fixed = known["fixed"] + (0 if kind == "cpu" else params.fixed_on_gpu)
    return Cost(engine, known["per_pixel"] * params.margin * factor, fixed, estimated=True)
