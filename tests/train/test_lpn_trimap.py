"""The network that corrects the closed form: starts as it, learns, resumes, keeps what is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from tests.docs.schema import compare
from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.prior.networks.lpn_trimap import TrimapNet, load_trimap_net
from uhrmat.train.lpn.trimap import TrimapTask, WorkingStream, crop, working_scenes
from uhrmat.train.recipe import SceneRecipe, load_recipe
from uhrmat.train.samples import SampleCache
from uhrmat.train.task import fit

SIDE = 64


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples written as `SampleCache` does: a soft disc, its closed form too dark by a half within the band."""
    folder = tmp_path_factory.mktemp("scenes")
    ys, xs = np.mgrid[:96, :96]
    for seed in range(6):
        rng = np.random.default_rng(seed)
        off = np.hypot(ys - rng.uniform(40, 56), xs - rng.uniform(40, 56)) - 28
        alpha = np.clip(0.5 - off / 12, 0, 1).astype(np.float32)
        trimap = np.where(alpha == 1, 255, np.where(alpha == 0, 0, 128)).astype(np.uint8)
        image = np.rint(255 * (alpha[..., None] * (0.9, 0.5, 0.3) + (1 - alpha[..., None]) * (0.1, 0.2, 0.4)))
        prior = np.where(trimap == 128, alpha * 0.5, alpha).astype(np.float16)
        stored = np.rint(alpha * 65535).astype(np.uint16)
        np.savez(folder / f"{seed:06d}.npz", image=image.astype(np.uint8), alpha=stored, trimap=trimap, prior0=prior,
                 prior1=prior[::2, ::2])  # fmt: skip
    return folder


def _recipe(**changes: object) -> SceneRecipe:
    small = {"side": SIDE, "batch": 4, "steps": 4, "warmup": 2, "held_out": 2, "scenes": 6, "rate": 3e-3, "ema": 0.9}
    return load_recipe("lpn-trimap", SceneRecipe, **{**small, **changes})


@pytest.mark.parametrize("size", [(64, 64), (33, 50), (2, 7)])
def test_untrained_it_is_the_closed_form(size: tuple[int, int]) -> None:
    closed, known = torch.rand(1, 1, *size), torch.zeros(1, 2, *size)
    result = TrimapNet()(torch.rand(1, 3, *size), known, closed)
    assert torch.equal(result.logits, closed) and torch.isfinite(result.context).all()


def test_known_pixels_stay_known() -> None:
    torch.manual_seed(0)
    net, known = TrimapNet(), torch.zeros(1, 2, 32, 32)
    torch.nn.init.normal_(net.head.weight)
    known[:, 0, :8], known[:, 1, 24:] = 1, 1
    result = net(torch.rand(1, 3, 32, 32), known, torch.rand(1, 1, 32, 32)).logits[0, 0]
    assert (result[:8] == 1).all() and (result[24:] == 0).all() and result[8:24].std() > 0


def test_crops_keep_maps_together(cache: Path) -> None:
    scenes = working_scenes(SampleCache(cache), 3)
    assert [scene.alpha.shape for scene in scenes] == [(96, 96), (48, 48)]
    for scene in scenes:
        result = crop(scene, SIDE, np.random.default_rng(1))
        assert all(x.shape == (count, SIDE, SIDE) for x, count in zip(result.values(), (3, 2, 1, 1), strict=True))
        unknown = result["known"].sum(0) == 0
        assert unknown.any() and (result["alpha"][0][result["known"][0] == 1] > 0.99).all()
        assert float((result["closed"] - result["alpha"] / 2)[0][unknown].abs().mean()) < 0.1


def test_batches_depend_on_their_number_only(cache: Path) -> None:
    first = iter(WorkingStream(cache, _recipe()))
    next(first)
    second, again = next(first), next(iter(WorkingStream(cache, _recipe(), 1)))
    assert all(torch.equal(second[name], again[name]) for name in second)


def test_the_loss_falls_below_the_closed_form(cache: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    fit(TrimapTask(_recipe(steps=30), cache), tmp_path, workers=0, every=10, report=lines.append)
    assert lines[-1]["l1"] < 0.8 * lines[0]["l1"] and lines[-1]["network"] < 0.9 * lines[-1]["prior"]


def test_a_resumed_run_ends_with_the_same_weights(cache: Path, tmp_path: Path) -> None:
    task = TrimapTask(_recipe(), cache)
    resumed_like_unbroken(task, tmp_path)


def test_the_command_writes_weights_that_load(cache: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text("\n".join(f"{k} = {json.dumps(v)}" for k, v in _recipe(steps=2).as_dict().items()))
    arguments = ["train", "lpn", "-o", str(tmp_path / "run"), "--recipe", str(recipe), "--cache", str(cache)]
    result = CliRunner().invoke(app, [*arguments, "--workers", "0", "--every", "1", "--json"])
    assert result.exit_code == 0, result.output
    compare("train", json.loads(result.stdout))
    path = Path(json.loads(result.stdout)["weights"])
    assert path.name == "lpn-trimap-base.safetensors" and not load_trimap_net(path).training
    assert "2 steps of 4 crops of 64 x 64 from 6 scenes" in path.with_suffix(".md").read_text()
