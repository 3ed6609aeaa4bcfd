"""Any ONNX network as a prior, through onnxruntime: the catalogue's, or a file of the user's own.

A network of the catalogue is run as its entry says (`hub.entry.Network`). For another file fixed sizes, layout,
channels and recurrent states are read from the graph; normalisation and activation must stand in a file beside it, see
`graph.network_from_graph`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uhrmat.core.errors import InputError, WeightsError
from uhrmat.hub.entry import CatalogEntry, Network
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.networks.graph import OnnxGraph, network_from_graph, read_graph
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY

_COARSE_SIDE = 512
"""Long side of a recurrent network's coarse branch, pixels, from which its downsampling ratio follows: the advice of
RVM (Lin et al., "Robust High-Resolution Video Matting with Temporal Guidance", WACV 2022). Not tuned."""

_CUDA = "CUDAExecutionProvider"


class OnnxPrior:
    """A network in a .onnx file. One with recurrent states keeps them until `reset`.

    Args:
        path: of the file.
        entry: of the catalogue, None for a file that is not in it.
        threads: of onnxruntime, None for its own choice.
        device: torch's name of the device. Where onnxruntime cannot compute on it, it computes on the CPU, with a note.

    Raises:
        InputError: onnxruntime is not installed.
        WeightsError: the file is no network that can be run.
    """

    def __init__(
        self, path: Path, entry: CatalogEntry | None = None, threads: int | None = None, device: str = "cpu"
    ) -> None:
        self._session = _session(path, threads, device)
        self._notes = _device_notes(device, self._session.get_providers())
        self.name = entry.name if entry is not None else path.stem
        self._graph: OnnxGraph = read_graph(self._session, path)
        known = entry.network if entry is not None else None
        self.network: Network = known or network_from_graph(self._graph, path)
        self._input = self.network.input or self._graph.image
        self.working_size: int | None = (
            self.network.side if self.network.fit != "any" and self.network.side > 768 else None
        )
        self._states: dict[str, np.ndarray] = {}
        self._frame = (0, 0)

    @property
    def needs_trimap(self) -> bool:
        """Whether the network takes a trimap beside the picture."""
        return self.network.trimap != ""

    @property
    def recurrent(self) -> bool:
        """Whether the network keeps states from frame to frame."""
        return bool(self.network.recurrence)

    def reset(self) -> None:
        """Forget the frames before."""
        self._states = {}

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        if self.needs_trimap and hints.trimap is None:
            raise InputError(f"The prior {self.name} needs a trimap or a mask.", "Give one, or choose another prior.")
        shape = self._shape(small.shape[:2])
        output = self._run(self._prepare(small, hints.trimap, shape), shape)
        if self.network.fit == "any":
            output = output[: small.shape[0], : small.shape[1]]
        alpha = area_average(np.ascontiguousarray(output), small.shape[:2])
        empty = hints.trimap is None and float(alpha.max()) <= SPATIAL_SPARSITY.low
        alpha = constrain_alpha(alpha.clip(0, 1), hints.trimap)
        return PriorResult(alpha, self.name, notes=self._notes, confidence=0.0 if empty else None)

    def _shape(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the network's input for a small picture of `size`."""
        net, fixed = self.network, self._graph.fixed
        if fixed is not None:
            return fixed
        height, width = size
        if net.fit == "square":
            return net.side, net.side
        scale = net.side / min(size) if net.fit == "short" else 1.0
        multiple = max(1, net.multiple)
        up = np.ceil if net.fit == "any" else np.round
        h, w = (max(multiple, int(up(n * scale / multiple)) * multiple) for n in (height, width))
        return h, w

    def _prepare(self, small: np.ndarray, trimap: np.ndarray | None, shape: tuple[int, int]) -> np.ndarray:
        """(1, C, h, w), or (1, h, w, C): the picture resampled (or padded, where any size fits), normalised."""
        net = self.network
        pixels = self._fit(small, shape)
        if net.range == "byte":
            pixels = pixels * 255
        elif net.range == "max":
            pixels = pixels / max(float(pixels.max()), 1e-6)
        pixels = (pixels - np.array(net.mean, np.float32)) / np.array(net.std, np.float32)
        if net.order == "BGR":
            pixels = pixels[..., ::-1]
        if net.trimap:
            assert trimap is not None
            pixels = np.concatenate([pixels, self._trimap_planes(trimap, shape)], -1)
        planes = pixels if net.layout == "NHWC" else pixels.transpose(2, 0, 1)
        return np.ascontiguousarray(planes[None], self._graph.dtype)

    def _fit(self, pixels: np.ndarray, shape: tuple[int, int], nearest: bool = False) -> np.ndarray:
        """Pad to `shape` (h, w) where any size fits, else resample."""
        height, width = pixels.shape[:2]
        if self.network.fit == "any" and self._graph.fixed is None:
            below, right = shape[0] - height, shape[1] - width
            return np.asarray(cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_REPLICATE))
        if nearest:
            return np.asarray(cv2.resize(pixels, (shape[1], shape[0]), interpolation=cv2.INTER_NEAREST))
        return area_average(pixels, shape)

    def _trimap_planes(self, trimap: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        fitted = self._fit(trimap, shape, nearest=True)
        if self.network.trimap == "one-hot":
            return np.stack([fitted == value for value in (0, 128, 255)], -1).astype(np.float32)
        return np.array([0, 0.5, 1], np.float32)[(fitted > 0).astype(np.int64) + (fitted > 128)][..., None]

    def _run(self, planes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """(h', w') float32: the output that is the alpha, after its activation."""
        feeds: dict[str, np.ndarray] = {self._input: planes}
        pairs = self.network.recurrence
        if self._frame != shape:
            self._states, self._frame = {}, shape
        for source, _ in pairs:
            feeds[source] = self._states.get(source, np.zeros((1, 1, 1, 1), self._graph.dtype))
        if self.network.ratio:
            feeds[self.network.ratio] = np.array([min(1.0, _COARSE_SIDE / max(shape))], np.float32)
        output = self.network.output or self._graph.output
        names = [output, *(target for _, target in pairs)]
        try:
            results = self._session.run(names, feeds)
        except Exception as error:  # onnxruntime's exceptions have no common class
            raise WeightsError(
                f"The network {self.name} failed: {str(error).splitlines()[0]}",
                "Does it take a picture (and a trimap) alone?",
            ) from error
        self._states = {source: state for (source, _), state in zip(pairs, results[1:], strict=True)}
        return self._activate(np.asarray(results[0], np.float32))

    def _activate(self, raw: np.ndarray) -> np.ndarray:
        plane = _plane(raw, self.network.activation.startswith("softmax") or self._graph.classes == 2)
        if self.network.activation == "softmax:1":
            return _plane(_softmax(raw), True)
        return _sigmoid(plane) if self.network.activation == "logits" else plane


def _plane(raw: np.ndarray, second: bool) -> np.ndarray:
    """(h, w) of an output with leading or trailing single axes; of two classes the second is the foreground."""
    plane = raw
    while plane.ndim > 3:
        plane = plane[0]
    if plane.ndim == 3:
        channels_first = plane.shape[0] <= plane.shape[2]
        index = 1 if second and plane.shape[0 if channels_first else 2] > 1 else 0
        plane = plane[index] if channels_first else plane[..., index]
    return plane


def _softmax(raw: np.ndarray) -> np.ndarray:
    axis = 1 if raw.shape[1] <= raw.shape[-1] else -1
    power = np.exp(raw - raw.max(axis, keepdims=True))
    return np.asarray(power / power.sum(axis, keepdims=True))


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * x))


