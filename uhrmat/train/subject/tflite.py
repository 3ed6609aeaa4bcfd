"""TFLite networks as ONNX, as far as the teachers and the tests' real networks need it.

It reads with the `tflite` package. Tensors become NCHW, 16-bit floats 32-bit ones. Quantised tensors become floats that
are rounded to their 256 steps after every layer, which is what the 8-bit kernels do but for the rounding of their own
sums. A last ARG_MAX becomes one plane: 1 where class `person` won.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper, save

_TYPES = {0: np.float32, 1: np.float16, 2: np.int32, 3: np.uint8, 4: np.int64}
_ACTIVATIONS = {1: "Relu"}
_BYTE = 3


class Converter:
    """path: a .tflite file; person: the class that a final ARG_MAX selects."""

    def __init__(self, path: Path, person: int = 15) -> None:
        import tflite

        self.t, self.person = tflite, person
        self.model = tflite.Model.GetRootAsModel(path.read_bytes(), 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.values: dict[int, np.ndarray] = {}
        self.count = 0

    def save(self, path: Path) -> Path:
        """Converts every operator and writes the ONNX file; returns its path."""
        source, target = int(self.graph.InputsAsNumpy()[0]), int(self.graph.OutputsAsNumpy()[0])
        for number in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(number)
            kind = self.kind(operator)
            into, out = ([int(i) for i in x] for x in (operator.InputsAsNumpy(), operator.OutputsAsNumpy()))
            _OPERATORS[kind](self, operator, into, out[0])
        picture = helper.make_tensor_value_info(f"t{source}", TensorProto.FLOAT, self.nchw(source))
        alpha = helper.make_tensor_value_info(f"t{target}", TensorProto.FLOAT, self.nchw(target))
        graph = helper.make_graph(self.nodes, "tflite", [picture], [alpha], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        checker.check_model(model)
        save(model, path)
        return path

    def kind(self, operator: Any) -> str:
        code = self.model.OperatorCodes(operator.OpcodeIndex())
        if code.CustomCode():
            return str(code.CustomCode().decode())
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        result: str = next(k for k, v in vars(self.t.BuiltinOperator).items() if v == number)
        return result

    def options(self, operator: Any, kind: str) -> Any:
        """The table of an operator's settings, such as Conv2DOptions."""
        table = getattr(self.t, kind)()
        raw = operator.BuiltinOptions()
        table.Init(raw.Bytes, raw.Pos)
        return table

    def shape(self, index: int) -> list[int]:
        """As TFLite states it, (1, h, w, c)."""
        return [int(n) for n in self.graph.Tensors(index).ShapeAsNumpy()]

    def nchw(self, index: int) -> list[int]:
        """As ONNX states it; a picture of classes, which has no planes, has one."""
        batch, height, width, planes = [*self.shape(index), 1][:4]
        return [batch, planes, height, width]

    def constant(self, index: int) -> np.ndarray:
        """A tensor that stands in the file, as floats where it is quantised."""
        if index in self.values:
            return self.values[index]
        tensor = self.graph.Tensors(index)
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        values = np.frombuffer(raw, _TYPES[tensor.Type()]).reshape(self.shape(index))
        scale, zero = self.steps(index)
        return values if scale is None else np.float32(scale) * (values.astype(np.float32) - np.float32(zero))

    def is_constant(self, index: int) -> bool:
        buffer = self.graph.Tensors(index).Buffer()
        return index in self.values or self.model.Buffers(buffer).DataLength() > 0

    def steps(self, index: int) -> tuple[float | None, int]:
        """Scale and zero of a quantised tensor."""
        quantization = self.graph.Tensors(index).Quantization()
        if quantization is None or quantization.ScaleLength() == 0:
            return None, 0
        return float(quantization.Scale(0)), int(quantization.ZeroPoint(0))

    def weight(self, value: np.ndarray | np.generic) -> str:
        self.count += 1
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), f"w{self.count}"))
        return f"w{self.count}"

    def add(self, kind: str, inputs: list[str], output: str = "", **settings: Any) -> str:
        self.count += 1
        output = output or f"n{self.count}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def finish(self, value: str, index: int, activation: int = 0) -> None:
        """Names `value` as tensor `index`, after its activation and its rounding."""
        scale, zero = self.steps(index)
        if activation in _ACTIVATIONS:
            value = self.add(_ACTIVATIONS[activation], [value])
        elif activation == 3:
            value = self.add("Clip", [value, self.weight(np.float32(0)), self.weight(np.float32(6))])
        if scale is not None and self.graph.Tensors(index).Type() == _BYTE:
            steps = [self.weight(np.float32(scale)), self.weight(np.uint8(zero))]
            value = self.add("DequantizeLinear", [self.add("QuantizeLinear", [value, *steps]), *steps])
        self.add("Identity", [value], f"t{index}")


