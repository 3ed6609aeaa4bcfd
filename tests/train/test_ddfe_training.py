"""DDFE's losses, crops and training, on scenes of 96 pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.utils.data import default_collate

from uhrmat.core.errors import InputError
from uhrmat.media import Picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.ddfe.network import CANDIDATES, DDFE, assemble_features
from uhrmat.refine.ddfe.refiner import DDFERefiner
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.sparsity.spatial import trimap_mask
from uhrmat.train import samples
from uhrmat.train.ddfe_crops import (
    GROUP,
    PyramidSource,
    PyramidStream,
    build_crop,
    downsample,
    level_count,
    window_corner,
)
from uhrmat.train.ddfe_step import apply_known, run_pyramid
from uhrmat.train.ddfe_task import DDFETask, losses
from uhrmat.train.losses import composition, mdrd
from uhrmat.train.recipe import DetailRecipe, load_recipe
from uhrmat.train.samples import SampleCache, SampleView, fill_samples
from uhrmat.train.task import fit

SIDE, SCENE = 32, 96


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SAMPLE_VIEWS", (SampleView(SCENE, (0.8, 1.2), ((1.5, 2.0), (2.6, 3.8))),))
        fill_samples(folder, None, range(6))
    return folder


def _recipe(**changes: object) -> DetailRecipe:
    small = {"side": SIDE, "batch": 2, "steps": 6, "warmup": 2, "held_out": 2, "scenes": 6, "ema": 0.9}
    return load_recipe("ddfe", DetailRecipe, **{**small, **changes})


def _usable(cache: Path, depth: int) -> tuple[PyramidSource, int]:
    result = (PyramidSource(SampleCache(cache).load(seed)) for seed in range(6))
    return next((views, which) for views in result for which in views.priors_above(depth))


def test_mdrd_by_hand() -> None:
    true, prior, mask = torch.full((1, 1, 2, 2), 0.9), torch.full((1, 1, 2, 2), 0.6), torch.ones(1, 1, 2, 2)
    assert float(mdrd(true - prior, true, prior, mask)) == pytest.approx(0, abs=1e-5)
    # An offset of zero misses 0.3 at four pixels, and the mean counts one more: sqrt(4 · 0.09 / 5).
    assert float(mdrd(torch.zeros_like(true), true, prior, mask)) == pytest.approx((4 * 0.09 / 5) ** 0.5, rel=1e-4)
    mask[..., 1] = 0
    assert float(mdrd(torch.zeros_like(true), true, prior, mask)) == pytest.approx((2 * 0.09 / 3) ** 0.5, rel=1e-4)


def test_composition_by_hand() -> None:
    true, result, mask = torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), 0.5), torch.ones(1, 1, 2, 2)
    front, back = torch.full((1, 3, 2, 2), 0.8), torch.full((1, 3, 2, 2), 0.2)
    assert float(composition(true, true, front, back, mask)) == pytest.approx(0, abs=1e-6)
    # 0.5 · (0.8 - 0.2) at twelve colours; the mean counts fifteen.
    assert float(composition(result, true, front, back, mask)) == pytest.approx(0.3 * 12 / 15, rel=1e-4)
    assert float(composition(result, true, front, front, mask)) == pytest.approx(0, abs=1e-6)


def test_gradients_of_both_are_finite_where_nothing_is_wrong() -> None:
    for loss in (
        lambda x, m: mdrd(x, torch.zeros_like(x), torch.zeros_like(x), m),
        lambda x, m: composition(x, torch.zeros_like(x), torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2), m),
    ):
        x = torch.zeros(1, 1, 2, 2, requires_grad=True)
        loss(x, torch.ones(1, 1, 2, 2)).backward()
        assert x.grad is not None and torch.isfinite(x.grad).all()


def test_batches_depend_on_their_number_only(cache: Path) -> None:
    def batch(start: int, skip: int) -> torch.Tensor:
        stream = iter(PyramidStream(cache, SIDE, 5, 2, 2, start))
        for _ in range(skip):
            next(stream)
        return next(stream)["image"]

    assert torch.equal(batch(0, 3), batch(3, 0)) and torch.equal(batch(GROUP - 1, 1), batch(GROUP, 0))
    assert not torch.equal(batch(0, 0), batch(1, 0))


def test_a_share_of_the_priors_is_the_truth_averaged(cache: Path) -> None:
    def off(exact: float) -> float:
        stream = PyramidStream(cache, SIDE, 5, 2, 2, exact=exact)
        made = list(itertools.islice(stream, 2 * GROUP))
        return float(
            torch.cat([(b["prior"] - downsample(b["alpha"], level_count(b) - 1)).abs().flatten() for b in made]).mean()
        )

    assert off(1.0) < 0.5 * off(0.0)


@pytest.mark.parametrize("depth", [1, 2])
def test_training_sees_what_inference_sees(
    cache: Path, tmp_path: Path, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole scene as one crop climbs to the same alpha as the refiner, with copies that are not rounded to 8 bits,
    levels that are as active as the crop, and without what the prior is given back at the end."""
    monkeypatch.setattr("uhrmat.sparsity.spatial.spatial_mask", lambda _, size: np.ones(size, bool))
    monkeypatch.setattr("uhrmat.refine.sparse_refiner.restore_prior_mean", lambda *_: None)
    views, which = _usable(cache, depth)
    torch.manual_seed(1)
    net = DDFE("line")
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.08)
    for layer in (net.offset, net.last):
        layer.weight.data.mul_(0.1)
    save_file(net.state_dict(), tmp_path / "w.safetensors", {"size": "line"})
    batch = default_collate([build_crop(views, (0, 0), SCENE, which)])
    with torch.no_grad():
        results = run_pyramid(net, batch)
    assert len(results) == depth == level_count(batch)
    sample, prior = views.sample, views.sample.priors[which]
    picture, small = Picture.from_array(sample.image.astype(np.float32) / 255), views.shared(which)[0]
    inputs = RefineInput(picture, small, prior, sample.trimap, trimap_mask(sample.trimap))
    alpha = upsampled_prior(prior, sample.trimap)
    before = alpha.copy()
    DDFERefiner(str(tmp_path / "w.safetensors"), "tiles", torch.float32, "cpu").refine(inputs, alpha)
    apply_trimap(alpha, sample.trimap)
    assert np.abs(apply_known(results[-1])[0, 0].numpy() - alpha).max() < 1e-3
    assert np.abs(alpha - before).mean() > 2e-3


