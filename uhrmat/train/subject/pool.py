"""All training photographs with their labels as tensors on the training device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError
from uhrmat.train.cache import read_arrays, write_arrays
from uhrmat.train.subject.photos import TAGS, Photo, read_photos
from uhrmat.train.subject.teachers import Ensemble, label

LABEL_VERSION = 1
"""Of the cached labels; raised whenever the teachers or how they are run change."""
SIDE = 400
"""Photographs are stretched to SIDE x SIDE; views undo it by the aspect ratio."""
_STEEP = 1.6
"""Factor by which teachers' soft labels are steepened about 0.5: means of several networks are too flat at edges."""


@dataclass(frozen=True, kw_only=True)
class Pool:
    """N photographs on one device.

    Attributes:
        photos: what is known of each.
        planes: (N, 6, SIDE, SIDE) uint8: RGB, subject, people, and the weight of the subject's label in the loss.
        aspect: (N,) width over height.
        box: (N, 4) left, top, right, bottom of the subject in [0, 1], of the whole picture where there is none.
        touches: (N, 4) whether the subject reaches the picture's left, top, right and bottom edge.
        tag: (N,) index into TAGS.
        agreement: (N,) how well the teachers agree on the subject, in [0, 1]; 1 for hand-drawn masks.
        person_known: (N,) 1 where the plane of people is a label, else 0.
    """

    photos: list[Photo]
    planes: Tensor
    aspect: Tensor
    box: Tensor
    touches: Tensor
    tag: Tensor
    agreement: Tensor
    person_known: Tensor

    def select(self, test: Callable[[Photo], bool]) -> Tensor:
        """(N,) float32: 1 for the photographs that pass `test`, else 0."""
        return torch.tensor([float(test(photo)) for photo in self.photos], device=self.planes.device)


def load_pool(path: Path, ensemble: Ensemble, device: torch.device, dtype: torch.dtype, labels: Path) -> Pool:
    """The photographs of `photos.write_photos`, labelled by the teachers where they have no mask of their own.

    Args:
        path: the file of photographs.
        ensemble: the teachers, on `device`.
        device: of the pool's tensors.
        dtype: of the teachers' arithmetic.
        labels: folder that caches the teachers' results, so that an interrupted labelling is resumed.
    """
    cached = list(read_photos(path))
    planes = torch.zeros(len(cached), 6, SIDE, SIDE, dtype=torch.uint8)
    agreements = torch.ones(len(cached))
    known = torch.zeros(len(cached))
    for number, item in enumerate(cached):
        planes[number, :3] = _square(item.pixels).permute(2, 0, 1)
        planes[number, 5] = 255 if item.photo.tag == "none" or item.subject is not None else 0
        for row, mask in ((3, item.subject), (4, item.person)):
            if mask is not None:
                planes[number, row] = _square(mask)
        known[number] = float(item.person is not None or item.photo.tag == "none")
    planes = planes.to(device)
    unlabelled = [n for n, item in enumerate(cached) if needs_label(item.photo)]
    for row in unlabelled:
        photo = cached[row].photo
        arrays = _teacher_planes(
            ensemble, planes[row : row + 1, :3], dtype, labels / f"{photo.source}-{photo.name}.npz"
        )
        labelled = {name: torch.from_numpy(plane).to(device).float() / 255 for name, plane in arrays.items()}
        subject, person, weight, agreement = combine_labels(labelled, photo.tag)
        planes[row, 3], planes[row, 5] = _bytes(subject), _bytes(weight)
        if not photo.person:
            planes[row, 4], known[row] = _bytes(person), 1.0
        agreements[row] = agreement
    box, touches = _subject_boxes(planes[:, 3])
    return Pool(
        photos=[item.photo for item in cached], planes=planes, box=box, touches=touches,
        agreement=agreements.to(device),
        aspect=torch.tensor([item.pixels.shape[1] / item.pixels.shape[0] for item in cached], device=device),
        tag=torch.tensor([TAGS.index(item.photo.tag) for item in cached], device=device), person_known=known.to(device),
    )  # fmt: skip


