"""ONNX networks as torch modules: a teacher that runs in batches, on the device where its student is trained.

Covers the operators of small convolutional segmentation networks. Quantised networks are evaluated in floating point:
their rounding steps are left out, because a teacher's unrounded logits carry more than its rounded ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import InputError

Values = dict[str, Any]


class GraphNet(nn.Module):
    """The network of a .onnx file, evaluated operator by operator.

    Args:
        path: the file. Its single picture input is NCHW or NHWC, as the file says.
        outputs: names of the tensors to return; default the graph's first output. Nodes that none of them needs are
            dropped, so that a last ARGMAX can be left out by naming the logits before it.

    Raises:
        InputError: the file is no ONNX network, lacks an output, or holds an operator that is not known here.
    """

    def __init__(self, path: Path, outputs: tuple[str, ...] = ()) -> None:
        super().__init__()
        import onnx

        try:
            graph = onnx.load(path).graph
        except Exception as error:  # protobuf's errors, whose class onnx does not export
            raise InputError(f"{path} is no ONNX network.", "Give the teacher's .onnx file.") from error
        constants = {value.name: onnx.numpy_helper.to_array(value) for value in graph.initializer}
        self.input = next(value.name for value in graph.input if value.name not in constants)
        self.outputs = outputs or (graph.output[0].name,)
        nodes = [(node.op_type, list(node.input), list(node.output), _attributes(node)) for node in graph.node]
        self._nodes = _needed(nodes, self.outputs)
        made = {name for _, _, names, _ in self._nodes for name in names}
        if missing := [name for name in self.outputs if name not in made]:
            raise InputError(f"{path} has no layers {', '.join(missing)}.", "Name layers that the network has.")
        if unknown := sorted({kind for kind, *_ in self._nodes} - _OPERATORS.keys()):
            raise InputError(f"{path} uses operators unknown here: {', '.join(unknown)}.", "Choose another teacher.")
        self._names: dict[str, str] = {}
        self._plain: dict[str, np.ndarray] = {}
        used = {name for _, names, _, _ in self._nodes for name in names}
        for name, value in constants.items():
            if name in used:
                self._keep(name, value)

    def _keep(self, name: str, value: np.ndarray) -> None:
        """Floats become buffers, which follow the module to its device; integers (shapes) stay on the host."""
        if value.dtype.kind == "f" and value.ndim:
            self._names[name] = f"constant{len(self._names)}"
            self.register_buffer(self._names[name], torch.from_numpy(value.astype(np.float32)))
        else:
            self._plain[name] = value

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """The tensors named by `outputs`, for a batch of pictures in the network's own layout and value range."""
        values: Values = {"": None, self.input: picture}
        values |= {name: getattr(self, key) for name, key in self._names.items()} | self._plain
        for kind, inputs, outputs, settings in self._nodes:
            values[outputs[0]] = _OPERATORS[kind]([values[name] for name in inputs], settings)
        return tuple(values[name] for name in self.outputs)

    def convolutions(self) -> list[tuple[Tensor, Tensor | None]]:
        """Weight (out, in, kh, kw) and bias (out,) of every convolution, in the order of evaluation."""
        tensors = {name: getattr(self, key) for name, key in self._names.items()}
        return [
            (tensors[inputs[1]], tensors[inputs[2]] if len(inputs) > 2 else None)
            for kind, inputs, _, _ in self._nodes
            if kind == "Conv"
        ]