def _device_notes(device: str, used: list[str]) -> list[str]:
    """A note where a network was to run on a GPU and runs on the CPU. used: onnxruntime's providers of the session."""
    if not device.startswith("cuda") or _CUDA in used:
        return []
    return [f"the network runs on the CPU: onnxruntime has no CUDA here (--device {device})"]


def execution_providers(device: str, offered: list[str]) -> list[Any]:
    """onnxruntime's providers for a device, best first: CUDA on that very GPU only where the device is one.

    Args:
        device: torch's name, like "cpu" or "cuda:1".
        offered: the providers of this onnxruntime.
    """
    kind, _, number = device.partition(":")
    gpu = [(_CUDA, {"device_id": int(number or 0)})] if kind == "cuda" and _CUDA in offered else []
    return [*gpu, "CPUExecutionProvider"]


def _session(path: Path, threads: int | None, device: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "ONNX networks need onnxruntime, which is not installed.",
            "pip install 'uhrmat[hub-priors]'; for an NVIDIA GPU: pip install onnxruntime-gpu",
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    providers = execution_providers(device, onnxruntime.get_available_providers())
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions have no common class
        raise WeightsError(
            f"{path} is no ONNX network that onnxruntime can run: {str(error).splitlines()[0]}", "Give another file."
        ) from error
