"""Refinement with everything on the device: equal to the host's on the CPU, and few kernels and waits on fake CUDA."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.sparse.networks import masks, one_thread, unet, weights
from uhrmat import pipeline
from uhrmat.core.transfer import constant, download, upload
from uhrmat.foreground import on_device, within_budget
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_mask, downsample_picture, downsample_trimap
from uhrmat.refine import fuse
from uhrmat.refine.base import RefineInput
from uhrmat.refine.guided_filter import guided_coefficients
from uhrmat.refine.memory.budget import BudgetParams
from uhrmat.refine.registry import make_refiner
from uhrmat.refine.resident import guided, planes, run, window
from uhrmat.refine.resident.picture import ResidentPicture, Sites
from uhrmat.refine.resident.run import HostPlanes, refine_on_device, resident_bytes
from uhrmat.refine.runner import refine_within
from uhrmat.sparse import DenseEngine
from uhrmat.sparse.resident import MaskLevels, ResidentActive, ResidentPair, padded_count
from uhrmat.sparse.resident_tiles import ResidentTilesEngine
from uhrmat.sparsity import spatial
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
MASKS = masks()
use_one_thread = pytest.fixture(autouse=True)(one_thread)


def scene(height: int = 203, width: int = 290, scale: int = 3, kind: type = np.uint8) -> RefineInput:
    """A soft disc on noise, whose unknown band is fully inside the picture but for the right edge."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    alpha = ((0.35 * height - np.hypot(y - height / 2, x - width * 0.6)) / 12 + 0.5).clip(0, 1)
    peak = 1 if kind is np.float32 else np.iinfo(kind).max
    colours = 0.8 * alpha[..., None] + 0.2 * rng.random((height, width, 3), np.float32)
    picture = Picture.from_array((colours * peak).astype(kind))
    shape = (height // scale, width // scale)
    prior = area_average(alpha, shape).clip(0, 1)
    trimap = np.where(alpha == 0, 0, np.where(alpha == 1, 255, 128)).astype(np.uint8)
    return RefineInput(
        picture, area_average(picture.pixels, shape, float(peak)), prior, trimap, spatial.trimap_mask(trimap)
    )


def on_host(refiner: Any, inputs: RefineInput) -> np.ndarray:
    alpha = fuse.upsampled_prior(inputs.prior, inputs.trimap)
    refine_within(refiner, inputs, alpha, "parts", 1 << 40)
    fuse.apply_trimap(alpha, inputs.trimap)
    return alpha


def host_planes(inputs: RefineInput, **given: Any) -> HostPlanes:
    return HostPlanes(inputs.picture, inputs.small, inputs.prior, inputs.trimap, **given)


@pytest.mark.parametrize("kind", ["shm", "ddfe"])
@pytest.mark.parametrize("engine", ["tiles", "dense"])
@pytest.mark.parametrize("stored", [np.uint8, np.uint16, np.float32])
def test_the_device_computes_what_the_host_computes(kind: str, engine: str, stored: type) -> None:
    inputs = scene(kind=stored)
    refiner: Any = make_refiner(kind, None, "tiles", torch.float32, "cpu")
    want = on_host(refiner, inputs)
    refiner.engine = engine
    done = refine_on_device(refiner, host_planes(inputs), "parts", 1 << 40, finished=True)
    assert np.abs(want - fuse.upsampled_prior(inputs.prior, inputs.trimap)).max() > 0.05
    assert np.abs(done.alpha - want).max() < 1e-3 and np.abs(done.alpha - want).mean() < 1e-5
    assert done.trimap is inputs.trimap and done.outcome.active.dtype == bool
    again = refine_on_device(
        refiner, host_planes(inputs, active=inputs.active, alpha=fuse.upsampled_prior(inputs.prior, inputs.trimap)),
        "parts", 1 << 40, finished=True,
    )  # fmt: skip
    assert np.array_equal(again.alpha, done.alpha)


def test_a_trimap_is_made_of_the_prior_where_there_is_none() -> None:
    inputs = scene()
    refiner: Any = make_refiner("shm", None, "tiles", torch.float32, "cpu")
    made = HostPlanes(inputs.picture, inputs.small, inputs.prior, None)
    done = refine_on_device(refiner, made, "parts", 1 << 40, finished=True)
    want = spatial.trimap_from_alpha(inputs.prior, inputs.size)
    assert (done.trimap != want).mean() < 1e-4 and set(np.unique(done.trimap)) == {0, 128, 255}
    assert (done.outcome.active != spatial.trimap_mask(want)).mean() < 1e-3


@pytest.mark.parametrize("kind", ["shm", "ddfe"])
@pytest.mark.parametrize("failing", [1, 2])
def test_parts_and_a_retry_change_nothing(kind: str, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = scene(420, 610)
    refiner: Any = make_refiner(kind, None, "tiles", torch.float32, "cpu")
    whole = refine_on_device(refiner, host_planes(inputs), "parts", 1 << 40, finished=True)
    load = refiner.cost.load(np.full((8, 8), 1))
    limit = resident_bytes(inputs.picture) + refiner.cost.bytes(2 * load)
    limit += inputs.size[0] * inputs.size[1] * 4  # a pyramid's copies
    monkeypatch.setattr("uhrmat.refine.runner.BUDGET", BudgetParams(smallest_part=load))
    monkeypatch.setattr("uhrmat.refine.runner.refine_within.__defaults__", (BudgetParams(smallest_part=load),))
    made, calls = window.ResidentTilesEngine, [0]

    def engine(*rest: Any) -> ResidentTilesEngine:
        calls[0] += 1
        if calls[0] == failing:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return made(*rest)

    monkeypatch.setattr(window, "ResidentTilesEngine", engine)
    cut = refine_on_device(refiner, host_planes(inputs), "parts", limit, finished=True)
    assert max(step.parts for step in cut.outcome.steps) > 1 and calls[0] > failing
    assert np.abs(cut.alpha - whole.alpha).max() < 1e-5


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("chunk", [None, 3])
def test_resident_tiles_equal_dense_through_all_levels(name: str, chunk: int | None) -> None:
    w, dense = weights(), DenseEngine(MASKS[name])
    active = ResidentActive(MaskLevels(torch.as_tensor(MASKS[name]) != 0))
    tiles = ResidentTilesEngine(active, torch.float32, CPU, chunk)
    assert active.count == int((torch.as_tensor(MASKS[name]) != 0).sum())
    for want, got in zip(unet(dense, w), unet(tiles, w), strict=True):
        torch.testing.assert_close(tiles.values(got), dense.values(want), rtol=0, atol=1e-4)
        torch.testing.assert_close(tiles.mean(got), dense.mean(want), rtol=0, atol=1e-4)


@pytest.mark.parametrize(("count", "padded"), [(0, 8), (7, 8), (8, 16), (127, 128), (128, 144), (3700, 3840)])
def test_counts_of_tiles_are_padded_to_few(count: int, padded: int) -> None:
    assert padded_count(count) == padded
    assert all(n < padded_count(n) <= 1.125 * n + 9 for n in range(count, count + 50))
    assert len({padded_count(n) for n in range(4096, 8192)}) <= 9


@pytest.mark.parametrize(("size", "shape"), [((64, 96), (32, 48)), ((65, 97), (32, 48)), ((64, 97), (21, 37))])
def test_planes_equal_those_of_the_host(size: tuple[int, int], shape: tuple[int, int]) -> None:
    inputs = scene(*size, scale=2)
    prior, trimap, active = (torch.from_numpy(x) for x in (inputs.prior, inputs.trimap, inputs.active))
    assert np.array_equal(planes.trimap_mask(trimap).numpy(), inputs.active)
    assert np.array_equal(planes.downsample_mask(active, shape).numpy(), downsample_mask(inputs.active, shape))
    assert np.array_equal(planes.downsample_trimap(trimap, shape).numpy(), downsample_trimap(inputs.trimap, shape))
    small = planes.downsample_picture(
        ResidentPicture(torch.from_numpy(inputs.picture.pixels), inputs.picture.info), shape
    )
    difference = small.pixels.numpy().astype(int) - downsample_picture(inputs.picture, shape).pixels.astype(int)
    # Means of four whole numbers often lie half-way between two, where the host's last bits decide.
    assert np.abs(difference).max() <= 1 and (difference != 0).mean() < 0.3 and (small.height, small.width) == shape
    upsampled = fuse.upsampled_prior(inputs.prior, inputs.trimap)
    assert np.abs(planes.upsampled_prior(prior, trimap).numpy() - upsampled).max() < 1e-5
    wild = torch.from_numpy(upsampled.copy())
    wild[0, :3] = torch.tensor([float("nan"), -2.0, 3.0])
    want = wild.numpy().copy()
    fuse.apply_trimap(want, inputs.trimap)
    planes.apply_trimap(wild, trimap)
    assert np.array_equal(wild.numpy(), want)


def test_the_pixels_that_remain_active_are_those_of_the_host() -> None:
    inputs = scene(90, 130, scale=1)
    coarse = inputs.prior[::2, ::2].copy()
    coarse[:, :20], coarse[:, 20:40] = 0.99 * SPATIAL_SPARSITY.low, 1.01 * SPATIAL_SPARSITY.low
    active, prior = torch.from_numpy(inputs.active), torch.from_numpy(coarse)
    assert planes.remaining_active(active, prior, refined=False) is active
    active[:, :60] = True
    want = spatial.remaining_active(active.numpy(), coarse, refined=True)
    assert np.array_equal(planes.remaining_active(active, prior, refined=True).numpy(), want)
    assert not want[:, :30].any() and want[:, 45:60].all() and want.sum() < active.sum()


@pytest.mark.parametrize(("one", "other"), [(0.2, 0.6), (0.0, 0.5), (0.4, 0.0)])
def test_two_active_sets_made_together_are_those_made_alone(one: float, other: float) -> None:
    rng = np.random.default_rng(0)
    size, grid = (70, 101), rng.random((9, 13)).astype(np.float32)
    noise = np.kron(grid, np.ones((8, 8), np.float32))[: size[0], : size[1]]
    masks = [torch.from_numpy(noise < share) for share in (one, other)]
    together = MaskLevels(masks[0], 1, masks[1])
    pair = ResidentPair(together)
    for number, (sites, mask) in enumerate(zip(Sites.of_pair(pair, size), masks, strict=True)):
        alone = Sites.of_window(ResidentActive(MaskLevels(mask, 1)), size)
        assert sites.active.count == int(mask.sum()) == alone.active.count
        assert torch.equal(sites.active.mask(), mask) and sites.level.grid == alone.level.grid
        for name in ("index", "readable", "grid", "places"):
            assert torch.equal(getattr(sites, name), getattr(alone, name)), name
        assert torch.equal(sites.level.mask, alone.level.mask)
        assert np.array_equal(together.counts[number], MaskLevels(mask, 1).counts[0])
    first, single = pair.sets[0].levels[0], ResidentActive(MaskLevels(masks[0], 1)).levels[0]
    assert torch.equal(first.table(first, 18, 1, -1), single.table(single, 18, 1, -1))
    with pytest.raises(ValueError, match="one level each"):
        MaskLevels(masks[0], 2, masks[1])


def test_the_guided_filter_on_a_device_gives_the_hosts_values() -> None:
    inputs = scene(120, 90, scale=1)
    want = guided_coefficients(inputs.small, inputs.prior)
    got = guided.guided_coefficients(torch.from_numpy(inputs.small).permute(2, 0, 1), torch.from_numpy(inputs.prior))
    values = [(m[..., :3] * inputs.small).sum(-1) + m[..., 3] for m in (want, got.permute(1, 2, 0).numpy())]
    assert np.abs(values[0] - values[1]).max() < 1e-4 and values[0].std() > 0.1


def test_constants_that_refining_made_can_be_trained_with() -> None:
    with torch.inference_mode():
        made = constant((0.5, -2.75), CPU)
    assert constant((0.5, -2.75), CPU) is made and made.tolist() == [0.5, -2.75]
    x = torch.ones(2, requires_grad=True)
    (x * made).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, made)
    assert constant((3.0,), CPU, np.int64).dtype == torch.int64


def test_arrays_go_and_come_in_one_piece() -> None:
    rng = np.random.default_rng(0)
    arrays = [
        rng.integers(0, 256, (5, 7, 3), np.uint8), rng.random((3, 4)) < 0.5, rng.random((4, 5), np.float32)[:, ::2],
        rng.integers(0, 65536, (3, 3), np.uint16), np.zeros((0, 2), np.float32),
    ]  # fmt: skip
    there = upload(arrays, CPU)
    back = download(there)
    assert all(np.array_equal(a, b.view(a.dtype)) and a.shape == b.shape for a, b in zip(arrays, back, strict=True))


LIMITS = {("lite", 2): (330, 2), ("paper", 2): (263, 2), ("ddfe", 2): (213, 2), ("ddfe", 3): (345, 3)}
"""Most kernels and waits for one picture by network and ratio of the picture's sides to the prior's, tiles, fp16: DDFE
has one level, and two. Shapes follow the picture's, numbers of operations hardly do: a quarter of 4K's sides counts
nearly the same."""


@pytest.mark.parametrize("name", LIMITS)
def test_a_picture_takes_few_kernels_and_waits(name: tuple[str, int]) -> None:
    """In a process of its own: torch's tensors, once their indexing was replaced, are never quite the same again."""
    command = [sys.executable, "-m", "benchmarks.kernel_counts", name[0], "--ratio", str(name[1])]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    kernels, waits = LIMITS[name]
    assert counted["kernels"] <= kernels, counted
    assert counted["kernels"] == sum(counted["parts"].values()) and counted["parts"].get("rest", 0) <= 5, counted
    assert counted["uploads"] == 1 and counted["downloads"] == waits and not counted["waits"]


def test_alpha_and_colours_take_one_upload_and_no_more_waits() -> None:
    command = [sys.executable, "-m", "benchmarks.kernel_counts", "lite", "--colours"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    counted, (kernels, waits) = json.loads(done.stdout), LIMITS["lite", 2]
    assert counted["parts"]["foreground"] > 500 and counted["kernels"] - counted["parts"]["foreground"] <= kernels
    assert counted["uploads"] == 1 and counted["downloads"] == waits and not counted["waits"]


@pytest.mark.parametrize("stored", [np.uint8, np.uint16])
def test_a_still_is_refined_and_coloured_while_it_is_on_the_device(
    stored: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One upload for both; by the host where memory is short or runs out."""
    picture, trimap = scene(kind=stored).picture, scene().trimap
    made = pipeline.StillPipeline(device="cpu", precision="fp32", engine="tiles")
    want = made.matte(picture, trimap=trimap)
    monkeypatch.setattr(pipeline, "stays_on_device", lambda *given: True)
    sent, send = list[int](), run.upload
    monkeypatch.setattr(run, "upload", lambda arrays, device: sent.append(len(arrays)) or send(arrays, device))
    hosts, on_host = list[int](), within_budget.estimate_foreground
    monkeypatch.setattr(within_budget, "estimate_foreground", lambda *given: hosts.append(1) or on_host(*given))

    def matte() -> None:
        got = made.matte(picture, trimap=trimap)
        assert np.abs(got.alpha - want.alpha).max() < 1e-3
        assert got.foreground is not None and want.foreground is not None and got.foreground.dtype == stored
        step = 1 if stored is np.uint8 else 257
        assert np.abs(got.foreground.astype(int) - want.foreground.astype(int))[want.alpha > 0.05].max() <= 2 * step

    matte()
    assert sent == [4] and not hosts
    assert made.matte(picture, trimap=trimap, foreground=False).foreground is None
    with monkeypatch.context() as within:
        within.setattr(pipeline, "foreground_bytes", lambda pixels: 1 << 60)
        matte()
    assert hosts == [1]

    def fail(*given: object) -> torch.Tensor:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(on_device, "_colours", fail)
    matte()
    assert hosts == [1, 1]
