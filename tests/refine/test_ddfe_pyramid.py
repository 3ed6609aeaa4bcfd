"""DDFE from a small prior to full resolution: which sizes, which pixels, in parts, untrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from uhrmat.core.errors import WeightsError
from uhrmat.media import Picture
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.refine.base import RefineInput
from uhrmat.refine.ddfe.network import DDFE, SIZES
from uhrmat.refine.ddfe.refiner import DDFERefiner, load_ddfe
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import BudgetParams
from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.pyramid import pyramid_shapes, refine_pyramid
from uhrmat.refine.runner import refine_within
from uhrmat.sparsity.spatial import trimap_mask

from .test_ddfe import stirred


def _refiner(folder: Path, net: DDFE, engine: str = "tiles") -> DDFERefiner:
    path = folder / "w.safetensors"
    save_file(net.state_dict(), path, {"network": "ddfe", "size": net.size})
    return DDFERefiner(str(path), engine, torch.float32, "cpu")


def _input(size: tuple[int, int] = (203, 311), short: int = 37, dtype: type = np.uint8) -> RefineInput:
    """A wavy edge between two noisy colours, and its blurred small prior."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: size[0], : size[1]]
    edge = size[1] / 2 + 25 * np.sin(y / 20) - x
    alpha = np.clip(edge / 9 + 0.5, 0, 1)[..., None].astype(np.float32)
    colour = alpha * [0.8, 0.3, 0.2] + (1 - alpha) * [0.2, 0.5, 0.6] + rng.normal(0, 0.02, (*size, 3))
    pixels = np.clip(colour, 0, 1).astype(np.float32)
    picture = Picture.from_array(np.rint(pixels * 255).astype(np.uint8) if dtype is np.uint8 else pixels)
    trimap = np.where(np.abs(edge) < 30, 128, np.where(edge > 0, 255, 0)).astype(np.uint8)
    shape = (short, round(short * size[1] / size[0]))
    prior = area_average(alpha[..., 0], shape)
    prior = np.where(downsample_trimap(trimap, shape) == 128, prior, prior > 0.5).astype(np.float32)
    return RefineInput(picture, area_average(pixels, shape), prior, trimap, trimap_mask(trimap))


def _start(inputs: RefineInput) -> np.ndarray:
    assert inputs.trimap is not None
    return upsampled_prior(inputs.prior, inputs.trimap)


def test_sizes_are_the_pictures_halves_down_to_the_prior() -> None:
    assert pyramid_shapes((4320, 7680), (512, 910)) == [(540, 960), (1080, 1920), (2160, 3840), (4320, 7680)]
    assert pyramid_shapes((600, 800), (300, 400)) == [(600, 800)]
    assert pyramid_shapes((600, 800), (400, 533)) == [(600, 800)]
    assert pyramid_shapes((601, 799), (300, 399)) == [(601, 799)], "a pixel by rounding is no step of its own"
    assert pyramid_shapes((600, 800), (600, 800)) == [] == pyramid_shapes((600, 800), (900, 1200))


@pytest.mark.parametrize("size", sorted(SIZES))
def test_untrained_one_step_is_exactly_bilinear(size: str, tmp_path: Path) -> None:
    inputs = _input(short=110)
    alpha = _start(inputs)
    before = alpha.copy()
    _refiner(tmp_path, DDFE(size)).refine(inputs, alpha)
    assert np.array_equal(alpha, before)


def test_untrained_pyramid_is_repeated_bilinear(tmp_path: Path) -> None:
    inputs = _input()
    alpha = _start(inputs)
    _refiner(tmp_path, DDFE("paper")).refine(inputs, alpha)
    assert np.abs(alpha - _start(inputs))[inputs.trimap == 128].mean() < 0.01