def _needed(nodes: list[Any], outputs: tuple[str, ...]) -> list[Any]:
    """The nodes, in their order, on which the outputs depend."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node[2]):
            wanted |= set(node[1])
            kept.append(node)
    return kept[::-1]


def _attributes(node: Any) -> dict[str, Any]:
    import onnx

    return {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}


def _integers(value: Any) -> list[int]:
    return [int(n) for n in (value.tolist() if isinstance(value, (Tensor, np.ndarray)) else value)]


def _padded(x: Tensor, settings: dict[str, Any], kernel: tuple[int, ...], value: float = 0.0) -> Tensor:
    """`x` with the operator's padding applied: explicit, or SAME with the odd pixel at the end."""
    stride, dilation = settings.get("strides", [1, 1]), settings.get("dilations", [1, 1])
    top, left, bottom, right = settings.get("pads", [0, 0, 0, 0])
    if settings.get("auto_pad", b"NOTSET") in (b"SAME_UPPER", "SAME_UPPER"):
        need = [
            max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
            for n, k, s, d in zip(x.shape[-2:], kernel, stride, dilation, strict=True)
        ]
        (top, left), (bottom, right) = (n // 2 for n in need), (n - n // 2 for n in need)
    return F.pad(x, (left, right, top, bottom), value=value) if top or left or bottom or right else x


def _conv(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    x, weight, *bias = inputs
    stride, dilation = settings.get("strides", [1, 1]), settings.get("dilations", [1, 1])
    pads = settings.get("pads", [0] * 4)
    symmetric = list(pads[:2]) == list(pads[2:]) and settings.get("auto_pad", b"NOTSET") in (b"NOTSET", "NOTSET")
    if not symmetric:
        x = _padded(x, settings, tuple(weight.shape[-2:]))
    shift = bias[0] if bias else None
    groups = settings.get("group", 1)
    return F.conv2d(x, weight, shift, stride, pads[:2] if symmetric else 0, dilation, groups)


def _transposed(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    x, weight, *bias = inputs
    pads = settings.get("pads", [0] * 4)
    return F.conv_transpose2d(x, weight, bias[0] if bias else None, settings.get("strides", [1, 1]), pads[:2])


def _max_pool(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    """Ceiling mode pads at the end, as the standard defines it."""
    kernel, stride = settings["kernel_shape"], settings.get("strides", [1, 1])
    x = _padded(inputs[0], settings, tuple(kernel), -torch.inf)
    return F.max_pool2d(x, kernel, stride, ceil_mode=bool(settings.get("ceil_mode", 0)))


def _average_pool(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    return F.avg_pool2d(_padded(inputs[0], settings, tuple(settings["kernel_shape"])), settings["kernel_shape"],
                        settings.get("strides", [1, 1]))  # fmt: skip


def _resize(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    """Bilinear; of the coordinate conventions align_corners and half_pixel are exact, asymmetric is sampled."""
    x, size = inputs[0], _integers(inputs[3])[2:]
    how = settings.get("coordinate_transformation_mode", b"half_pixel")
    how = how.decode() if isinstance(how, bytes) else how
    if how != "asymmetric":
        return F.interpolate(x, size, mode="bilinear", align_corners=how == "align_corners")
    grids = [
        (torch.arange(new, device=x.device) * (old / new)).clamp(max=old - 1) / max(1, old - 1) * 2 - 1
        for new, old in zip(size, x.shape[-2:], strict=True)
    ]
    y, z = torch.meshgrid(grids[0].to(x.dtype), grids[1].to(x.dtype), indexing="ij")
    grid = torch.stack([z, y], -1)[None].expand(len(x), -1, -1, -1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _clip(inputs: list[Any], settings: dict[str, Any]) -> Tensor:
    low = settings.get("min", inputs[1] if len(inputs) > 1 else None)
    high = settings.get("max", inputs[2] if len(inputs) > 2 else None)
    result: Tensor = inputs[0].clamp(*(None if edge is None else float(edge) for edge in (low, high)))
    return result


def _slice(inputs: list[Any], _: dict[str, Any]) -> Any:
    tensor, starts, ends = inputs[0], _integers(inputs[1]), _integers(inputs[2])
    axes = _integers(inputs[3]) if len(inputs) > 3 and inputs[3] is not None else list(range(len(starts)))
    slices = [slice(None)] * tensor.ndim
    for axis, start, end in zip(axes, starts, ends, strict=True):
        slices[axis] = slice(start, end)
    return tensor[tuple(slices)]


def _concat(inputs: list[Any], settings: dict[str, Any]) -> Any:
    if all(isinstance(value, np.ndarray) for value in inputs):
        return np.concatenate(inputs, settings["axis"])
    return torch.cat(inputs, settings["axis"])


def _cast(inputs: list[Any], _: dict[str, Any]) -> Any:
    """Floating point stays in the precision of the run; half-precision constants were widened on load."""
    return inputs[0]


def _same(inputs: list[Any], _: dict[str, Any]) -> Any:
    return inputs[0]


def _on_host(value: Any, like: Tensor) -> Any:
    return torch.from_numpy(np.asarray(value)).to(like) if isinstance(value, np.ndarray) else value


_OPERATORS: dict[str, Callable[[list[Any], dict[str, Any]], Any]] = {
    "Add": lambda x, _: x[0] + _on_host(x[1], x[0]),
    "AveragePool": _average_pool,
    "BatchNormalization": lambda x, s: F.batch_norm(x[0], x[3], x[4], x[1], x[2], eps=s.get("epsilon", 1e-5)),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "DequantizeLinear": _same,
    "GlobalAveragePool": lambda x, _: x[0].mean((-2, -1), keepdim=True),
    "HardSwish": lambda x, _: F.hardswish(x[0]),
    "Identity": _same,
    "MaxPool": _max_pool,
    "Mul": lambda x, _: x[0] * _on_host(x[1], x[0]),
    "QuantizeLinear": _same,
    "Relu": lambda x, _: F.relu(x[0]),
    "Resize": _resize,
    "Shape": lambda x, _: np.array(x[0].shape, np.int64),
    "Sigmoid": lambda x, _: torch.sigmoid(x[0]),
    "Slice": _slice,
    "Softmax": lambda x, s: torch.softmax(x[0], s.get("axis", 1)),
    "Transpose": lambda x, s: x[0].permute(s["perm"]),
}
