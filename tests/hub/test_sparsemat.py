"""A SparseMat checkpoint in the layout of spconv 1.2.1, converted, gives what spconv 1.2.1 gave."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.hub import old_spconv
from uhrmat.core.errors import WeightsError
from uhrmat.hub.convert import convert
from uhrmat.hub.tensors import load_tensors
from uhrmat.refine.shm.released import OffCentre, load_released
from uhrmat.sparse import DenseEngine


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return old_spconv.make_checkpoint()


@pytest.fixture(scope="module")
def converted(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sparsemat") / "SparseMat.pth"
    torch.save({"state_dict": weights, "epoch": 30}, path)
    return convert(path).files[0]


def test_the_dense_oracle_reproduces_the_old_faults(weights: dict[str, torch.Tensor], converted: Path) -> None:
    rng = np.random.default_rng(3)
    mask = torch.from_numpy(rng.random((31, 38)) < 0.15)
    rgb, alpha, context = torch.rand(31, 38, 3), torch.rand(31, 38), torch.randn(32, 4, 5)
    must = old_spconv.run(weights, mask, rgb, alpha, context)

    engine = DenseEngine(mask)
    values = torch.cat([2 * rgb - 1, 2 * alpha[..., None] - 1], 2)
    with torch.no_grad():
        x = engine.sample(lambda y, v: values[y, v])
        found = engine.values(load_released(converted)(engine, x, context[None], alpha[None, None]))[:, 0]
    assert must.std() > 0.01
    assert (found - must).abs().max() < 1e-4


def test_only_the_first_nine_slices_act(weights: dict[str, torch.Tensor], converted: Path) -> None:
    kernel = load_tensors(converted)[0]["stages.0.0.conv1.weight"]
    stored = weights["module.shm.backbone.layer1.0.conv1.weight"]
    assert kernel.shape == (64, 64, 3, 3)
    assert torch.equal(kernel[:, :, 0, 1], stored[0, 0, 64:].T)  # slice 1: the other half of the first tap


def test_off_centre_taps() -> None:
    layer = OffCentre("subm", 1, 1, bias=False, act=None)
    layer.weight.data = torch.arange(1.0, 10).reshape(1, 1, 3, 3)
    kernel = layer.folded()[0][0, 0]
    assert {(y - 3, x - 3): int(kernel[y, x]) for y, x in kernel.nonzero().tolist()} == {
        (-1, -1): 1, (-1, 1): 2, (-1, 3): 3, (1, -1): 4, (0, 0): 5, (1, 3): 6, (3, -1): 7, (3, 1): 8, (3, 3): 9
    }  # fmt: skip


def test_a_tensor_too_many_or_too_few_is_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save(weights | {"module.shm.extra.weight": torch.zeros(5)}, path)
    with pytest.raises(WeightsError, match=r"no place: shm\.extra\.weight"):
        convert(path)
    torch.save({k: v for k, v in weights.items() if "up2.0" not in k}, path)
    with pytest.raises(WeightsError, match=r"no kernel \(3, 3, 320, 256\) for ups\.1"):
        convert(path)
    assert not path.with_suffix(".safetensors").exists()


def test_spconv_2_is_told_apart(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({k: v.permute(3, 0, 1, 2) if v.ndim == 4 else v for k, v in weights.items()}, path)
    with pytest.raises(WeightsError, match="spconv 2"):
        convert(path)


def test_the_card_says_what_it_is_for(converted: Path) -> None:
    card = converted.with_suffix(".md").read_text("utf-8")
    for words in ("license_name: none-stated", "dense engine", "`gate.front` from `shm.cam.fg`", "SparseMat.pth"):
        assert words in card
