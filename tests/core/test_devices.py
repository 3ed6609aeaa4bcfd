"""Devices: what "auto" takes, GPUs that are there and unfit, and memory on a card that others use too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from uhrmat import InputError
from uhrmat.batch import worker
from uhrmat.core import devices
from uhrmat.core.devices import compute_exactly, device_note, free_gpu_memory, gpu_failure, pick_device
from uhrmat.pipeline import StillPipeline
from uhrmat.refine import sparse_refiner
from uhrmat.refine.memory import budget
from uhrmat.refine.memory.budget import BUDGET, refiner_limit, set_workers_per_device
from uhrmat.report.doctor import gpu_cure

GB = 1 << 30


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Two GPUs that torch believes in. error: what a kernel raises; free, reserved, allocated: bytes of its memory."""
    state: dict[str, Any] = {"error": None, "free": 8 * GB, "reserved": 0, "allocated": 0}

    def conv2d(x: torch.Tensor, *_rest: Any, **_options: Any) -> torch.Tensor:
        if state["error"] is not None:
            raise state["error"]
        return torch.full((1, 8, 8, 8), 72.0)

    ones = torch.ones
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (state["free"], 10 * GB))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: state["reserved"])
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: state["allocated"])
    monkeypatch.setattr(torch, "ones", lambda *shape, device="cpu": ones(*shape))
    monkeypatch.setattr(torch.nn.functional, "conv2d", conv2d)
    monkeypatch.setattr(devices, "on_device", lambda device: nullcontext())
    gpu_failure.cache_clear()
    yield state
    gpu_failure.cache_clear()
    set_workers_per_device(1)


def test_a_sound_gpu_is_taken(gpu: dict[str, Any]) -> None:
    assert pick_device("auto") == "cuda" and pick_device("cuda:1") == "cuda:1" and device_note("auto") == ""


UNFIT = [
    RuntimeError("CUDA error: no kernel image is available for execution on the device\nCompile with `TORCH_USE…`"),
    RuntimeError("The NVIDIA driver on your system is too old (found version 11040)."),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB."),
    AssertionError("Torch not compiled with CUDA enabled"),
]


@pytest.mark.parametrize("error", UNFIT, ids=lambda error: str(error)[:20])
def test_a_gpu_that_runs_no_kernel_leaves_the_work_to_the_cpu(gpu: dict[str, Any], error: Exception) -> None:
    gpu["error"] = error
    assert pick_device("auto") == "cpu"
    note, first = device_note("auto"), str(error).splitlines()[0].rstrip(".")
    assert first in note and "uhrmat doctor" in note and "\n" not in note
    assert device_note("cpu") == ""
    with pytest.raises(InputError, match="cannot be used") as refused:
        pick_device("cuda")
    assert "uhrmat doctor" in refused.value.hint


def test_a_gpu_that_is_full_leaves_the_work_to_the_cpu(gpu: dict[str, Any]) -> None:
    gpu["free"] = 300 << 20
    assert pick_device("auto") == "cpu" and "only 315 MB of its memory are free" in device_note("auto")
    gpu["reserved"], gpu["allocated"] = 2 * GB, GB // 2
    assert pick_device("auto") == "cuda"


def test_the_note_is_in_the_result(gpu: dict[str, Any]) -> None:
    gpu["error"] = UNFIT[0]
    trimap = np.full((16, 16), 128, np.uint8)
    trimap[:, :4], trimap[:, 12:] = 0, 255
    done = StillPipeline("closed-form", "bilinear", threads=1).matte(np.zeros((16, 16, 3), np.uint8), trimap=trimap)
    assert done.stats.device == "cpu" and any("no kernel image" in note for note in done.stats.notes)


def test_a_gpu_that_computes_nonsense(gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_a, **_o: torch.zeros(1, 8, 8, 8))
    assert pick_device("auto") == "cpu" and "wrong results" in device_note("auto")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_points_to_the_doctor() -> None:
    for name in ("cuda", "cuda:1"):
        with pytest.raises(InputError, match="no usable cuda device") as refused:
            pick_device(name)
        assert "uhrmat doctor" in refused.value.hint


