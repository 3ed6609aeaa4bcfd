"""Training the network that finds people to tell what another network's layers say, a small one made here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from typer.testing import CliRunner

from tests.train.resuming import resumed_like_unbroken
from uhrmat.cli.app import app
from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn import fold_batch_norm
from uhrmat.train.lpn.person import PersonTask
from uhrmat.train.lpn.photo_cache import fill_photo_cache
from uhrmat.train.lpn.teacher import StudentNet, Teacher, hint_loss
from uhrmat.train.recipe import PersonRecipe, load_recipe
from uhrmat.train.task import fit

SIDE = 64
LAYERS = {"quarter": ("fine",), "eighth": ("middle",), "sixteenth": ("coarse", "squared")}


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of 64 x 64 pictures: means over 4, 8 and 16 pixels each way, and squares of the last."""
    nodes = [
        helper.make_node("AveragePool", ["picture"], [name], kernel_shape=[size] * 2, strides=[size] * 2)
        for name, size in (("fine", 4), ("middle", 8), ("coarse", 16))
    ]
    nodes += [helper.make_node("Mul", ["coarse", "coarse"], ["squared"])]
    nodes += [helper.make_node("Conv", ["coarse", "weights"], ["alpha"])]
    weights = numpy_helper.from_array(np.ones((1, 3, 1, 1), np.float32), "weights")
    into = helper.make_tensor_value_info("picture", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    out = helper.make_tensor_value_info("alpha", TensorProto.FLOAT, [1, 1, SIDE // 16, SIDE // 16])
    graph = helper.make_graph(nodes, "teacher", [into], [out], [weights])
    path = tmp_path_factory.mktemp("teacher") / "teacher.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten photographs of red bars, number 7 held out."""
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for folder in ("photo", "mask"):
        (root / "people" / folder).mkdir(parents=True)
    for number in range(10):
        photo, mask = rng.integers(90, 160, (120, 90, 3), np.uint8), np.zeros((120, 90), np.uint8)
        left = int(rng.integers(20, 50))
        photo[20:110, left : left + 25], mask[20:110, left : left + 25] = (30, 30, 230), 255
        cv2.imwrite(str(root / f"people/photo/{number}.jpg"), photo)
        cv2.imwrite(str(root / f"people/mask/{number}.png"), mask)
    return root


def _recipe(**changes: object) -> PersonRecipe:
    small = {"side": SIDE, "large": SIDE, "batch": 4, "steps": 4, "warmup": 2, "rate": 2e-3, "ema": 0.9}
    layers = {grid: list(names) for grid, names in LAYERS.items()}
    return load_recipe("lpn-person-taught", PersonRecipe, **{**small, **layers, **changes})


def test_layers_are_what_the_network_holds(network: Path) -> None:
    calls = Teacher(network, LAYERS).load()
    assert calls.channels == {"quarter": 3, "eighth": 3, "sixteenth": 6}
    images = torch.rand(2, 3, SIDE, SIDE)
    result = calls(images)
    means = torch.nn.functional.avg_pool2d(images, 16)
    assert result["quarter"].shape == (2, 3, 16, 16) and result["eighth"].shape == (2, 3, 8, 8)
    torch.testing.assert_close(result["sixteenth"].float(), torch.cat([means, means**2], 1), atol=2e-3, rtol=0)


def test_pictures_of_other_sizes_are_stretched(network: Path) -> None:
    calls = Teacher(network, LAYERS).load()
    tall = torch.rand(1, 3, SIDE, SIDE).repeat_interleave(2, 2)
    torch.testing.assert_close(calls(tall)["eighth"], calls(tall[:, :, ::2])["eighth"], atol=2e-3, rtol=0)


def test_the_loss_is_blind_to_scale_and_knows_its_zero() -> None:
    torch.manual_seed(0)
    hint = torch.randn(4, 2, 8, 8) * torch.tensor([0.1, 50.0])[:, None, None] + 3
    level = (hint - hint.mean((0, 2, 3), keepdim=True)) / hint.std((0, 2, 3), keepdim=True)
    assert float(hint_loss({"eighth": level}, {"eighth": hint})) < 1e-3
    assert float(hint_loss({"eighth": torch.zeros_like(level)}, {"eighth": hint})) == pytest.approx(1, abs=0.03)


def test_features_are_learned_and_left_out_of_the_weights(network: Path, data: Path, tmp_path: Path) -> None:
    lines: list[dict[str, float]] = []
    fill_photo_cache(data, tmp_path / "store")
    task = PersonTask(_recipe(steps=40, batch=6), tmp_path / "store", data, network)
    state = fit(task, tmp_path / "run", workers=0, every=10, report=lines.append)
    assert lines[-1]["hints"] < 0.7 * lines[0]["hints"] and lines[-1]["dice"] < lines[0]["dice"]
    assert isinstance(state.ema, StudentNet)
    plain, image = fold_batch_norm(state.ema.eval()), torch.rand(1, 3, 70, 90)
    with torch.no_grad():
        torch.testing.assert_close(plain(image).logits, state.ema(image).logits, atol=1e-4, rtol=1e-4)
    assert not any("readers" in name for name in plain.state_dict())


def test_a_resumed_run_ends_with_the_same_weights(network: Path, data: Path, tmp_path: Path) -> None:
    fill_photo_cache(data, tmp_path / "store")
    task = PersonTask(_recipe(), tmp_path / "store", data, network)
    resumed_like_unbroken(task, tmp_path)


def test_refusals(network: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no layers nothing"):
        Teacher(network, {**LAYERS, "eighth": ("nothing",)}).load()
    with pytest.raises(InputError, match="no network"):
        Teacher(tmp_path / "missing.onnx", LAYERS).load()
    (tmp_path / "text.onnx").write_text("no network")
    with pytest.raises(InputError, match="no ONNX network"):
        Teacher(tmp_path / "text.onnx", LAYERS).load()
    with pytest.raises(InputError, match="wants a teacher"):
        PersonTask(_recipe(), tmp_path, data).build()
    with pytest.raises(InputError, match="no use for a teacher"):
        PersonTask(load_recipe("lpn-person", PersonRecipe), tmp_path, data, network).build()
    arguments = ["train", "lpn", "-o", str(tmp_path), "--recipe", "lpn-trimap", "--teacher", str(network)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2 and "is for lpn-trimap" in result.output
