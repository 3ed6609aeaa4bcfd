"""Costs, limits, and less after the memory ran out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uhrmat import MemoryBudgetError
from uhrmat.core.devices import peak_memory
from uhrmat.core.memory import available_memory, resident_memory
from uhrmat.refine.memory.budget import check_total, refiner_limit, retry_with_less_memory
from uhrmat.refine.memory.cost import COST, Cost, cost_of, load_calibration


class Hungry:
    """Runs out of memory until the budget is small enough."""

    def __init__(self, error: Exception, enough: int) -> None:
        self.error, self.enough, self.budgets = error, enough, list[int]()

    def __call__(self, allowed: int) -> str:
        self.budgets.append(allowed)
        if allowed > self.enough:
            raise self.error
        return "done"


OUT_OF_MEMORY = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("MPS backend out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("GET was unable to find an engine to execute this computation"),
    RuntimeError("FIND was Unable to find an engine to execute this computation"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] data. DefaultCPUAllocator: not enough memory: you tried"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: str(error)[:24] or "none")
def test_the_budget_is_halved_each_time(error: Exception) -> None:
    work = Hungry(error, 300)
    assert retry_with_less_memory(work, 2000, 100) == "done"
    assert work.budgets == [2000, 1000, 500, 250]


def test_an_error_after_the_smallest_budget() -> None:
    work = Hungry(MemoryError(), 0)
    with pytest.raises(MemoryBudgetError, match="ran out"):
        retry_with_less_memory(work, 1000, 200)
    assert work.budgets == [1000, 500, 250, 200]


def test_the_smallest_budget_is_tried_once_more() -> None:
    """What was kept in reserve is free then."""
    tries: list[int] = []

    def work(allowed: int) -> str:
        tries.append(allowed)
        if len(tries) == 1:
            raise MemoryError
        return "done"

    assert retry_with_less_memory(work, 200, 200) == "done" and tries == [200, 200]
    tries = []
    with pytest.raises(MemoryBudgetError):
        retry_with_less_memory(Hungry(MemoryError(), 0), 200, 200)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes do not match"),
        RuntimeError("cuDNN error: CUDNN_STATUS_BAD_PARAM"),
        ValueError("no"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_pass_through(error: BaseException) -> None:
    work = Hungry(error, 0)  # type: ignore[arg-type]
    with pytest.raises(type(error)) as caught:
        retry_with_less_memory(work, 1000, 1)
    assert caught.value is error and work.budgets == [1000]


def test_engines_hold_different_pixels() -> None:
    cells = np.array([[0, 3, 256], [0, 0, 1]])
    assert Cost("tiles", 2, 100).load(cells) == 3 * 256
    assert Cost("dense", 2, 100).load(cells) == 6 * 256
    assert Cost("spconv", 2, 100).load(cells) == 260


def test_capacity_is_what_fits() -> None:
    cost = Cost("tiles", 2.5, 100)
    assert cost.bytes(cost.capacity(1100)) == 1100 and cost.capacity(1100) == 400
    assert cost.capacity(50) == 0


def test_what_was_measured_is_used_and_the_rest_is_estimated() -> None:
    cell = load_calibration()["cells"]["cpu/tiles/float32/lite"]
    measured = cost_of("cpu", "tiles", torch.float32, "lite")
    assert not measured.estimated and measured.per_pixel == pytest.approx(cell["per_pixel"] * COST.margin)
    guessed = cost_of("mps", "tiles", torch.float16, "lite")
    assert guessed.estimated and guessed.per_pixel == pytest.approx(measured.per_pixel / 2)
    other = cost_of("cpu", "tiles", torch.float32, "of another size")
    assert other.estimated and other.per_pixel > measured.per_pixel


def test_calibration_says_where_it_was_measured() -> None:
    stored = load_calibration()
    assert {"processor", "torch", "date", "threads"} <= set(stored["machines"]["cpu"])
    assert all(cell["per_pixel"] > 50 for cell in stored["cells"].values())


def test_the_cpu_limit_is_the_processes_total() -> None:
    held = resident_memory()
    # The kernel counts the two apart and in batches of pages.
    assert 0 < held <= 1.05 * peak_memory("cpu") and available_memory() > 0
    assert refiner_limit("cpu", held + 10**9) == pytest.approx(10**9, abs=10**8)
    assert refiner_limit("cpu", None) == pytest.approx(available_memory() / 2, rel=0.5)


def test_a_total_that_cannot_be_kept() -> None:
    check_total("cpu", None, 10**15, "the foreground")
    check_total("cpu", resident_memory() + 10**9, 1000, "the foreground")
    with pytest.raises(MemoryBudgetError, match=r"the foreground needs .* in all. Give --max-memory"):
        check_total("cpu", 10**6, 1000, "the foreground")


@pytest.mark.parametrize("per_pixel", [454.6 * 1.1, 250.03, 1 / 3, 727.0])
def test_what_a_load_needs_is_enough_for_it(per_pixel: float) -> None:
    cost = Cost("tiles", per_pixel, 12345.6)
    loads = [1, 256, 1024, 317_440, 9_999_872, 123_456_789]
    assert [cost.capacity(cost.bytes(load)) >= load for load in loads] == [True] * len(loads)
