"""DDFE on every engine: what it means, where it starts, what moves it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from uhrmat.media import Picture
from uhrmat.refine.ddfe.network import CANDIDATES, DDFE, GUIDED, SIZES, UNKNOWN, assemble_features, receptive_radius
from uhrmat.refine.ddfe.refiner import line_maps, low_colours
from uhrmat.refine.pyramid import PyramidLevel
from uhrmat.sparse import ActiveSet, DenseEngine, Engine, TilesEngine

PAPER = 1929 + 531
"""Parameters of DDFE and matting head in the release, counted in seeds.md §2.2 and §2.3."""


def stirred(size: str, seed: int = 7) -> DDFE:
    """A network no layer of which is zero."""
    torch.manual_seed(seed)
    net = DDFE(size)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return net.eval()


def _values(size: str, height: int, width: int) -> torch.Tensor:
    values = torch.randn(height, width, SIZES[size].inputs)
    values[..., UNKNOWN] = (torch.rand(height, width) < 0.7).float()
    return values


def _run(net: DDFE, engine: Engine, values: torch.Tensor) -> list[torch.Tensor]:
    with torch.no_grad():
        return [engine.values(x) for x in net(engine, engine.sample(lambda y, x: values[y, x]))]


@pytest.mark.parametrize("size", sorted(SIZES))
@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 1.0])
def test_tiles_equal_the_dense_oracle(size: str, share: float) -> None:
    net, mask = stirred(size), np.random.default_rng(1).random((53, 70)) < share
    values = _values(size, 53, 70)
    results = [_run(net, engine, values) for engine in (DenseEngine(mask), TilesEngine(ActiveSet.from_mask(mask)))]
    for dense, tiles in zip(*results, strict=True):
        assert dense.shape == (mask.sum(), 1) == tiles.shape
        assert not mask.any() or (dense - tiles).abs().max() <= 1e-4 * max(1.0, float(dense.abs().max()))


@pytest.mark.parametrize("size", sorted(SIZES))
def test_untrained_it_is_exactly_the_identity(size: str) -> None:
    change, offset = _run(DDFE(size).eval(), DenseEngine(np.ones((24, 24))), _values(size, 24, 24))
    assert (change == 0).all() and (offset == 0).all()


@pytest.mark.parametrize("size", sorted(SIZES))
def test_only_unknown_pixels_change(size: str) -> None:
    values = _values(size, 24, 24)
    change, offset = _run(stirred(size), DenseEngine(np.ones((24, 24))), values)
    known = values[..., UNKNOWN].flatten() == 0
    assert (change[known] == 0).all() and (offset[known] == 0).all() and change[~known].abs().min() > 0


def test_the_anchor_is_the_guided_filters_share_of_the_result() -> None:
    net, values = stirred("line"), _values("line", 24, 24)
    results = []
    for share in (0.0, 0.7, 1.0):
        net.anchor.data.fill_(share)
        results.append(_run(net, DenseEngine(np.ones((24, 24))), values))
    guided = (values[..., GUIDED] * values[..., UNKNOWN : UNKNOWN + 1]).view(-1, 1)
    (alone, offset), (mixed, _), (filtered, supervised) = results
    assert torch.allclose(filtered, guided, atol=1e-6) and torch.equal(offset, supervised)
    assert torch.allclose(mixed, 0.3 * alone + 0.7 * guided, atol=1e-5) and (alone - guided).abs().max() > 0.1


def test_paper_size_has_the_papers_parameters() -> None:
    assert abs(sum(p.numel() for p in DDFE("paper").parameters()) / PAPER - 1) < 0.1
    kernels = [layer.weight.shape[-1] for layer in [*DDFE("paper").head, DDFE("paper").last]]
    assert kernels == [3, 3, 3, 1]


@pytest.mark.parametrize("size", sorted(SIZES))
def test_a_shift_by_one_pixel_shifts_the_result_by_one(size: str) -> None:
    net, values, edge = stirred(size), _values(size, 40, 40), receptive_radius(SIZES[size]) + 1
    results = [_run(net, DenseEngine(np.ones((40, 40))), x)[0] for x in (values, values.roll((1, 1), (0, 1)))]
    whole, moved = (x.view(40, 40) for x in results)
    part = slice(edge, 40 - edge)
    assert torch.allclose(moved.roll((-1, -1), (0, 1))[part, part], whole[part, part], atol=1e-5)


@pytest.mark.parametrize("size", sorted(SIZES))
def test_nothing_beyond_the_reach_changes_an_output(size: str) -> None:
    net, side, middle = stirred(size), 64, 32
    values, radius = _values(size, side, side), receptive_radius(SIZES[size])
    values[..., UNKNOWN] = 1
    before = _run(net, DenseEngine(np.ones((side, side))), values)[0].view(side, side)
    values[middle, middle, :UNKNOWN] += 100
    changed = (_run(net, DenseEngine(np.ones((side, side))), values)[0].view(side, side) != before).nonzero()
    assert changed.min() >= middle - radius and changed.max() <= middle + radius
    assert changed.max() - changed.min() == 2 * radius


@pytest.mark.parametrize("factor", [2.0, 1.3])
def test_a_ramp_has_no_detail_so_nothing_is_half_a_pixel_off(factor: float) -> None:
    """The unit ramp: halved by area and read bilinearly it is itself, but for the picture's edge."""
    size = (52, 78)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    ramp = np.stack([x / size[1], y / size[0], (x + y) / sum(size)], -1)
    shape = tuple(round(n / factor) for n in size)
    small = _averaged(ramp, shape)
    level = PyramidLevel(Picture.from_array(ramp), small, small[..., 0], None, np.ones(size, bool))
    ys, xs = torch.meshgrid(torch.arange(2, size[0] - 2), torch.arange(2, size[1] - 2), indexing="ij")
    detail = torch.from_numpy(ramp)[ys, xs] - low_colours(level, torch.device("cpu"))(ys, xs)
    # A nearest-neighbour halving would leave up to half a step of the ramp, 1 / 104.
    assert detail.abs().max() < (1e-6 if factor == 2 else 2e-3)
    assert abs(float(detail.mean())) < 1e-4


