"""The training loop of the sparse refiner: resumable, with averaged weights and validation on held-out scenes."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from uhrmat.errors import InputError
from uhrmat.refine.features import BASE
from uhrmat.refine.shm import SHM
from uhrmat.sparse import DenseEngine
from uhrmat.train.crops import CropStream, Views, build_crop
from uhrmat.train.losses import gradient, laplacian_pyramid, masked_l1, masked_l2
from uhrmat.train.recipe import Recipe
from uhrmat.train.samples import SampleCache

Batch = dict[str, Tensor]
Report = Callable[[dict[str, float]], None]


@dataclass
class State:
    """What a checkpoint holds: networks, optimiser, the step reached and the seconds that it took."""

    net: SHM
    ema: SHM
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        found = {"net": self.net.state_dict(), "ema": self.ema.state_dict(), "step": self.step}
        found["seconds"] = self.seconds
        found["optimiser"] = self.optimiser.state_dict()
        part = path.with_suffix(".part")
        torch.save(found, part)
        os.replace(part, path)

    def load(self, path: Path) -> None:
        found = torch.load(path, map_location=next(self.net.parameters()).device, weights_only=True)
        self.net.load_state_dict(found["net"])
        self.ema.load_state_dict(found["ema"])
        self.optimiser.load_state_dict(found["optimiser"])
        self.step, self.seconds = found["step"], found.get("seconds", 0.0)


def new_state(recipe: Recipe, device: torch.device, start: dict[str, Tensor] | None = None) -> State:
    """Fresh networks (from `start`'s weights if given) and an AdamW optimiser."""
    torch.manual_seed(recipe.seed)
    net, ema = (SHM(recipe.size).to(device) for _ in range(2))
    if start is not None:
        net.load_state_dict(start)
    ema.load_state_dict(net.state_dict())
    return State(net, ema.requires_grad_(False), torch.optim.AdamW(net.parameters(), recipe.rate, weight_decay=1e-4))


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine from `rate` to `floor` of it."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    share = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.rate * (recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * share)))


def predict(net: SHM, batch: Batch, dtype: torch.dtype) -> Tensor:
    """(B, 1, s, s) float32: the network's alpha on the active pixels of a batch, base plus residual, not clamped."""
    device = batch["features"].device
    with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
        engine = DenseEngine(batch["mask"])
        features = batch["features"].contiguous(memory_format=torch.channels_last)
        out = net(engine, engine.wrap(features), batch["small"], batch["prior"])
    return (batch["features"][:, BASE : BASE + 1] + 1) / 2 + out.data.float()


def loss_of(recipe: Recipe, found: Tensor, batch: Batch) -> tuple[Tensor, dict[str, float]]:
    """The recipe's weighted loss, and its parts for the log."""
    true, unknown = batch["alpha"], batch["unknown"]
    fused = torch.where(unknown, found.clamp(0, 1), true)
    parts = {
        "l1": masked_l1(found, true, unknown),
        "l2": masked_l2(found, true, unknown),
        "gradient": gradient(fused, true, unknown),
        "laplacian": laplacian_pyramid(fused, true, unknown),
    }
    total = torch.stack([getattr(recipe, name) * part for name, part in parts.items()]).sum()
    return total, {name: float(part.detach()) for name, part in parts.items()}


def train_step(state: State, batch: Batch, recipe: Recipe, dtype: torch.dtype) -> dict[str, float]:
    """One optimiser step; returns the loss's parts."""
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step)
    loss, parts = loss_of(recipe, predict(state.net, batch, dtype), batch)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    if torch.isfinite(norm):
        state.optimiser.step()
    decay = min(recipe.ema, (state.step + 1) / (state.step + 10))
    with torch.no_grad():
        for slow, fast in zip(state.ema.parameters(), state.net.parameters(), strict=True):
            slow.lerp_(fast, 1 - decay)
    state.step += 1
    return parts


@torch.no_grad()
def validate(net: SHM, cache: SampleCache, recipe: Recipe, dtype: torch.dtype) -> dict[str, float]:
    """Mean absolute error (x1000) of prior, projection and network on fixed crops of the held-out scenes."""
    device = next(net.parameters()).device
    totals = np.zeros(3)
    count = 0
    for seed in [s for s in cache.seeds() if s < recipe.held_out]:
        views = Views(cache.load(seed))
        if not views.usable:
            continue
        size = views.sample.trimap.shape
        side = min(recipe.side, *size)
        middle = views.places[len(views.places) // 2]
        y, x = (int(np.clip(c - side // 2, 0, n - side)) for c, n in zip(middle, size, strict=True))
        for which in range(len(views.smalls)):
            batch = {k: v[None].to(device) for k, v in build_crop(views, (y, x), side, which).items()}
            unknown, true = batch["unknown"], batch["alpha"]
            guesses = [(batch["features"][:, c : c + 1] + 1) / 2 for c in (3, 4)]
            guesses.append(predict(net, batch, dtype).clamp(0, 1))
            totals += [float(masked_l1(guess, true, unknown)) * 1000 for guess in guesses]
            count += 1
    return dict(zip(("prior", "projection", "network"), (totals / max(count, 1)).tolist(), strict=True))


def train(
    recipe: Recipe, cache: Path, out: Path, *, device: str = "cpu", bf16: bool = False, workers: int = 1,
    start: dict[str, Tensor] | None = None, seconds: float = math.inf, every: int = 500,
    report: Report = lambda _: None,
) -> State:  # fmt: skip
    """Train until `recipe.steps` or `seconds` are over; goes on from `out`/checkpoint.pt. `State.ema` is the result.

    cache: a folder of samples (see `samples.fill`), which may grow meanwhile. A line per `every` steps goes to
    `out`/log.jsonl and to `report`. Raises InputError where the cache holds nothing to train on.
    """
    if not any(s >= recipe.held_out for s in SampleCache(cache).seeds()):
        raise InputError(f"{cache} holds no training samples.", "Let `uhrmat train` make them, or wait for the first.")
    out.mkdir(parents=True, exist_ok=True)
    where, dtype = torch.device(device), torch.bfloat16 if bf16 else torch.float32
    state, checkpoint = new_state(recipe, where, start), out / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint)
    before, began = state.seconds, time.monotonic()
    batches = _batches(recipe, cache, state.step, workers, where)
    sums: dict[str, float] = {}
    count = 0
    while state.step < recipe.steps and time.monotonic() - began < seconds:
        for name, value in train_step(state, next(batches), recipe, dtype).items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        state.seconds = before + time.monotonic() - began
        if state.step % every == 0 or state.step == recipe.steps:
            line: dict[str, Any] = {"step": state.step, "seconds": round(state.seconds, 1)}
            line |= {name: round(value / count, 5) for name, value in sums.items()}
            line |= validate(state.ema, SampleCache(cache), recipe, dtype)
            sums, count = {}, 0
            state.save(checkpoint)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            report(line)
    state.save(checkpoint)
    return state


def _batches(recipe: Recipe, cache: Path, step: int, workers: int, device: torch.device) -> Iterator[Batch]:
    """Batches on `device` from step `step` on: the same ones that an unbroken run draws from the same cache."""
    stream = CropStream(cache, recipe.side, recipe.seed, recipe.held_out, recipe.batch, step)
    # numba's OpenMP layer aborts in forked children: workers are spawned.
    context: dict[str, Any] = {"multiprocessing_context": "spawn", "prefetch_factor": 4} if workers else {}
    for batch in DataLoader(stream, None, num_workers=workers, **context):
        yield {name: x.to(device, non_blocking=True) for name, x in batch.items()}
