"""ONNX networks in torch give what onnxruntime gives, operator by operator and whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from uhrmat.core.errors import InputError
from uhrmat.train.subject.graph import GraphNet

onnxruntime = pytest.importorskip("onnxruntime")
KERNEL = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


def _save(path: Path, nodes: list[Any], constants: dict[str, np.ndarray], size: tuple[int, int]) -> Path:
    into = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 3, *size])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "net", [into], [out], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def _same(path: Path, x: torch.Tensor) -> None:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    [want] = session.run(None, {"x": x.numpy()})
    [got] = GraphNet(path)(x)
    np.testing.assert_allclose(got.numpy(), want, atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "inputs", "settings"),
    [
        ("Conv", ["x", "w"], {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("Conv", ["x", "w"], {"strides": [2, 2], "pads": [0, 0, 1, 1]}),
        ("Conv", ["x", "w"], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ("Conv", ["x", "w"], {"dilations": [2, 2], "pads": [2, 2, 2, 2]}),
        ("MaxPool", ["x"], {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}),
        ("MaxPool", ["x"], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ("AveragePool", ["x"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Clip", ["x", "low", "high"], {}),
        ("HardSwish", ["x"], {}),
        ("GlobalAveragePool", ["x"], {}),
        ("Mul", ["x", "row"], {}),
        ("Add", ["x", "row"], {}),
        ("Softmax", ["x"], {"axis": 1}),
        ("Transpose", ["x"], {"perm": [0, 2, 3, 1]}),
        ("Slice", ["x", "from", "to", "axes"], {}),
        ("ConvTranspose", ["x", "w_up"], {"strides": [2, 2]}),
    ],
)
def test_operators(tmp_path: Path, kind: str, inputs: list[str], settings: dict[str, Any]) -> None:
    values = {
        "w": KERNEL, "low": np.float32(-0.5), "high": np.float32(0.25),
        "row": np.arange(3, dtype=np.float32).reshape(3, 1, 1),
        "from": np.array([1, 2]), "to": np.array([9, 5]), "axes": np.array([2, 3]),
        "w_up": KERNEL[:3, :, :2, :2].copy(),
    }  # fmt: skip
    used = {name: np.asarray(values[name]) for name in inputs[1:]}
    path = _save(tmp_path / "net.onnx", [helper.make_node(kind, inputs, ["y"], **settings)], used, (11, 14))
    _same(path, torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("mode", ["half_pixel", "align_corners", "asymmetric"])
@pytest.mark.parametrize("size", [(22, 31), (11, 14)])
def test_resizing_by_every_convention(tmp_path: Path, mode: str, size: tuple[int, int]) -> None:
    node = helper.make_node("Resize", ["x", "", "", "size"], ["y"], mode="linear", coordinate_transformation_mode=mode)
    path = _save(tmp_path / "net.onnx", [node], {"size": np.array([2, 3, *size])}, (11, 14))
    _same(path, torch.randn(2, 3, 11, 14, generator=torch.Generator().manual_seed(2)))


def test_layers_by_name_leave_out_what_they_do_not_need(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["middle"]), helper.make_node("NonZero", ["middle"], ["y"])]
    path = _save(tmp_path / "net.onnx", nodes, {}, (4, 4))
    x = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(GraphNet(path, ("middle",))(x)[0], x.relu())
    with pytest.raises(InputError, match="operators unknown here: NonZero"):
        GraphNet(path)
    with pytest.raises(InputError, match="no layers absent"):
        GraphNet(path, ("absent",))


def test_rounding_of_quantised_networks_is_left_out(tmp_path: Path) -> None:
    steps = {"scale": np.float32(0.5), "zero": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    path = _save(tmp_path / "net.onnx", nodes, {k: np.asarray(v) for k, v in steps.items()}, (4, 4))
    x = torch.rand(1, 3, 4, 4)
    torch.testing.assert_close(GraphNet(path)(x)[0], x)


def test_no_network(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match="no ONNX network"):
        GraphNet(tmp_path / "text.onnx")
