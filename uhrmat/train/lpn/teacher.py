"""Another network's features as what ours must be able to tell, too (hints: Romero et al., FitNets, ICLR 2015).

A few hundred photographs teach a network what is in them; a network that has seen far more knows what else matters, and
its features say so at every pixel of any picture, ours with all their changes included. Its weights are not taken over.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn import LPNOutput, PersonNet

GRIDS = ("quarter", "eighth", "sixteenth")
"""Where features are compared, by the size of the grid against the picture's, finest first."""


@dataclass(frozen=True)
class Teacher:
    """path: an .onnx network of one picture (1, 3, h, w) in [0, 1]; layers: names of its tensors (1, C, ., .) for each
    of GRIDS."""

    path: Path
    layers: dict[str, tuple[str, ...]]

    def load(self) -> TeacherSession:
        """The network, ready to run. InputError where it lacks a layer or libraries are missing."""
        try:
            import onnx
            import onnxruntime
        except ImportError as error:
            raise InputError("A teacher needs onnx and onnxruntime.", "pip install onnx onnxruntime") from error
        if not self.path.is_file():
            raise InputError(f"There is no network {self.path}.", "Give the teacher's .onnx file.")
        try:
            model: Any = onnx.shape_inference.infer_shapes(onnx.load(self.path))
        except Exception as error:  # protobuf's, whose class onnx does not export
            raise InputError(f"{self.path} is no ONNX network.", "Give the teacher's .onnx file.") from error
        known = {value.name: value for value in model.graph.value_info}
        if missing := sorted(name for names in self.layers.values() for name in names if name not in known):
            raise InputError(f"{self.path} has no layers {', '.join(missing)}.", "Correct the recipe's hints.")
        model.graph.output.extend(known[name] for names in self.layers.values() for name in names)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads, settings.log_severity_level = 1, 3
        return TeacherSession(onnxruntime.InferenceSession(model.SerializeToString(), settings), self.layers)


class TeacherSession:
    """A teacher that has been opened. channels: of its hints, for each grid."""

    def __init__(self, session: Any, layers: dict[str, tuple[str, ...]]) -> None:
        self._session, self._layers = session, layers
        self._input = session.get_inputs()[0]
        counts = {value.name: int(value.shape[1]) for value in session.get_outputs()}
        self.channels = {grid: sum(counts[name] for name in names) for grid, names in layers.items()}

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        """Of (B, 3, H, W) float32 in [0, 1], stretched to the teacher's size: for each grid (B, C, h, w) float16."""
        height, width = self._input.shape[2:]
        features = [self._one(_stretched(image.numpy(), height, width)) for image in images]
        return {grid: torch.from_numpy(np.stack([one[grid] for one in features])) for grid in self._layers}

    def _one(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        names = [name for layers in self._layers.values() for name in layers]
        tensors = dict(zip(names, self._session.run(names, {self._input.name: picture}), strict=True))
        return {
            grid: np.concatenate([tensors[name][0] for name in layers]).astype(np.float16)
            for grid, layers in self._layers.items()
        }


def _stretched(image: np.ndarray, height: int, width: int) -> np.ndarray:
    pixels = cv2.resize(np.ascontiguousarray(image.transpose(1, 2, 0)), (width, height), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])


class StudentNet(PersonNet):
    """A `PersonNet` in training, with a linear reading of its features for each grid. channels: of the hints there."""

    def __init__(self, channels: dict[str, int]) -> None:
        super().__init__()
        self.readers = nn.ModuleDict({
            grid: nn.Conv2d(self.widths[grid], count, 1) for grid, count in channels.items()
        })  # fmt: skip

    def forward_with_hints(self, image: Tensor) -> tuple[LPNOutput, dict[str, Tensor]]:
        """The result, and what is read at each grid: (B, C, h, w)."""
        result, features = self.forward_features(image)
        return result, {grid: reader(torch.cat(features[grid], 1)) for grid, reader in self.readers.items()}


def hint_loss(read: dict[str, Tensor], hints: dict[str, Tensor]) -> Tensor:
    """Mean square of what is read against the hints (B, C, h, w), these with mean 0 and deviation 1 for each channel of
    the batch; what is read is brought to their size."""
    parts = []
    for grid, hint in hints.items():
        target = hint.float()
        target = (target - target.mean((0, 2, 3), keepdim=True)) / (target.std((0, 2, 3), keepdim=True) + 1e-3)
        resized = F.interpolate(read[grid].float(), target.shape[-2:], mode="bilinear", align_corners=False)
        parts.append(F.mse_loss(resized, target))
    return torch.stack(parts).mean()