def _teacher_planes(ensemble: Ensemble, image: Tensor, dtype: torch.dtype, path: Path) -> dict[str, np.ndarray]:
    """The teachers' planes (H, W) uint8 of one photograph (1, 3, H, W) uint8, by name, cached in the file `path`.

    A file of another version is made again.
    """
    with contextlib.suppress(FileNotFoundError, InputError):
        return read_arrays(path, LABEL_VERSION, path)
    with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
        labels = label(ensemble, image.float() / 255)
    arrays = {name: _bytes(plane[0, 0].float()).cpu().numpy() for name, plane in labels.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_arrays(path, LABEL_VERSION, arrays)
    return arrays


def needs_label(photo: Photo) -> bool:
    """Whether teachers say what the subject is: no mask, and not known to be empty."""
    return not photo.subject and photo.tag != "none"


def combine_labels(looks: dict[str, Tensor], tag: str) -> tuple[Tensor, Tensor, Tensor, float]:
    """Combine the teachers' planes of a photograph whose kind is known into one label.

    Args:
        looks: planes (H, W) in [0, 1] by name, see `teachers.label`.
        tag: one of `photos.TAGS`.

    Returns:
        Subject, people and the weight of the subject's label, (H, W) in [0, 1], and how well the teachers agree. An
        ambiguous photograph has weight 0: only the teachers' features are learned from it.
    """
    general, selfie = looks["u2netp"], looks["person:selfie"]
    coarse = (looks["person:bodypix"] + looks["person:deeplab"]) / 2
    person = _steep(0.6 * selfie + 0.4 * coarse)
    if tag == "person":
        subject = _steep(0.35 * general + 0.35 * selfie + 0.3 * coarse)
        spread = torch.stack([general, selfie, looks["person:deeplab"]]).std(0)
        agreement = _overlap([general, selfie, looks["person:deeplab"]])
    elif tag == "animal":
        subject, person = _steep(0.6 * general + 0.4 * looks["any"]), torch.zeros_like(person)
        spread = (general - looks["any"]).abs() / 2
        agreement = _overlap([general, looks["any"]])
    else:
        subject, person = _steep(general), torch.zeros_like(person)
        spread = general * (1 - general)
        agreement = float((2 * general[general > 0.3] - 1).abs().mean().nan_to_num(0.0))
    weight = (1 - 2 * spread).clamp(0.15, 1)
    return subject, person, weight * (tag != "ambiguous"), agreement


def _steep(x: Tensor) -> Tensor:
    return ((x - 0.5) * _STEEP + 0.5).clamp(0, 1)


def _overlap(planes: list[Tensor]) -> float:
    """Mean intersection over union of all pairs at 0.5."""
    masks = [plane > 0.5 for plane in planes]
    pairs = [(a, b) for i, a in enumerate(masks) for b in masks[i + 1 :]]
    return float(np.mean([float((a & b).sum()) / max(1.0, float((a | b).sum())) for a, b in pairs]))


def _bytes(plane: Tensor) -> Tensor:
    return (plane.clamp(0, 1) * 255).round().to(torch.uint8)


def _square(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA))


def _subject_boxes(subject: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) in [0, 1] of masks (N, H, W) uint8, and which of the picture's edges they reach."""
    on = subject > 127
    cols, rows = on.any(1), on.any(2)
    edges = []
    for lines in (cols, rows):
        count = lines.shape[1]
        first, last = lines.float().argmax(1), count - lines.flip(1).float().argmax(1)
        empty = ~lines.any(1)
        edges.append((first.masked_fill(empty, 0) / count, last.masked_fill(empty, count) / count))
    (left, right), (top, bottom) = edges
    box = torch.stack([left, top, right, bottom], 1)
    touches = torch.stack([left < 0.01, top < 0.01, right > 0.99, bottom > 0.99], 1)
    return box, touches & on.flatten(1).any(1)[:, None]