def _averaged(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    from uhrmat.media.resample import area_average

    return area_average(picture, (shape[0], shape[1]))


def test_candidates_are_offsets_from_the_maps() -> None:
    """On a picture that is a mix of two colours, all three candidates point from a blurred prior to the alpha."""
    true = torch.rand(40, 40)
    front, back = torch.tensor([0.9, 0.2, 0.3]), torch.tensor([0.1, 0.4, 0.8])
    colour = true[..., None] * front + (1 - true[..., None]) * back
    prior = torch.full((40, 40, 1), 0.5)
    low = 0.5 * (front + back).expand(40, 40, 3)
    line = front - back
    slope = line / (line * line).sum()
    model = torch.cat([front, back, slope, -(slope * back).sum()[None]]).expand(40, 40, 10)
    x = assemble_features(colour, low, prior, torch.zeros(40, 40, 2), model)
    assert x.shape == (40, 40, SIZES["line"].inputs)
    off = true - 0.5
    for candidate in x[..., CANDIDATES].unbind(-1):
        assert torch.allclose(candidate, off, atol=0.02)


def test_line_maps_hold_colours_and_the_guided_model() -> None:
    rng = np.random.default_rng(0)
    prior = np.repeat(np.linspace(0, 1, 32, dtype=np.float32)[None], 24, 0)
    small = prior[..., None] * np.float32([0.9, 0.2, 0.3]) + (1 - prior[..., None]) * np.float32([0.1, 0.4, 0.8])
    small += rng.normal(0, 1e-3, small.shape).astype(np.float32)
    maps = line_maps(small, prior)
    assert maps.shape == (24, 32, 10) and maps.dtype == np.float32
    assert np.abs(maps[:, -4:, :3] - [0.9, 0.2, 0.3]).max() < 0.1
    assert np.abs((maps[..., 6:9] * small).sum(-1) + maps[..., 9] - prior).max() < 0.05