def test_the_budget_does_not_depend_on_what_ran_before(gpu: dict[str, Any]) -> None:
    """Free, reserved and allocated as before, during and after a first picture."""
    first = refiner_limit("cuda", None)
    assert first == int(BUDGET.cuda_share * 8 * GB)
    gpu |= {"free": 3 * GB, "reserved": 5 * GB}
    assert free_gpu_memory("cuda:0") == 8 * GB and refiner_limit("cuda", None) == first
    gpu["allocated"] = GB
    assert refiner_limit("cuda", None) == int(BUDGET.cuda_share * 7 * GB)
    assert refiner_limit("cuda", 123) == 123


@pytest.mark.parametrize(
    ("workers", "index", "share"), [(1, 0, 1), (2, 0, 1), (2, 1, 1), (3, 0, 2), (3, 1, 1), (6, 5, 3)]
)
def test_workers_on_one_card_share_it(
    gpu: dict[str, Any], monkeypatch: pytest.MonkeyPatch, workers: int, index: int, share: int
) -> None:
    """Two cards: every other worker is on this one."""
    name, count = worker._device("auto", index)
    assert (name, count) == (f"cuda:{index % 2}", 2)
    set_workers_per_device(len(range(index % count, workers, count)))
    assert refiner_limit(name, None) == int(BUDGET.cuda_share * 8 * GB / share)


def test_workers_on_the_cpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "available_memory", lambda: 8 * GB)
    set_workers_per_device(4)
    try:
        assert refiner_limit("cpu", None) == GB
    finally:
        set_workers_per_device(1)


def test_workers_leave_a_gpu_that_is_unfit_alone(gpu: dict[str, Any]) -> None:
    gpu["error"] = UNFIT[0]
    assert worker._device("auto", 1)[0] == "auto" and pick_device("auto") == "cpu"


def test_the_device_of_a_window_is_the_current_one_while_it_is_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    """spconv computes on the current device, per thread."""
    seen: list[str] = []

    def on_device(device: torch.device) -> AbstractContextManager[None]:
        seen.append(str(device))
        return nullcontext()

    monkeypatch.setattr(sparse_refiner, "on_device", on_device)
    ones = np.ones((8, 8), bool)
    alpha = np.zeros((8, 8), np.float32)
    refiner = sparse_refiner.SparseRefiner(torch.nn.Identity(), 1, "lite", "tiles", torch.float32, "cpu")
    refine = refiner.window_refiner(
        ones, alpha, lambda ys, xs: torch.ones(*ys.shape, 1), lambda engine, x: x, add=False
    )
    refine(sparse_refiner.full_window((8, 8)))
    assert seen == ["cpu"] and (alpha == 1).all()


def test_current_devices_are_set_for_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "device", lambda device: calls.append(device) or nullcontext())
    for name in ("cuda:1", "cpu", "mps", "cuda"):
        with devices.on_device(name):
            pass
    assert calls == [torch.device("cuda:1"), torch.device("cuda")]


@pytest.mark.parametrize(
    ("cuda", "driver", "says"),
    [
        ("13.0", "550.54.14", ("580 or later; it is 550.54.14", "whl/cu126")),
        ("12.6", "470.82", ("525 or later", "whl/cu118")),
        ("13.0", "390.1", ("580 or later",)),
        ("13.0", "590.44", ("architecture", "--device cpu")),
        (None, "590.44", ("whl/cu130",)),
        (None, "535.10", ("whl/cu126",)),
        (None, "", ("whl/cu126",)),
    ],
)
def test_the_cure_names_driver_and_command(cuda: str | None, driver: str, says: tuple[str, ...]) -> None:
    text = gpu_cure(cuda, driver)
    assert all(word in text for word in says)


@pytest.mark.parametrize(("device", "allowed"), [("cuda", False), ("cuda:1", False), ("cpu", True), ("mps", True)])
def test_fp32_is_computed_without_tf32(device: str, allowed: bool) -> None:
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    try:
        matmul.allow_tf32 = cudnn.allow_tf32 = True
        compute_exactly(device)
        assert (matmul.allow_tf32, cudnn.allow_tf32) == (allowed, allowed)
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
