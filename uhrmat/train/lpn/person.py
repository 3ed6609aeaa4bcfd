"""The network that finds people: its losses, and its figures on photographs never trained on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn import PERSON, PersonNet
from uhrmat.train.losses import gradient
from uhrmat.train.lpn.measure import held_out_people, mask_iou
from uhrmat.train.lpn.photo_cache import PhotoSource, read_source
from uhrmat.train.lpn.scenes import BatchSizes, SceneStream
from uhrmat.train.lpn.teacher import GRIDS, StudentNet, Teacher, hint_loss
from uhrmat.train.recipe import PersonRecipe
from uhrmat.train.task import Batch

_VALIDATED = 40
"""Held-out photographs looked at in validation."""


@dataclass
class PersonTask:
    """store: a folder that `store.fill_store` has filled; data: the photographs, for those that are held out; teacher:
    an .onnx network, where the recipe wants one."""

    recipe: PersonRecipe
    store: Path
    data: Path
    teacher: Path | None = None
    _kept: list[tuple[Tensor, np.ndarray]] = field(default_factory=list)

    def build(self) -> PersonNet:
        """A network with batch normalisation, laid out for fast convolutions."""
        teacher = self._teacher()
        net = PersonNet() if teacher is None else StudentNet(teacher.load().channels)
        result: PersonNet = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return result

    def _teacher(self) -> Teacher | None:
        """InputError where the recipe wants a teacher and none is given, or the other way round."""
        if (self.recipe.hint > 0) != (self.teacher is not None):
            wants = "wants" if self.recipe.hint > 0 else "has no use for"
            raise InputError(
                f"This recipe {wants} a teacher.", "See --teacher and --recipe in `uhrmat train lpn --help`."
            )
        if self.teacher is None:
            return None
        return Teacher(self.teacher, {grid: tuple(getattr(self.recipe, grid)) for grid in GRIDS})

    def stream(self, start: int) -> SceneStream:
        """Pictures drawn from the store."""
        recipe = self.recipe
        sizes = BatchSizes(recipe.batch, recipe.side, recipe.large, recipe.share)
        return SceneStream(self.store, recipe.seed, sizes, start, self._teacher())

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy, soft overlap and edges, and the teacher's hints."""
        image = batch["image"].contiguous(memory_format=torch.channels_last)
        with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
            result, read = net.forward_with_hints(image) if isinstance(net, StudentNet) else (net(image), {})
        total, parts = person_loss(self.recipe, result.logits, batch["alpha"])
        if read:
            hints = hint_loss(read, {grid: batch[grid] for grid in read})
            total, parts = total + self.recipe.hint * hints, parts | {"hints": float(hints.detach())}
        return total, parts

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean IoU at 0.5 and mean absolute error (x1000) on held-out photographs at working size."""
        if not self._kept:
            self._kept = [_prepared(source) for source in held_out_people(self.data)[:_VALIDATED]]
        device, rows = next(net.parameters()).device, []
        for image, target in self._kept:
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                alpha = torch.sigmoid(net.eval()(image.to(device)).logits)[0, 0].cpu().numpy()
            rows.append((mask_iou(alpha > 0.5, target > 0.5), 1000 * float(np.abs(alpha - target).mean())))
        iou, error = np.mean(rows, 0) if rows else (0.0, 0.0)
        return {"iou": float(iou), "mae": float(error)}


def person_loss(recipe: PersonRecipe, logits: Tensor, alpha: Tensor) -> tuple[Tensor, dict[str, float]]:
    """The recipe's weighted loss of (B, 1, H, W) logits, and its parts."""
    probability = torch.sigmoid(logits)
    shared, either = (probability * alpha).sum((1, 2, 3)), (probability + alpha - probability * alpha).sum((1, 2, 3))
    slack = 0.002 * alpha[0].numel()
    parts = {
        "bce": F.binary_cross_entropy_with_logits(logits, alpha),
        "dice": (1 - (shared + slack) / (either + slack)).mean(),
        "gradient": gradient(probability, alpha, torch.ones_like(alpha)),
    }
    total = recipe.bce * parts["bce"] + recipe.dice * parts["dice"] + recipe.gradient * parts["gradient"]
    return total, {name: float(part.detach()) for name, part in parts.items()}


def _prepared(source: PhotoSource) -> tuple[Tensor, np.ndarray]:
    pixels = read_source(source)
    scale = min(1.0, PERSON.working_size / min(pixels.shape[:2]))
    size = tuple(max(1, round(n * scale)) for n in pixels.shape[1::-1])
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    image = torch.from_numpy(np.ascontiguousarray(small[..., :3])).permute(2, 0, 1)[None].float() / 255
    return image.contiguous(memory_format=torch.channels_last), small[..., 3].astype(np.float32) / 255
