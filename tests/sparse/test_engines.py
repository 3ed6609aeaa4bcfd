"""Every engine computes what the dense engine computes."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.sparse.networks import colours, masks, one_thread, unet, weights
from uhrmat.core.errors import InputError
from uhrmat.sparse import ActiveSet, DenseEngine, TilesEngine, make_engine

MASKS = masks()
use_one_thread = pytest.fixture(autouse=True)(one_thread)  # one test below uses two threads


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize(("tile", "chunk"), [(16, 3), (8, None), (2, None)])
def test_tiles_equal_dense_through_all_levels(name: str, tile: int, chunk: int | None) -> None:
    w, dense = weights(), DenseEngine(MASKS[name])
    tiles = TilesEngine(ActiveSet.from_mask(MASKS[name], tile), chunk=chunk)
    for want, got in zip(unet(dense, w), unet(tiles, w), strict=True):
        assert got.level == want.level
        torch.testing.assert_close(tiles.values(got), dense.values(want), rtol=0, atol=1e-4)
        torch.testing.assert_close(tiles.mean(got), dense.mean(want), rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 5, 24])
def test_any_number_of_channels_and_default_chunks(channels: int) -> None:
    w, dense, tiles = weights(channels), DenseEngine(MASKS["noise"]), make_engine("auto", MASKS["noise"])
    for want, got in zip(unet(dense, w), unet(tiles, w), strict=True):
        torch.testing.assert_close(tiles.values(got), dense.values(want), rtol=0, atol=1e-4)


def test_two_threads() -> None:
    torch.set_num_threads(2)
    w, dense, tiles = weights(), DenseEngine(MASKS["dense_odd"]), make_engine("tiles", MASKS["dense_odd"])
    want, got = dense.values(unet(dense, w)[-1]), tiles.values(unet(tiles, w)[-1])
    torch.testing.assert_close(got, want, rtol=0, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["noise_odd", "full", "empty"])
@pytest.mark.parametrize("engine", ["tiles", "dense"])
def test_half_precision_stays_close(engine: str, name: str, dtype: torch.dtype) -> None:
    w, dense = weights(), DenseEngine(MASKS[name])
    want = dense.values(unet(dense, w)[-1])
    half = make_engine(engine, MASKS[name], dtype)
    got = half.values(unet(half, w)[-1]).float()
    assert got.shape == want.shape
    if len(want):
        assert (got - want).abs().max() < 0.05 * want.abs().max()


def test_values_left_in_reused_buffers_are_never_read() -> None:
    """Reused buffers hold old numbers, which another run must not see."""
    w, tiles = weights(), make_engine("tiles", MASKS["noise"])
    first = tiles.values(unet(tiles, w)[-1])
    huge = {key: value * 1e4 for key, value in w.items()}
    unet(tiles, huge)
    assert torch.equal(tiles.values(unet(tiles, w)[-1]), first)


def test_a_feature_survives_while_it_is_used() -> None:
    w, tiles = weights(), make_engine("tiles", MASKS["noise"])
    x = tiles.subm_conv(tiles.sample(colours), w["stem"])
    before = tiles.values(x)
    joined = tiles.cat(x, tiles.subm_conv(x, w["keep"]))
    del x
    gc.collect()
    for _ in range(3):
        tiles.subm_conv(tiles.sample(colours), w["stem"] * 2)
    assert torch.equal(tiles.values(joined)[:, :16], before)


@pytest.mark.parametrize("engine", ["dense", "tiles"])
def test_sample_and_scatter_touch_active_pixels_only(engine: str) -> None:
    mask = MASKS["border"]
    height, width = mask.shape

    def fn(ys: torch.Tensor, xs: torch.Tensor) -> torch.Tensor:
        assert ys.dtype == xs.dtype == torch.int64
        assert ys.min() >= 0 and xs.min() >= 0 and ys.max() < height and xs.max() < width
        return torch.stack([ys, xs], -1).float()

    made = make_engine(engine, mask)
    x = made.sample(fn)
    out = np.full((height, width, 2), 7.0, np.float32)
    made.scatter(x, out)
    grid = np.stack(np.mgrid[:height, :width], -1)
    assert np.array_equal(out, np.where(mask.numpy()[:, :, None], grid, 7.0))
    first = torch.full((height, width), 7.0)
    made.scatter(x, first)
    assert np.array_equal(first.numpy(), out[:, :, 0])


def test_dense_is_masked_conv2d_on_batches_with_gradients() -> None:
    mask = torch.rand(2, 1, 21, 30, generator=torch.Generator().manual_seed(1)) > 0.5
    x, engine = torch.randn(2, 3, 21, 30), DenseEngine(mask)
    weight = torch.randn(4, 3, 3, 3, requires_grad=True)
    got = engine.subm_conv(engine.wrap(x), weight, None, "relu")
    want = torch.relu(F.conv2d(x * mask, weight, padding=1)) * mask
    torch.testing.assert_close(got.data, want)
    assert engine.mean(got).shape == (2, 4) and engine.values(got).shape == (int(mask.sum()), 4)
    (gradient,) = torch.autograd.grad(engine.values(got).sum(), weight)
    (wanted,) = torch.autograd.grad(want.sum(), weight)
    torch.testing.assert_close(gradient, wanted)


def test_dense_trains_under_autocast() -> None:
    w = {key: value.requires_grad_() for key, value in weights(8).items()}
    engine = DenseEngine(MASKS["noise_odd"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        engine.values(unet(engine, w)[-1]).float().square().sum().backward()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in w.values())


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(InputError, match="no engine") as unknown:
        make_engine("fast", MASKS["noise"])
    assert "tiles" in unknown.value.hint
    with pytest.raises(InputError, match="racy above one thread"):
        make_engine("spconv", MASKS["noise"])
    with pytest.raises(InputError, match="cannot be an active set"):
        make_engine("dense", torch.zeros(3, 4, 5))