def _pads(size: list[int], kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int]) -> list[int]:
    """SAME: what is missing, the odd pixel behind."""
    total = [
        max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
    ]
    return [*(n // 2 for n in total), *(n - n // 2 for n in total)]


def _conv(c: Converter, operator: Any, into: list[int], out: int) -> None:
    depthwise = c.kind(operator) == "DEPTHWISE_CONV_2D"
    settings = c.options(operator, "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions")
    kernel = c.constant(into[1]).astype(np.float32)  # (out, h, w, in), depthwise (1, h, w, out)
    stride = settings.StrideH(), settings.StrideW()
    dilation = settings.DilationHFactor(), settings.DilationWFactor()
    kernel = kernel.transpose(3, 0, 1, 2) if depthwise else kernel.transpose(0, 3, 1, 2)
    pads = [0] * 4
    if settings.Padding() == 0:
        pads = _pads(c.shape(into[0])[1:3], kernel.shape[2:], stride, dilation)
    names = [f"t{into[0]}", c.weight(kernel), c.weight(c.constant(into[2]).astype(np.float32))]
    group = kernel.shape[0] if depthwise else 1
    result = c.add("Conv", names, strides=stride, dilations=dilation, pads=pads, group=group)
    c.finish(result, out, settings.FusedActivationFunction())


def _transposed(c: Converter, operator: Any, into: list[int], out: int) -> None:
    """MediaPipe's own operator: a transposed convolution with a bias."""
    kernel = c.constant(into[1]).astype(np.float32).transpose(3, 0, 1, 2)
    _, high, wide = np.frombuffer(bytes(operator.CustomOptionsAsNumpy()), np.int32)[:3]
    assert (kernel.shape[2], kernel.shape[3]) == (high, wide), "only where nothing overlaps"
    bias = c.weight(c.constant(into[2]).astype(np.float32))
    c.finish(c.add("ConvTranspose", [f"t{into[0]}", c.weight(kernel), bias], strides=[int(high), int(wide)]), out)


def _pair(kind: str, settings: str) -> Callable[[Converter, Any, list[int], int], None]:
    """A sum or a product of two tensors, or of one with a constant of its channels."""

    def convert(c: Converter, operator: Any, into: list[int], out: int) -> None:
        names = [c.weight(c.constant(i).reshape(1, -1, 1, 1)) if c.is_constant(i) else f"t{i}" for i in into]
        c.finish(c.add(kind, names), out, c.options(operator, settings).FusedActivationFunction())

    return convert


def _plain(kind: str) -> Callable[[Converter, Any, list[int], int], None]:
    return lambda c, operator, into, out: c.finish(c.add(kind, [f"t{into[0]}"]), out)


def _mean(c: Converter, operator: Any, into: list[int], out: int) -> None:
    """All of them are over the whole plane."""
    assert c.shape(out)[1:3] == [1, 1] or len(c.shape(out)) == 2
    c.finish(c.add("GlobalAveragePool", [f"t{into[0]}"]), out)


def _resize(c: Converter, operator: Any, into: list[int], out: int) -> None:
    settings = c.options(operator, "ResizeBilinearOptions")
    mode = "align_corners" if settings.AlignCorners() else "asymmetric"
    mode = "half_pixel" if settings.HalfPixelCenters() else mode
    size = c.weight(np.array(c.nchw(out), np.int64))
    result = c.add("Resize", [f"t{into[0]}", "", "", size], mode="linear", coordinate_transformation_mode=mode)
    c.finish(result, out)


def _concat(c: Converter, operator: Any, into: list[int], out: int) -> None:
    c.finish(c.add("Concat", [f"t{i}" for i in into], axis=1), out)


def _widen(c: Converter, operator: Any, into: list[int], out: int) -> None:
    """DEQUANTIZE of a 16-bit constant."""
    c.values[out] = c.constant(into[0]).astype(np.float32)


def _winner(c: Converter, operator: Any, into: list[int], out: int) -> None:
    best = c.add("ArgMax", [f"t{into[0]}"], axis=1, keepdims=1)
    c.add("Cast", [c.add("Equal", [best, c.weight(np.int64(c.person))])], f"t{out}", to=TensorProto.FLOAT)


_OPERATORS: dict[str, Callable[[Converter, Any, list[int], int], None]] = {
    "CONV_2D": _conv, "DEPTHWISE_CONV_2D": _conv, "Convolution2DTransposeBias": _transposed,
    "ADD": _pair("Add", "AddOptions"), "MUL": _pair("Mul", "MulOptions"), "RELU": _plain("Relu"),
    "HARD_SWISH": _plain("HardSwish"), "LOGISTIC": _plain("Sigmoid"), "AVERAGE_POOL_2D": _mean, "MEAN": _mean,
    "RESIZE_BILINEAR": _resize, "CONCATENATION": _concat, "DEQUANTIZE": _widen, "ARG_MAX": _winner,
    "QUANTIZE": lambda c, operator, into, out: c.finish(f"t{into[0]}", out),
}  # fmt: skip
