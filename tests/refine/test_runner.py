"""Refining in parts and from coarse to fine, within a budget."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from uhrmat import InputError, MemoryBudgetError
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.pipeline import StillPipeline, StillResult
from uhrmat.refine.base import RefineInput
from uhrmat.refine.memory import budget
from uhrmat.refine.memory.budget import BUDGET
from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.memory.tiling import Box, RefineWindow, count_cells, divide_active
from uhrmat.refine.runner import refine_with_budget, refine_within
from uhrmat.refine.shm.network import SHM, SIZES, receptive_radius
from uhrmat.refine.shm.refiner import SHMRefiner
from uhrmat.sparse import DenseEngine
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train.synth import render_scene

UNIT = Cost("spconv", 1e9, 0)
"""One active pixel costs a billion: copies cost nothing beside that."""


@pytest.fixture(scope="module")
def refiner() -> SHMRefiner:
    """Trained layers, and a last one and gates that matter everywhere."""
    made = SHMRefiner(None, "tiles", torch.float32, "cpu")
    torch.manual_seed(1)
    torch.nn.init.normal_(made.net.gate.gate.weight, std=0.5)
    made.cost = UNIT
    return made


def _input(size: tuple[int, int], unknown: np.ndarray, short: int = 40) -> RefineInput:
    rng = np.random.default_rng(5)
    picture = Picture.from_array(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    shape = (short, round(short * size[1] / size[0]))
    trimap = np.where(unknown, 128, np.where(np.arange(size[1]) < size[1] // 2, 0, 255)).astype(np.uint8)
    small = area_average(picture.pixels, shape, 255.0)
    ramp = np.broadcast_to(np.linspace(0, 1, shape[1], dtype=np.float32), shape).copy()
    prior = np.where(downsample_trimap(trimap, shape) == 128, ramp, ramp > 0.5).astype(np.float32)
    return RefineInput(picture, small, prior, trimap, trimap_mask(trimap))


def _band(size: tuple[int, int], width: int) -> np.ndarray:
    y, x = np.mgrid[: size[0], : size[1]]
    return np.abs(x - size[1] / 2 - size[1] / 5 * np.sin(y / 60)) < width / 2


@pytest.mark.parametrize("size", sorted(SIZES))
def test_nothing_beyond_the_reach_changes_an_output(size: str) -> None:
    torch.manual_seed(3)
    net, side, middle = SHM(size).eval(), 320, 160
    for parameter in net.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    config = SIZES[size]
    narrow = replace(config, inputs=config.inputs)
    radius = receptive_radius(narrow)
    assert radius < middle - 8
    engine = DenseEngine(np.ones((side, 24), bool))
    values = torch.rand(side, 24, config.inputs)
    outputs = []
    for bump in (0.0, 100.0):
        values[middle, 12] += bump
        gates = torch.ones(1, net.gate.gate.out_features)
        with torch.no_grad():
            outputs.append(net.forward_with_gates(engine, engine.sample(lambda y, x: values[y, x]), gates).data[0, 0])  # type: ignore[union-attr]
    changed = (outputs[0] != outputs[1]).any(1).nonzero()[:, 0]
    assert middle - radius <= changed.min() and changed.max() <= middle + radius
    # And the bound is no looser than a few sites of the coarsest level.
    assert changed.max() - changed.min() >= 2 * (radius - 24) or size == "paper"


@pytest.mark.parametrize("kind", ["narrow", "wide", "random"])
def test_parts_equal_one_shot(kind: str, refiner: SHMRefiner) -> None:
    size = (390, 410)
    dots = np.random.default_rng(2).random(size) < 0.0005
    inputs = _input(size, dots if kind == "random" else _band(size, 8 if kind == "narrow" else 150))
    whole, cut_up = (np.full(size, 0.25, np.float32) for _ in range(2))
    refiner.refine(inputs, whole)
    count = int(inputs.active.sum())
    done = refine_with_budget(refiner, inputs, cut_up, "parts", UNIT.bytes(max(count * 2 // 3, 9000)))
    assert done.steps[0].parts >= 2 and done.active is inputs.active
    assert f"{done.steps[0].parts} parts" in done.notes[0] and "parts at 1: " in done.notes[0]
    assert np.abs(whole - cut_up).max() < 1e-5
    assert (cut_up[~inputs.active] == 0.25).all() and np.abs(whole - 0.25).max() > 0.1


def test_parts_hold_every_active_pixel_once() -> None:
    rng = np.random.default_rng(4)
    mask = rng.random((333, 517)) < 0.01
    mask[:, 200:330] = False
    seen = np.zeros(mask.shape, int)
    limit = 900
    parts = list(divide_active(count_cells(mask), mask.shape, 20, lambda cells: cells.sum() <= limit))
    for part in parts:
        seen[part.core] += 1
        assert mask[part.window].sum() <= limit
        for core, window, length in zip(part.core, part.window, mask.shape, strict=True):
            assert window.start <= max(0, core.start - 20) and window.stop >= min(length, core.stop + 20)
            assert core.start % 8 == 0 and window.start % 8 == 0
    assert len(parts) > 1 and (seen[mask] == 1).all() and seen.max() == 1


def test_cells_count_pixels_at_odd_borders() -> None:
    mask = np.random.default_rng(0).random((50, 37)) < 0.5
    cells = count_cells(mask)
    assert cells.shape == (4, 3) and cells.sum() == mask.sum() and cells[3, 2] == mask[48:, 32:].sum()


def test_the_smallest_part_may_be_too_large(refiner: SHMRefiner) -> None:
    inputs = _input((64, 64), np.ones((64, 64), bool), 16)
    with pytest.raises(MemoryBudgetError, match="smallest part"):
        refine_with_budget(refiner, inputs, np.zeros(inputs.size, np.float32), "parts", UNIT.bytes(10))


class Sharpener:
    """A refiner that decides: alpha is 0 or 1 left and right of an open column. Notes each window's active pixels."""

    reach, cost = 8, UNIT

    def __init__(self) -> None:
        self.seen: list[tuple[tuple[int, int], int]] = []

    def finish(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """Nothing more to do."""

    def prepare(self, inputs: RefineInput, alpha: np.ndarray) -> RefineWindow:
        def run(window: Box) -> None:
            self.seen.append((inputs.size, int(inputs.active[window].sum())))
            columns = (np.arange(inputs.size[1]) + 0.5) / inputs.size[1]
            sharp = np.clip((columns - 0.5) * 40 + 0.5, 0, 1).astype(np.float32)
            inside = inputs.active[window]
            alpha[window][inside] = np.broadcast_to(sharp, inputs.size)[window][inside]

        return run


def test_cascade_has_fewer_active_pixels_at_each_scale_and_ends_at_one() -> None:
    size = (400, 800)
    inputs, refiner = _input(size, _band(size, 500)), Sharpener()
    alpha = np.zeros(size, np.float32)
    before = int(inputs.active.sum())
    done = refine_with_budget(refiner, inputs, alpha, "cascade", UNIT.bytes(before // 2))
    assert [step.scale for step in done.steps] == [0.25, 0.5, 1.0]
    assert [seen for seen, _ in refiner.seen] == [(100, 200), (200, 400), (400, 800)]
    share = [step.active / (step.scale**2 * before) for step in done.steps]
    assert share[0] > share[1] > share[2] and done.steps[2].active == done.active.sum() < before // 2
    assert not (done.active & ~inputs.active).any()
    assert "cascade at 0.25: " in done.notes[0] and done.notes[0].count("\n") == 0
    # Outside what stayed open, the result of the scale before has the say: no prior is left over.
    left, right = inputs.active.copy(), inputs.active.copy()
    left[:, 300:] = right[:, :500] = False
    assert np.abs(alpha[left]).max() < 0.02 and np.abs(alpha[right] - 1).max() < 0.02


def test_cascade_is_cut_where_it_is_still_too_much() -> None:
    size = (400, 800)
    inputs, refiner = _input(size, _band(size, 500)), Sharpener()
    done = refine_with_budget(refiner, inputs, np.zeros(size, np.float32), "cascade", UNIT.bytes(9000))
    assert len(done.steps) == 3 and done.steps[-1].scale == 1.0 and done.steps[-1].parts > 1
    assert all(count <= 9000 for _, count in refiner.seen)


def test_scales_below_the_working_size_are_left_out() -> None:
    size = (400, 800)
    inputs = _input(size, _band(size, 500), short=150)
    done = refine_with_budget(Sharpener(), inputs, np.zeros(size, np.float32), "cascade", UNIT.bytes(60_000))
    assert [step.scale for step in done.steps] == [0.5, 1.0]


def test_what_fits_is_refined_in_one_shot() -> None:
    inputs, refiner = _input((400, 800), _band((400, 800), 30)), Sharpener()
    alpha, limit = np.zeros(inputs.size, np.float32), UNIT.bytes(BUDGET.smallest_part)
    done = refine_within(refiner, inputs, alpha, "cascade", limit)  # type: ignore[arg-type]
    assert len(refiner.seen) == 1 and done.notes == [] and done.active is inputs.active


def test_a_limit_below_the_minimum_is_refused_with_a_figure() -> None:
    inputs = _input((400, 800), _band((400, 800), 30))
    with pytest.raises(MemoryBudgetError, match=r"Raise --max-memory by .*MB or more"):
        refine_within(Sharpener(), inputs, np.zeros(inputs.size, np.float32), "parts", 1000)  # type: ignore[arg-type]


def test_an_empty_active_set_needs_no_memory() -> None:
    inputs = replace(_input((64, 64), np.ones((64, 64), bool), 16), active=np.zeros((64, 64), bool))
    assert refine_within(Sharpener(), inputs, np.zeros((64, 64), np.float32), "parts", 0).notes == []  # type: ignore[arg-type]


def test_unknown_overflow_and_a_tiny_limit_are_errors() -> None:
    with pytest.raises(InputError, match="no overflow"):
        StillPipeline(overflow="x")
    with pytest.raises(MemoryBudgetError, match=r"too little|leaves the refiner"):
        StillPipeline(max_memory=10**6).matte(np.zeros((9, 9, 3), np.uint8), trimap=np.eye(9) / 2)


@pytest.fixture(scope="module")
def photo() -> tuple[np.ndarray, np.ndarray]:
    """A rendered photograph with a wide trimap, larger than a small budget holds at once; less than half is unknown."""
    scene = render_scene(3, 700, 1000, kind="hair", unknown_share=0.4)
    return np.rint(scene.image * 255).astype(np.uint8), scene.trimap


@pytest.fixture
def nothing_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this process holds, and gives back in the middle of a test, is left out of the memory budget."""
    monkeypatch.setattr(budget, "resident_memory", lambda: 0)
    monkeypatch.setattr(budget, "prior_process_memory", lambda: 0)


def _matted(photo: tuple[np.ndarray, np.ndarray], overflow: str, room: int | None) -> StillResult:
    """As `uhrmat image` would; `room`: megabytes."""
    limit = None if room is None else room * 10**6
    pipeline = StillPipeline(working_size=150, precision="fp32", overflow=overflow, max_memory=limit)
    return pipeline.matte(photo[0], trimap=photo[1], foreground=False)


@pytest.mark.usefixtures("nothing_resident")
def test_parts_through_the_whole_path_change_nothing(photo: tuple[np.ndarray, np.ndarray]) -> None:
    whole, parts = _matted(photo, "parts", None), _matted(photo, "parts", 160)
    assert not any("budget" in note for note in whole.stats.notes)
    (note,) = [note for note in parts.stats.notes if "budget" in note]
    assert " parts" in note and parts.stats.active_pixels == whole.stats.active_pixels
    assert np.abs(whole.alpha - parts.alpha).max() < 1e-5


@pytest.mark.usefixtures("nothing_resident")
def test_cascade_through_the_whole_path_ends_at_full_size(photo: tuple[np.ndarray, np.ndarray]) -> None:
    result = _matted(photo, "cascade", 160)
    (note,) = [note for note in result.stats.notes if "budget" in note]
    assert "cascade at 0.25: " in note and " 1: " in note
    assert result.alpha.shape == photo[1].shape
    assert (result.alpha[photo[1] == 255] == 1).all() and (result.alpha[photo[1] == 0] == 0).all()
