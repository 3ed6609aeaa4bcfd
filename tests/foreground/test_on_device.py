"""The foreground's colour in torch equals the host's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from uhrmat import pipeline
from uhrmat.foreground import on_device, within_budget
from uhrmat.foreground.on_device import estimate_foreground_on_device
from uhrmat.foreground.solve import FOREGROUND_DEFAULTS, ForegroundParams, estimate_foreground
from uhrmat.media import Picture
from uhrmat.prior.base import PriorResult

CPU = torch.device("cpu")


def scene(height: int, width: int, kind: type) -> tuple[np.ndarray, np.ndarray]:
    """A soft disc of one texture over another, of stored type `kind`."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    alpha = ((0.3 * min(height, width) - np.hypot(y - height / 2, x - width * 0.7)) / 14 + 0.5).clip(0, 1)
    front = np.array([0.8, 0.3, 0.1], np.float32) + 0.1 * rng.random((height, width, 3), np.float32)
    back = np.array([0.1, 0.5, 0.7], np.float32) + 0.2 * np.sin(x / 9)[..., None]
    picture = (alpha[..., None] * front + (1 - alpha[..., None]) * back).clip(0, 1)
    peak = 1.0 if kind is np.float32 else float(np.iinfo(kind).max)
    return (picture * peak).round().astype(kind) if peak > 1 else 1.5 * picture.astype(kind), alpha


@pytest.mark.parametrize(("kind", "step"), [(np.uint8, 1 / 255), (np.uint16, 1 / 255), (np.float32, 1 / 255)])
@pytest.mark.parametrize(("size", "whole"), [((151, 202), 1 << 18), ((152, 208), 4096), ((151, 203), 4096)])
def test_the_colours_are_those_of_the_host(kind: type, step: float, size: tuple[int, int], whole: int) -> None:
    pixels, alpha = scene(*size, kind)
    params = ForegroundParams(whole_pixels=whole)
    want = estimate_foreground(pixels, alpha, params=params)
    peak = 1.0 if kind is np.float32 else float(np.iinfo(kind).max)
    for strip in (1 << 24, 40 * size[1]):
        got = estimate_foreground_on_device(pixels, alpha, CPU, strip=strip, params=params)
        assert got.dtype == want.dtype and np.array_equal(got == 0, want == 0)
        difference = np.abs(got.astype(float) - want.astype(float)) / peak
        assert difference.max() <= 1.01 * step and difference.mean() < 1e-4, (difference.max(), difference.mean())
    solid = alpha == 1
    assert np.array_equal(got[solid], pixels[solid]) and solid.sum() > 500
    assert np.abs(want.astype(float) - pixels.astype(float)).max() > 0.1 * peak


def test_a_picture_without_an_edge_keeps_its_solid_pixels_alone() -> None:
    pixels, alpha = scene(40, 50, np.uint8)
    got = estimate_foreground_on_device(pixels, np.round(alpha), CPU, spread=0)
    assert np.array_equal(got, pixels * np.round(alpha).astype(np.uint8)[..., None])


def test_the_pipeline_uses_the_gpu_and_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a GPU within its budget; on the host where memory runs out, where the budget is short, and without a GPU."""
    pixels, alpha = scene(60, 70, np.uint8)
    devices = list[torch.device]()

    def emulated(pixels: np.ndarray, alpha: np.ndarray, device: torch.device) -> np.ndarray:
        devices.append(device)
        if len(devices) == 2:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return estimate_foreground_on_device(pixels, alpha, CPU)

    monkeypatch.setattr(within_budget, "estimate_foreground_on_device", emulated)
    limits = iter([1 << 40, 1 << 40, 1000])
    monkeypatch.setattr(within_budget, "refiner_limit", lambda device, most: next(limits))
    made = pipeline.StillPipeline.__new__(pipeline.StillPipeline)
    made.device, made.max_memory = "cuda:1", None
    picture, prior = Picture.from_array(pixels), PriorResult(alpha, "none")
    results = [made.estimate_foreground(picture, alpha, prior) for _ in range(3)]
    made.device = "cpu"
    results.append(made.estimate_foreground(picture, alpha, prior))
    assert devices == [torch.device("cuda:1")] * 2
    want = estimate_foreground(pixels, alpha)
    assert all(np.array_equal(result, want) for result in results[1:])
    assert np.abs(results[0].astype(int) - want.astype(int)).max() <= 1


def test_a_picture_takes_few_kernels() -> None:
    """In a process of its own: torch's tensors, once their indexing was replaced, are never quite the same again."""
    command = [sys.executable, "-m", "benchmarks.kernel_counts", "foreground"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert 500 < counted["kernels"] <= 860 and set(counted["parts"]) == {"foreground"}
    assert counted["uploads"] == counted["downloads"] == 1 and not counted["waits"]


@pytest.mark.parametrize(("side", "passes"), [(4, 4), (16, 4), (17, 20), (120, 12), (480, 3), (5000, 1)])
def test_small_levels_take_fewer_passes_than_the_hosts(side: int, passes: int) -> None:
    assert on_device._passes(side, FOREGROUND_DEFAULTS) == passes
    assert on_device._passes(side, ForegroundParams(passes=2)) == min(passes, 2)