def test_recoloured_crops_keep_what_guided_filter_and_line_say(cache: Path) -> None:
    views, which = _usable(cache, 1)
    place = window_corner(views, views.places[0], SIDE, which)

    class Still:
        """A generator that never turns a crop."""

        def __init__(self) -> None:
            self.uniform, self.permutation = np.random.default_rng(3).uniform, np.random.default_rng(3).permutation

        def integers(self, _high: int) -> int:
            return 0

    def candidates(rng: object) -> torch.Tensor:
        crop = build_crop(views, place, SIDE, which, rng)  # type: ignore[arg-type]
        planes = (crop[name].permute(1, 2, 0) for name in ("image", "low", "prior", "known", "maps0"))
        return assemble_features(*planes, factor=2.0)[..., CANDIDATES]  # type: ignore[arg-type]

    plain, coloured = candidates(None), candidates(Still())
    # The guided model follows exactly; the line's soft threshold sees other distances.
    assert torch.allclose(plain[..., 1], coloured[..., 1], atol=1e-3)
    assert (plain[..., 0] - coloured[..., 0]).abs().mean() < 0.1 * plain[..., 0].abs().mean() + 0.02


def test_the_loss_falls(cache: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    fit(DDFETask(_recipe(steps=24, batch=3), cache), tmp_path, workers=0, every=12, report=lines.append)
    assert len(lines) == 2 and lines[-1]["network"] < lines[-1]["bilinear"]
    assert lines[-1]["bilinear"] == lines[0]["bilinear"]


def test_a_resumed_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    task = DDFETask(_recipe(size="paper"), cache)
    whole = fit(task, tmp_path / "whole", workers=0, every=6).ema.state_dict()
    fit(task, tmp_path / "parts", workers=0, every=6, seconds=1e-9)
    resumed = fit(task, tmp_path / "parts", workers=0, every=6)
    assert resumed.step == 6
    assert all(torch.equal(value, resumed.ema.state_dict()[name]) for name, value in whole.items())


def test_every_loss_of_a_recipe_is_computed(cache: Path) -> None:
    batch = next(iter(PyramidStream(cache, SIDE, 5, 2, 2)))
    result = losses(run_pyramid(DDFE("paper"), batch)[-1])
    assert result.keys() == {"l1", "l2", "gradient", "laplacian", "composition", "mdrd"}
    assert all(float(value.detach()) > 0 for value in result.values())
    paper = load_recipe("hrimf-amr", DetailRecipe)
    assert paper.size == "paper" and min(paper.l1, paper.laplacian, paper.composition, paper.mdrd) > 0


def test_an_empty_cache_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training samples"):
        DDFETask(_recipe(), tmp_path).stream(0)
