"""ViTMatte's architecture with random weights, from a folder in transformers' layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.prior.base import LowResHints

transformers = pytest.importorskip("transformers")

from uhrmat.prior.networks.registry import load_network  # noqa: E402
from uhrmat.prior.networks.vitmatte import VitMattePrior  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    torch.manual_seed(0)
    backbone = transformers.VitDetConfig(
        num_channels=4, image_size=64, pretrain_image_size=64, hidden_size=16, num_hidden_layers=2,
        num_attention_heads=2, window_block_indices=[0], residual_block_indices=[1], window_size=2,
        out_features=["stage2"],
    )  # fmt: skip
    config = transformers.VitMatteConfig(
        backbone_config=backbone, hidden_size=16, convstream_hidden_sizes=[4, 8, 8],
        fusion_hidden_sizes=[16, 8, 8, 4],
    )  # fmt: skip
    path = tmp_path_factory.mktemp("vitmatte")
    transformers.VitMatteForImageMatting(config).save_pretrained(path)
    return path


def test_it_answers_at_the_pictures_size_as_transformers_does(folder: Path) -> None:
    small = np.random.default_rng(0).random((50, 71, 3), np.float32)
    trimap = np.full((50, 71), 128, np.uint8)
    trimap[:, :20], trimap[:, 60:] = 0, 255
    result = load_network(str(folder))(small, LowResHints(trimap)).alpha
    assert result.shape == (50, 71) and result.dtype == np.float32
    assert (result[:, :20] == 0).all() and (result[:, 60:] == 1).all()

    import torch

    net = transformers.VitMatteForImageMatting.from_pretrained(folder).eval()
    values = np.dstack([(small - 0.5) / 0.5, trimap == 255]).astype(np.float32)
    values[..., 3][trimap == 128] = 0.5
    padded = np.pad(values, ((0, 14), (0, 25), (0, 0)), mode="edge").transpose(2, 0, 1)[None]
    with torch.inference_mode():
        expected = net(pixel_values=torch.from_numpy(padded.copy())).alphas[0, 0, :50, :71].numpy()
    assert np.abs(result - expected)[trimap == 128].max() < 1e-4


def test_refusals(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs a trimap"):
        load_network(str(folder))(np.zeros((32, 32, 3), np.float32), LowResHints())
    alone = tmp_path / "model.safetensors"
    alone.write_bytes((folder / "model.safetensors").read_bytes())
    with pytest.raises(WeightsError, match=r"no config\.json"):
        VitMattePrior(alone)
    with pytest.raises(WeightsError, match="no ViTMatte"):
        VitMattePrior(alone, architecture="vitmatte-small")
