"""How much memory a refiner needs, how much there is, and what to do when that was wrong.

Bytes per pixel are measured by `python -m benchmarks.calibrate`, for each device, engine, precision and network, and
stored in bytes_per_pixel.json with the machine they were measured on.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from uhrmat.core.devices import free_gpu_memory
from uhrmat.core.errors import MemoryBudgetError
from uhrmat.core.memory import available_memory, prior_process_memory, resident_memory
from uhrmat.core.units import format_bytes, suggest_limit
from uhrmat.refine.memory.parts import CELL

T = TypeVar("T")
_sharing = 1
CALIBRATION = Path(__file__).with_name("bytes_per_pixel.json")
CPU_SHARE, CUDA_SHARE = 0.5, 0.8
"""Of what is free, what may be taken where nobody names a limit."""
MARGIN = 1.1
"""On measured bytes: bands differ in how much their coarse levels hold."""
MINIMUM = 1 << 18
"""Pixels in the smallest parts that are worth their halos."""
_GPU_FIXED = 3 << 28
"""Guess for a GPU that was not calibrated: windows, their convolution and the library's workspace."""
_LARGER = 6.0
"""Guess for a network that was not measured, against `lite`: the paper's has four to five times its channels."""
_MESSAGES = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation",
    "cublas_status_alloc_failed", "cudnn_status_alloc_failed", "device_allocation_failed",
    "unable to find an engine", "cudaerrormemoryallocation",
)  # fmt: skip
"""What the libraries say when memory has run out, in small letters. cuBLAS and cuDNN take theirs beside torch's
allocator; cuDNN finds "no engine" where no workspace is left for any."""


@dataclass(frozen=True)
class Cost:
    """Bytes = fixed + per_pixel * load. The load counts what an engine holds: `tiles` the pixels of all tiles with
    active ones, `dense` the pixels of the window, others the active pixels."""

    engine: str
    per_pixel: float
    fixed: float
    estimated: bool = False

    def load(self, cells: np.ndarray) -> int:
        """cells: of `parts.count_cells`."""
        if self.engine == "tiles":
            return int(np.count_nonzero(cells)) * CELL * CELL
        return cells.size * CELL * CELL if self.engine == "dense" else int(cells.sum(dtype=np.int64))

    def bytes(self, load: int) -> int:
        return math.ceil(self.fixed + self.per_pixel * load)

    def capacity(self, limit: int) -> int:
        """The load that fits into `limit` bytes; for `bytes(load)` it is never less than that load."""
        return max(0, int((limit - self.fixed) / self.per_pixel + 1e-6))


@cache
def load_calibration() -> dict[str, Any]:
    """cells: {"device/engine/precision/network": {"per_pixel", "fixed"}}, bytes; machine: where they were measured."""
    return json.loads(CALIBRATION.read_text())


def cost_of(device: str, engine: str, dtype: torch.dtype, network: str) -> Cost:
    """The measured cost, or for what was not measured one estimated from the CPU's tiles by the size of a number."""
    cells = load_calibration()["cells"]
    kind, precision = torch.device(device).type, str(dtype).rpartition(".")[2]
    found = cells.get(f"{kind}/{engine}/{precision}/{network}")
    if found:
        return Cost(engine, found["per_pixel"] * MARGIN, found["fixed"])
    known = cells.get(f"cpu/tiles/float32/{network}") or cells["cpu/tiles/float32/lite"]
    factor = dtype.itemsize / 4 * (1.0 if f"cpu/tiles/float32/{network}" in cells else _LARGER)
    fixed = known["fixed"] + (0 if kind == "cpu" else _GPU_FIXED)
    return Cost(engine, known["per_pixel"] * MARGIN * factor, fixed, estimated=True)


def set_workers_per_device(workers: int) -> None:
    """Says how many processes, this one counted, refine on this one's device."""
    global _sharing
    _sharing = max(1, workers)


def refiner_limit(device: str, max_memory: int | None) -> int:
    """Bytes that the refiner may take now; on the CPU `max_memory` is the total of this process and of the prior's,
    elsewhere the device's. What torch holds in reserve counts as free: the limit does not depend on what ran before.
    Several workers on one device (`set_workers_per_device`) take equal parts of what is free."""
    if device.startswith("cuda"):
        return max_memory or int(CUDA_SHARE * free_gpu_memory(device) / _sharing)
    if max_memory is None:
        return int(CPU_SHARE * available_memory() / _sharing)
    return max_memory - resident_memory() - prior_process_memory()


def check_total(device: str, max_memory: int | None, needed: int, what: str) -> None:
    """Raises MemoryBudgetError where `needed` bytes more than are held now would pass `max_memory` on the CPU."""
    if max_memory is None or device != "cpu":
        return
    total = resident_memory() + prior_process_memory() + needed
    if total > max_memory:
        raise MemoryBudgetError(
            f"{format_bytes(max_memory)} of memory are too little: {what} needs {format_bytes(total)} in all.",
            f"Give --max-memory {suggest_limit(total)} or more.",
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on the CPU or on a device."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in _MESSAGES)


def retry_with_less_memory(
    work: Callable[[int], T], budget: int, minimum: int, restore: Callable[[], None] = lambda: None
) -> T:
    """work(budget), and again with half of it each time that memory runs out, down to `minimum` bytes, and where that
    was all there was, with the same once more: what libraries kept in reserve is free then.

    restore: undoes what a try that failed has written, so that the next one starts from the same state. Other errors
    pass through. Raises MemoryBudgetError when the smallest budget was too much.
    """
    tried, again = budget, True
    while True:
        try:
            return work(tried)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
        # Outside the handler, where the error no longer keeps the work's buffers alive.
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        if tried <= minimum and not again:
            raise MemoryBudgetError(
                f"The memory ran out, even with a budget of {format_bytes(tried)} for the refiner ({reason}).",
                "Close other programs, or use --device cpu.",
            )
        restore()
        tried, again = max(minimum, tried // 2), False