@pytest.mark.parametrize("size", sorted(SIZES))
def test_engines_agree_through_the_whole_pyramid(size: str, tmp_path: Path) -> None:
    inputs, net = _input(dtype=np.float32), _gentle(size)
    results = []
    for engine in ("tiles", "dense"):
        results.append(_start(inputs))
        _refiner(tmp_path, net, engine).refine(inputs, results[-1])
    assert np.abs(results[0] - results[1]).max() < 1e-4
    assert np.abs(results[0] - _start(inputs)).max() > 0.02


def _gentle(size: str) -> DDFE:
    """A network that changes every unknown pixel by a little, as a trained one does."""
    net = stirred(size)
    for layer in (net.offset, net.last):
        layer.weight.data.mul_(0.05)
        layer.bias.data.mul_(0.05)  # type: ignore[union-attr]
    return net


@pytest.mark.parametrize("size", sorted(SIZES))
def test_parts_equal_one_shot(size: str, tmp_path: Path) -> None:
    inputs, refiner = _input(), _refiner(tmp_path, _gentle(size))
    whole, cut_up = _start(inputs), _start(inputs)
    refiner.refine(inputs, whole)
    refiner.cost = Cost("spconv", 1e3, 0)
    for_seven_thousand = 7_000_000 + 4 * inputs.picture.height * inputs.picture.width
    done = refine_within(refiner, inputs, cut_up, "cascade", for_seven_thousand, BudgetParams(smallest_part=1000))
    assert [step.scale for step in done.steps] == pytest.approx([0.25, 0.5, 1], abs=0.01)
    assert done.steps[-1].parts >= 2 and f"level {inputs.size[1]} x {inputs.size[0]}" in done.notes[-1]
    assert np.abs(whole - cut_up).max() < 1e-5


def test_a_level_is_active_only_where_the_level_before_is_fractional() -> None:
    inputs, seen = _input(), []

    def attempt(step: RefineInput, alpha: np.ndarray) -> None:
        seen.append((step.size, int(step.active.sum()) / step.active.size))
        apply_trimap(alpha, np.where(step.active & (alpha > 0.3), 255, 128).astype(np.uint8))

    alpha = _start(inputs)
    active = refine_pyramid(inputs, alpha, attempt)
    assert [size for size, _ in seen] == pyramid_shapes(inputs.size, inputs.prior.shape)
    assert active.sum() / active.size == seen[-1][1] < 0.6 * inputs.active.sum() / active.size
    assert not (active & ~inputs.active).any()


def test_a_prior_of_full_size_leaves_nothing_to_refine(tmp_path: Path) -> None:
    inputs = _input(short=203)
    alpha = _start(inputs)
    done = refine_within(_refiner(tmp_path, stirred("paper")), inputs, alpha, "cascade", 10**9)
    assert not done.active.any() and np.array_equal(alpha, _start(inputs))


def test_a_picture_moved_by_one_pixel_of_the_prior_moves_the_result(tmp_path: Path) -> None:
    """Four pixels here: only then do small copies move by whole pixels."""
    refiner, size, results = _refiner(tmp_path, _gentle("paper")), (160, 240), []
    wide = _input((160, 244), 40, np.float32)
    for left in (0, 4):
        window = np.s_[:, left : left + 240]
        small = np.s_[:, left // 4 : left // 4 + 60]
        assert wide.trimap is not None
        picture = Picture.from_array(np.ascontiguousarray(wide.picture.pixels[window]))
        parts = (np.ascontiguousarray(x) for x in (wide.small[small], wide.prior[small], wide.trimap[window]))
        inputs = RefineInput(picture, *parts, wide.active[window])
        alpha = _start(inputs)
        refiner.refine(inputs, alpha)
        results.append(alpha)
        assert inputs.size == size
    assert np.abs(results[0][:, 44:200] - results[1][:, 40:196]).max() < 1e-4
    assert np.abs(results[0] - _start(inputs)).max() > 0.02


def test_wrong_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="no sound safetensors"):
        load_ddfe(str(path))
    save_file({"a": torch.zeros(1)}, path, {"size": "paper"})
    with pytest.raises(WeightsError, match="not those of DDFE"):
        load_ddfe(str(path))
