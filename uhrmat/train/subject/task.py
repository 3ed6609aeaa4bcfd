"""The subject network in training: its losses, what it learns from the teachers' features, and its figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import IterableDataset

from uhrmat.prior.networks.lpn import LPNOutput, SubjectNet
from uhrmat.train.lpn.teacher import hint_loss
from uhrmat.train.recipe import SubjectRecipe
from uhrmat.train.subject.encoder import load_encoder
from uhrmat.train.subject.pool import Pool
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.subject.views import ViewGenerator
from uhrmat.train.task import Batch, ParameterGroups, batch_numbers, encoder_groups


class Student(nn.Module):
    """The network, and a linear reading of its features for each grid on which teachers give hints."""

    def __init__(self, channels: dict[str, int], norm: bool) -> None:
        super().__init__()
        self.net = SubjectNet(norm)
        self.readers = nn.ModuleDict({
            grid: nn.Conv2d(self.net.widths[grid], count, 1) for grid, count in channels.items()
        })  # fmt: skip

    def forward(self, image: Tensor) -> tuple[LPNOutput, dict[str, Tensor]]:
        """The network's result, and what is read at each grid: (B, C, h, w)."""
        result, features = self.net.forward_features(image)
        return result, {grid: reader(torch.cat(features[grid], 1)) for grid, reader in self.readers.items()}


class Numbers(IterableDataset[Batch]):
    """The numbers of batches; the views themselves are drawn on the training device."""

    def __init__(self, start: int) -> None:
        self.start = start

    def __iter__(self) -> Iterator[Batch]:
        for number in batch_numbers(self.start):
            yield {"number": torch.tensor(number)}


@dataclass
class SubjectTask:
    """recipe, photographs and teachers, both on the training device."""

    recipe: SubjectRecipe
    pool: Pool
    ensemble: Ensemble
    views: ViewGenerator = field(init=False)

    def __post_init__(self) -> None:
        self.views = ViewGenerator(self.pool, self.recipe.seed)

    def build(self) -> Student:
        """A network with batch normalisation, laid out for fast convolutions."""
        with torch.no_grad():
            example = self.ensemble.hints(self.pool.planes[:1, :3].float() / 255, self.recipe.teachers)
        channels = {grid: x.shape[1] for grid, x in example.items()}
        student = Student(channels, self.recipe.normalise)
        if self.recipe.encoder:
            load_encoder(student.net, self.ensemble.convolutions(self.recipe.encoder))
        result: Student = student.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return result

    def parameter_groups(self, net: nn.Module) -> ParameterGroups:
        """The encoder, trained at the recipe's `encoder_rate`, and the rest."""
        return encoder_groups(net, ("net.stem.", "net.stages."), self.recipe.encoder_rate)

    def stream(self, start: int) -> Numbers:
        """Numbers of batches from `start` on."""
        return Numbers(start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """Cross entropy, soft overlap and edges of both planes, and the teachers' hints."""
        recipe = self.recipe
        with torch.no_grad():
            views = self.views.draw(int(batch["number"]), recipe.side, recipe.batch)
            image = views["image"].contiguous(memory_format=torch.channels_last)
            with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
                hints = self.ensemble.hints(image, recipe.teachers)
        with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
            result, read = net(image)
        weights = views["weight"], views["person_known"][:, None, None, None].expand_as(views["weight"])
        parts: dict[str, Tensor] = {}
        for row, (name, weight) in enumerate(zip(("subject", "person"), weights, strict=True)):
            parts |= plane_loss(result.logits[:, row : row + 1], views[name], weight, name)
        total = result.logits.new_zeros(())
        if hints:
            parts["hints"] = hint_loss(read, hints)
            total = recipe.hint * parts["hints"]
        for name, share in (("subject", 1.0), ("person", recipe.person)):
            total = total + share * sum(
                getattr(recipe, kind) * parts[f"{name}_{kind}"] for kind in ("bce", "dice", "gradient")
            )
        logged = {name: part.detach() for name, part in parts.items()} | {"loss": total.detach()}
        return total, {
            name: float(value) for name, value in zip(logged, torch.stack(list(logged.values())).tolist(), strict=True)
        }

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean IoU at 0.5 for people, animals and objects held out, against masks and the teachers' common label, and
        the mean area marked in places without a subject."""
        rows = self.pool.select(lambda p: p.held_out and p.tag != "ambiguous").nonzero()[:, 0]
        figures: dict[str, list[float]] = {}
        net.eval()
        for first in range(0, len(rows), 16):
            some = rows[first : first + 16]
            image = F.interpolate(self.pool.planes[some, :3].float() / 255, (320, 320), mode="bilinear", antialias=True)
            with torch.autocast(image.device.type, dtype, enabled=dtype != torch.float32):
                result, _ = net(image.contiguous(memory_format=torch.channels_last))
            marked = (
                F.interpolate(torch.sigmoid(result.logits[:, :1].float()), self.pool.planes.shape[-2:], mode="bilinear")
                > 0.5
            )
            for row, mask in zip(some.tolist(), marked[:, 0], strict=True):
                photo, true = self.pool.photos[row], self.pool.planes[row, 3] > 127
                if photo.tag == "none":
                    figures.setdefault("none_area", []).append(float(mask.float().mean()))
                else:
                    name = "street" if photo.source == "people" else photo.tag
                    union = float((mask | true).sum())
                    figures.setdefault(f"iou_{name}", []).append(float((mask & true).sum()) / max(1.0, union))
        return {name: sum(values) / len(values) for name, values in sorted(figures.items())}


def plane_loss(logits: Tensor, target: Tensor, weight: Tensor, name: str) -> dict[str, Tensor]:
    """Cross entropy, soft overlap and difference of gradients of one plane (B, 1, H, W), weighted pixel by pixel."""
    alpha = torch.sigmoid(logits)
    every = weight.sum().clamp(min=1.0)
    entropy = F.binary_cross_entropy_with_logits(logits, target, weight, reduction="sum") / every
    shared = (alpha * target * weight).sum((1, 2, 3))
    either = ((alpha + target - alpha * target) * weight).sum((1, 2, 3))
    slack = 0.002 * target[0].numel()
    used = (weight.amax((1, 2, 3)) > 0).float()
    overlap = (used * (1 - (shared + slack) / (either + slack))).sum() / used.sum().clamp(min=1.0)
    off = (alpha - target) * weight
    edges = ((off[..., 1:] - off[..., :-1]).abs().sum() + (off[..., 1:, :] - off[..., :-1, :]).abs().sum()) / every
    return {f"{name}_bce": entropy, f"{name}_dice": overlap, f"{name}_gradient": edges}


def initial_state(student: Student, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state of `student` with finished weights of its network in it. Raises ValueError where the shapes differ."""
    state = {name: value.clone() for name, value in student.state_dict().items()}
    for name, value in weights.items():
        if state.get(f"net.{name}", torch.empty(0)).shape != value.shape:
            raise ValueError(name)
        state[f"net.{name}"] = value
    return state
