"""Segmentation networks of others as teachers: soft labels of whole photographs, and features of training pictures.

Each network sees pictures as its authors say. Labels are means over the picture, its mirror image and, where a first
look finds something, a closer view of it, so that a label is what several looks agree on (Beyer et al., "Knowledge
distillation: A good teacher is patient and consistent", CVPR 2022; hints: Romero et al., "FitNets", ICLR 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.train.subject.graph import GraphNet

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_PERSON = 15
_ANIMALS = (3, 8, 10, 12, 13, 17)
"""Bird, cat, cow, dog, horse and sheep among the 21 classes of Pascal VOC."""
_ZOOM = 1.35
"""Side of the closer view against the box around what was found."""


@dataclass(frozen=True, kw_only=True)
class TeacherSpec:
    """How one network is used.

    Args:
        file: name of the file, .onnx or .tflite.
        side: (height, width) of its input.
        feed: pictures (B, 3, h, w) in [0, 1] to the network's value range and layout.
        output: the tensor with its result, empty for the graph's first output.
        read: that tensor to probabilities by name ("person", "animal", "subject"), each (B, 1, h', w').
        hints: tensors whose values are training hints, by grid ("quarter", "eighth", "sixteenth").
    """

    file: str
    side: tuple[int, int]
    feed: Callable[[Tensor], Tensor]
    output: str
    read: Callable[[Tensor], dict[str, Tensor]]
    hints: dict[str, tuple[str, ...]]


def _imagenet(x: Tensor) -> Tensor:
    x = x / x.amax((1, 2, 3), keepdim=True).clamp(min=1e-3)
    mean, std = (x.new_tensor(values)[:, None, None] for values in (MEAN, STD))
    return (x - mean) / std


def _classes(logits: Tensor) -> dict[str, Tensor]:
    shares = torch.softmax(logits.float(), 1)
    return {
        "person": shares[:, [_PERSON]],
        "animal": shares[:, list(_ANIMALS)].sum(1, keepdim=True),
        "subject": 1 - shares[:, :1],
    }


TEACHERS: dict[str, TeacherSpec] = {
    "u2netp": TeacherSpec(
        file="u2netp_fp16.onnx", side=(320, 320), feed=_imagenet, output="365",
        read=lambda y: {"subject": y.float()},
        hints={"quarter": ("116", "304"), "eighth": ("141", "264"), "sixteenth": ("162", "183", "205", "231")},
    ),
    "selfie": TeacherSpec(
        file="selfie_segmentation.tflite", side=(256, 256), feed=lambda x: x, output="",
        read=lambda y: {"person": y.float()},
        hints={"quarter": ("t25", "t219"), "eighth": ("t48", "t193"), "sixteenth": ("t91", "t135", "t167")},
    ),
    "bodypix": TeacherSpec(
        file="bodypix050-s16.onnx", side=(513, 513), feed=lambda x: (2 * x - 1).permute(0, 2, 3, 1),
        output="float_segments_raw_output___27:0", read=lambda y: {"person": torch.sigmoid(y.float())}, hints={},
    ),
    "deeplab": TeacherSpec(
        file="deeplabv3_mnv2_pascal_quant.tflite", side=(513, 513), feed=lambda x: x * 255 / 128 - 1, output="t182",
        read=_classes, hints={"sixteenth": ("t180", "t182")},
    ),
}  # fmt: skip
"""U²-Net-P (Qin et al., 2020), MediaPipe selfie segmentation, BodyPix 2 and DeepLabv3 (MobileNetV2), all Apache-2.0."""


class Ensemble(nn.Module):
    """Several teachers side by side.

    Args:
        folder: where the files lie, at any depth.
        cache: where converted files are kept.

    Raises:
        InputError: a network is missing or cannot be read.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        super().__init__()
        self.nets = nn.ModuleDict()
        for name, spec in TEACHERS.items():
            hints = tuple(layer for layers in spec.hints.values() for layer in layers)
            path = _as_onnx(folder, spec.file, cache)
            self.nets[name] = GraphNet(path, ((spec.output or _first_output(path)), *hints))
        self.eval().requires_grad_(False)

    def predict(self, name: str, images: Tensor) -> dict[str, Tensor]:
        """What one teacher finds in pictures (B, 3, H, W) in [0, 1]: kind to (B, 1, H, W) in [0, 1]."""
        planes = TEACHERS[name].read(self._run(name, images)[0])
        return {kind: _sized(plane, images.shape[-2:]) for kind, plane in planes.items()}

    def predict_all(self, images: Tensor) -> dict[str, dict[str, Tensor]]:
        """What each teacher finds: teacher to kind to plane, see `predict`."""
        return {name: self.predict(name, images) for name in TEACHERS}

    def hints(self, images: Tensor, teachers: Sequence[str]) -> dict[str, Tensor]:
        """Features of pictures (B, 3, H, W) in [0, 1] that the named teachers compute, by grid, each (B, C, h, w)."""
        features: dict[str, list[Tensor]] = {}
        for name in teachers:
            spec = TEACHERS[name]
            layers = iter(self._run(name, images)[1:])
            for grid, names in spec.hints.items():
                features.setdefault(grid, []).extend(next(layers).float() for _ in names)
        joined = {}
        for grid, parts in features.items():
            scale = {"quarter": 4, "eighth": 8, "sixteenth": 16}[grid]
            size = -(-images.shape[-2] // scale), -(-images.shape[-1] // scale)
            joined[grid] = torch.cat([_sized(part, size) for part in parts], 1)
        return joined

    def convolutions(self, name: str) -> list[tuple[Tensor, Tensor | None]]:
        """Weights and biases of one teacher's convolutions, see `GraphNet.convolutions`."""
        net = self.nets[name]
        assert isinstance(net, GraphNet)
        return net.convolutions()

    def _run(self, name: str, images: Tensor) -> tuple[Tensor, ...]:
        spec, net = TEACHERS[name], self.nets[name]
        picture = spec.feed(_sized(images, spec.side))
        if picture.shape[1] == 3:  # as fast convolutions want it; what a network takes as NHWC is so already
            picture = picture.contiguous(memory_format=torch.channels_last)
        tensors: tuple[Tensor, ...] = net(picture)
        return tensors


def _sized(x: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Resampled to `size`, averaging where it becomes smaller."""
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False, antialias=x.shape[-1] > size[-1])


def _as_onnx(folder: Path, file: str, cache: Path) -> Path:
    """The network's .onnx file, converted from TFLite into `cache` where it is not there yet."""
    kept = cache / f"{Path(file).stem}.onnx"
    if kept.is_file():
        return kept
    path = next(iter(sorted(folder.rglob(file))), None)
    if path is None:
        raise InputError(f"{folder} holds no teacher {file}.", "Give the folder of the teachers with --teachers.")
    if path.suffix == ".onnx":
        return path
    try:
        from uhrmat.train.subject.tflite import Converter

        cache.mkdir(parents=True, exist_ok=True)
        return Converter(path).save(kept)
    except ImportError as error:
        raise InputError("Teachers in TFLite files need the package tflite.", "pip install tflite onnx") from error


def _first_output(path: Path) -> str:
    import onnx

    return str(onnx.load(path).graph.output[0].name)


@torch.no_grad()
def label(ensemble: Ensemble, images: Tensor) -> dict[str, Tensor]:
    """Mean over looks of what the teachers find in whole pictures (B, 3, H, W) in [0, 1].

    Returns:
        "u2netp", "animal", "any" and each person teacher's "person:NAME", (B, 1, H, W) in [0, 1].
    """
    whole = _mirrored(ensemble, images)
    best = torch.stack([plane for name, plane in whole.items() if name != "animal"]).mean(0)
    boxes = torch.stack([_box(plane[0]) for plane in (best > 0.4).float()])
    close = _mirrored(ensemble, _cropped(images, boxes))
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    use = (area < 0.7).float()[:, None, None, None] * 0.5
    return {name: plane + use * (_restored(close[name], boxes, plane) - plane) for name, plane in whole.items()}


def _mirrored(ensemble: Ensemble, images: Tensor) -> dict[str, Tensor]:
    """Mean of the results for pictures and for their mirror images."""
    planes = ensemble.predict_all(torch.cat([images, images.flip(-1)]))
    flat = {"u2netp": planes["u2netp"]["subject"], "animal": planes["deeplab"]["animal"]}
    flat |= {"any": planes["deeplab"]["subject"]}
    flat |= {f"person:{name}": planes[name]["person"] for name in ("selfie", "bodypix", "deeplab")}
    halves = {name: plane.chunk(2) for name, plane in flat.items()}
    return {name: (straight + turned.flip(-1)) / 2 for name, (straight, turned) in halves.items()}


def _box(mask: Tensor) -> Tensor:
    """(left, top, right, bottom) in [0, 1] around a mask (H, W), enlarged; the whole picture where it is empty."""
    rows, cols = mask.amax(1).nonzero()[:, 0], mask.amax(0).nonzero()[:, 0]
    if len(rows) == 0:
        return mask.new_tensor([0.0, 0.0, 1.0, 1.0])
    height, width = mask.shape
    edges = mask.new_tensor([cols[0] / width, rows[0] / height, (cols[-1] + 1) / width, (rows[-1] + 1) / height])
    middle, half = (edges[:2] + edges[2:]) / 2, (edges[2:] - edges[:2]) / 2 * _ZOOM
    half = half.clamp(min=0.15)
    return torch.cat([(middle - half).clamp(0, 1), (middle + half).clamp(0, 1)])


def _affine(boxes: Tensor) -> Tensor:
    """(B, 2, 3) matrices that map [-1, 1]² onto boxes of a picture."""
    low, high = boxes[:, :2] * 2 - 1, boxes[:, 2:] * 2 - 1
    half, middle = (high - low) / 2, (high + low) / 2
    matrix = boxes.new_zeros(len(boxes), 2, 3)
    matrix[:, 0, 0], matrix[:, 1, 1] = half[:, 0], half[:, 1]
    matrix[:, :, 2] = middle
    return matrix


def _cropped(images: Tensor, boxes: Tensor) -> Tensor:
    grid = F.affine_grid(_affine(boxes), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _restored(planes: Tensor, boxes: Tensor, outside: Tensor) -> Tensor:
    """Planes of cropped pictures at their places in the whole ones; `outside` elsewhere."""
    matrix = _affine(boxes)
    inverse = torch.zeros_like(matrix)
    for axis in (0, 1):
        inverse[:, axis, axis] = 1 / matrix[:, axis, axis]
        inverse[:, axis, 2] = -matrix[:, axis, 2] / matrix[:, axis, axis]
    grid = F.affine_grid(inverse, list(outside.shape), align_corners=False)
    restored = F.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    inside = F.grid_sample(torch.ones_like(planes), grid, padding_mode="zeros", align_corners=False)
    return inside * restored + (1 - inside) * outside
