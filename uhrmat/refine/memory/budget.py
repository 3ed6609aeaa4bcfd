"""The memory that a refiner may take, and the retry with less where it runs out. What it needs is in `cost`."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from uhrmat.core.devices import free_gpu_memory
from uhrmat.core.errors import MemoryBudgetError
from uhrmat.core.memory import available_memory, prior_process_memory, resident_memory
from uhrmat.core.units import format_bytes, suggest_limit

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class BudgetParams:
    """Parameters of the memory budget. Results depend on them only where a picture does not fit.

    Attributes:
        cpu_share: Share of the free memory that may be taken on the CPU where no limit is given. Not tuned.
        cuda_share: The same on a GPU. Not tuned.
        smallest_part: Load of the smallest parts, pixels (`cost.Cost.load`): below, most of the work would be halos.
            Not tuned.
    """

    cpu_share: float = 0.5
    cuda_share: float = 0.8
    smallest_part: int = 1 << 18


BUDGET = BudgetParams()
_sharing = 1
_MESSAGES = (
    "out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation",
    "cublas_status_alloc_failed", "cudnn_status_alloc_failed", "device_allocation_failed",
    "unable to find an engine", "cudaerrormemoryallocation",
)  # fmt: skip
"""Parts of the messages of libraries whose memory has run out, in small letters. cuBLAS and cuDNN allocate beside
torch's allocator; cuDNN finds "no engine" where no workspace is left for any."""


def set_workers_per_device(workers: int) -> None:
    """Set how many processes refine on this process's device.

    Args:
        workers: Their number, this process included.
    """
    global _sharing
    _sharing = max(1, workers)


def refiner_limit(device: str, max_memory: int | None, params: BudgetParams = BUDGET) -> int:
    """Bytes that the refiner may take now.

    What torch holds in reserve counts as free, so that the limit does not depend on what ran before. Several workers on
    one device (`set_workers_per_device`) take equal parts of what is free.

    Args:
        device: Like "cpu" or "cuda:0".
        max_memory: Bytes in all: on the CPU of this process and of the prior's, elsewhere of the device; None takes a
            share of what is free.
        params: The shares.

    Returns:
        Bytes beside those that are held already; on the CPU negative where more than `max_memory` is held.
    """
    if device.startswith("cuda"):
        return max_memory or int(params.cuda_share * free_gpu_memory(device) / _sharing)
    if max_memory is None:
        return int(params.cpu_share * available_memory() / _sharing)
    return max_memory - resident_memory() - prior_process_memory()


def check_total(device: str, max_memory: int | None, needed: int, what: str) -> None:
    """Check that a stage fits the limit on the CPU.

    Args:
        device: Only "cpu" is checked.
        max_memory: Bytes in all, or None for no limit.
        needed: Bytes of the stage beside those that are held now.
        what: The stage, for the error.

    Raises:
        MemoryBudgetError: The stage would exceed the limit.
    """
    if max_memory is None or device != "cpu":
        return
    total = resident_memory() + prior_process_memory() + needed
    if total > max_memory:
        raise MemoryBudgetError(
            f"{format_bytes(max_memory)} of memory are too little: {what} needs {format_bytes(total)} in all.",
            f"Give --max-memory {suggest_limit(total)} or more.",
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or on a device, by an exception's type and message."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(message in str(error).lower() for message in _MESSAGES)


def retry_with_less_memory(
    work: Callable[[int], T], budget: int, minimum: int, restore: Callable[[], None] = lambda: None
) -> T:
    """Call work(budget), and again with half of the budget each time that memory runs out.

    Where the smallest budget was the first one, the same is tried once more: memory that libraries kept in reserve is
    free then.

    Args:
        work: Does everything within so many bytes.
        budget: Bytes of the first try.
        minimum: Bytes of the last try.
        restore: Undoes what a failed try has written, so that the next one starts from the same state.

    Returns:
        The result of `work`.

    Raises:
        MemoryBudgetError: The smallest budget was too much. Other errors of `work` pass through.
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
