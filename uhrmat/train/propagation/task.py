"""The base network of mask propagation in training: its batches, loss and figures."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import IterableDataset

from uhrmat.train.propagation.samples import PhotoPairs
from uhrmat.train.recipe import PropagationRecipe
from uhrmat.train.subject.pool import Pool
from uhrmat.train.task import Batch, batch_numbers
from uhrmat.video.propagation.network import MaskNet, propagation_loss

VALIDATION_PAIRS = 64
"""Pairs of held-out photographs, the same ones each time."""


class PairBatches(IterableDataset[Batch]):
    """Batches of pairs, made by a thread beside the training; batch i depends on the seed and i alone."""

    def __init__(self, pairs: PhotoPairs, recipe: PropagationRecipe, start: int) -> None:
        self._pairs, self._recipe, self._start = pairs, recipe, start

    def __iter__(self) -> Iterator[Batch]:
        with ThreadPoolExecutor(1) as pool:
            numbers = batch_numbers(self._start)
            following = pool.submit(self.make, next(numbers))
            for number in numbers:
                batch = following.result()
                following = pool.submit(self.make, number)
                yield batch

    def make(self, number: int) -> Batch:
        """Batch `number`: "inputs" (B, 4, h, w) and "target" (B, 1, h, w), float32 in [0, 1]."""
        recipe = self._recipe
        inputs, target = self._pairs.batch(np.random.default_rng([recipe.seed, number]), recipe.side, recipe.batch)
        return {"inputs": torch.from_numpy(inputs), "target": torch.from_numpy(target)}


@dataclass
class PropagationTask:
    """recipe, labelled photographs, and the weights of a subject network to begin with, by name."""

    recipe: PropagationRecipe
    pool: Pool
    start: dict[str, Tensor]
    pairs: PhotoPairs = field(init=False)
    held_out: PhotoPairs = field(init=False)

    def __post_init__(self) -> None:
        self.pairs, self.held_out = PhotoPairs(self.pool), PhotoPairs(self.pool, held_out=True)

    def build(self) -> MaskNet:
        """A network that computes what the subject network does, whatever the mask."""
        return MaskNet.from_tensors(self.start, 4)

    def stream(self, start: int) -> PairBatches:
        """Batches from number `start` on."""
        return PairBatches(self.pairs, self.recipe, start)

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """Binary cross-entropy plus Dice, as in the training on a clip's key frames."""
        with torch.autocast(batch["inputs"].device.type, dtype, enabled=dtype != torch.float32):
            logits = net(batch["inputs"]).logits
        loss = propagation_loss(logits.float(), batch["target"])
        return loss, {"loss": float(loss.detach())}

    @torch.no_grad()
    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Mean IoU at 0.5 on pairs of held-out photographs; nothing where none is held out."""
        if self.held_out.count == 0:
            return {}
        net.eval()
        device, rng, scores = next(net.parameters()).device, np.random.default_rng(self.recipe.seed), list[float]()
        while len(scores) < VALIDATION_PAIRS:
            inputs, target = self.held_out.batch(rng, self.recipe.side, self.recipe.batch)
            with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
                logits = net(torch.from_numpy(inputs).to(device)).logits
            marked, true = logits.float().cpu().numpy() > 0, target > 0.5
            union = (marked | true).sum((1, 2, 3))
            scores += ((marked & true).sum((1, 2, 3)) / np.maximum(union, 1)).tolist()
        return {"iou_pairs": float(np.mean(scores))}
