"""Our own networks as priors: the affinity prior corrected, and people found without any hint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub import bundled as bundled_module
from uhrmat.hub.bundled import bundled_weights_dir
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import LowResHints
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.corrected import CorrectedPrior
from uhrmat.prior.closed_form.params import ClosedFormParams
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.networks.lpn import PersonNet, load_person
from uhrmat.prior.networks.lpn_trimap import TrimapNet, load_trimap_net
from uhrmat.prior.registry import PriorRegistry
from uhrmat.train.synth import render_scene


@pytest.fixture
def problem() -> tuple[np.ndarray, LowResHints]:
    scene = render_scene(5, 96, 120, kind="hair", camera=False)
    return scene.image.astype(np.float32), LowResHints(scene.trimap)


def _saved(path: Path, bias: float) -> Path:
    """A network whose every logit is `bias`."""
    net = TrimapNet()
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.constant_(net.head.bias, bias)  # type: ignore[arg-type]
    save_file(net.state_dict(), path, {"input_version": "2"})
    return path


@pytest.mark.parametrize(("bias", "sign"), [(9.0, 1), (-9.0, -1)])
def test_the_prior_is_drawn_to_the_networks_estimate(
    tmp_path: Path, problem: tuple[np.ndarray, LowResHints], bias: float, sign: int
) -> None:
    trimap, closed = problem[1].trimap, AffinityPrior("closed-form+knn")(*problem).alpha
    assert trimap is not None
    result = CorrectedPrior(_saved(tmp_path / "net.safetensors", bias))(*problem)
    change = sign * (result.alpha - closed)[trimap == 128]
    assert result.name == "lpn-trimap" and change.mean() > 0.03 and change.min() > -0.1
    assert (result.alpha[trimap == 255] == 1).all() and (result.alpha[trimap == 0] == 0).all()


def test_an_estimate_weighs_by_its_parameter(problem: tuple[np.ndarray, LowResHints]) -> None:
    trimap, closed = problem[1].trimap, AffinityPrior("closed-form+knn")(*problem).alpha
    assert trimap is not None
    start = Start(closed, trimap == 128, estimate=np.ones_like(closed))
    weights = (0.0, 1e-3, 1e-1, 1e3)
    alphas = [
        solve(problem[0], trimap, "closed-form+knn", start, ClosedFormParams(estimate_weight=w))[0] for w in weights
    ]
    means = [float(alpha[trimap == 128].mean()) for alpha in alphas]
    assert means == sorted(means) and np.abs(alphas[0] - closed).mean() < 0.01
    assert alphas[-1][trimap == 128].min() > 0.99 and (alphas[-1][trimap == 0] == 0).all()


def test_weights_of_another_input_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    for net, load, version in ((PersonNet(norm=False), load_person, 1), (TrimapNet(), load_trimap_net, 2)):
        save_file(net.state_dict(), path, {"input_version": str(version + 1)})
        with pytest.raises(WeightsError, match=f"input version {version + 1}"):
            load(path)
        save_file(net.state_dict(), path, {"input_version": str(version)})
        load(path)


def test_a_trimap_that_knows_all_or_is_missing(tmp_path: Path, problem: tuple[np.ndarray, LowResHints]) -> None:
    prior, small = CorrectedPrior(_saved(tmp_path / "net.safetensors", 0.25)), problem[0]
    assert (prior(small, LowResHints(np.full(small.shape[:2], 255, np.uint8))).alpha == 1).all()
    assert problem[1].trimap is not None
    one_sided = np.where(problem[1].trimap == 255, 128, problem[1].trimap)
    closed = AffinityPrior("closed-form+knn")(small, LowResHints(one_sided))
    assert np.array_equal(prior(small, LowResHints(one_sided)).alpha, closed.alpha)
    with pytest.raises(InputError, match="needs a trimap"):
        prior(small, LowResHints())


def test_by_name_from_the_bundled_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: tuple[np.ndarray, LowResHints]
) -> None:
    monkeypatch.setattr(bundled_module, "bundled_weights_dir", lambda: tmp_path)
    with pytest.raises(WeightsError, match="no bundled weights named 'lpn-trimap'"):
        PriorRegistry("lpn-trimap").choose(frozenset({"mask"}))
    _saved(tmp_path / "lpn-trimap.safetensors", 0.0)
    method, choice = PriorRegistry("lpn-trimap").choose(frozenset({"trimap"}))
    assert choice.name == method.name == method(*problem).name == "lpn-trimap"
    with pytest.raises(InputError, match="needs a trimap or a mask"):
        PriorRegistry("lpn-trimap").choose(frozenset())


@pytest.mark.skipif(not (bundled_weights_dir() / "lpn-person.safetensors").is_file(), reason="not bundled yet")
def test_without_any_hint_the_bundled_network_is_run() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    matte = StillPipeline("lpn-person", refiner="bilinear").matte(picture, foreground=False, keep_empty=True)
    assert matte.stats.prior == "lpn-person" and matte.stats.working_size == (300, 400)
    assert matte.alpha.shape == (300, 400) and 0 <= matte.alpha.min() <= matte.alpha.max() <= 1
