"""The training loop of all networks (resumable, exponentially averaged weights) and the interface of what it trains."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from uhrmat.core.children import protect_children
from uhrmat.media import atomic_write
from uhrmat.train.recipe import Recipe

Batch = dict[str, Tensor]
_QUIET = 20.0
"""Seconds without a line of the log, at most, once the first step is done."""
Report = Callable[[dict[str, float]], None]


ParameterGroups = list[dict[str, Any]]
"""Groups of parameters as torch's optimisers take them; "scale" is a group's rate as a share of the recipe's."""


def encoder_groups(net: nn.Module, encoder: tuple[str, ...], rate: float) -> ParameterGroups:
    """The parameters of an encoder, trained at `rate` of the recipe's rate, and the others.

    Args:
        net: its parameters keep their order.
        encoder: what the names of the encoder's parameters begin with.
        rate: a share of the recipe's.
    """
    inside, others = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in net.named_parameters():
        (inside if name.startswith(encoder) else others).append(parameter)
    return [{"params": inside, "scale": rate}, {"params": others, "scale": 1.0}]


@runtime_checkable
class HasParameterGroups(Protocol):
    """A task whose parameters are not all trained at one rate."""

    def parameter_groups(self, net: nn.Module) -> ParameterGroups:
        """Every parameter of `net` in one group."""
        ...


class TrainingTask(Protocol):
    """One network to train: its construction, batches, loss and validation."""

    @property
    def recipe(self) -> Recipe:
        """The numbers that decide what is trained, and how."""
        ...

    def build(self) -> nn.Module:
        """A fresh network; torch's generator has been seeded with the recipe's seed."""
        ...

    def stream(self, start: int) -> IterableDataset[Batch]:
        """Batches from number `start` on; number i is the same in every run, however many workers share the stream."""
        ...

    def loss(self, net: nn.Module, batch: Batch, dtype: torch.dtype) -> tuple[Tensor, dict[str, float]]:
        """The loss to minimise, and its parts for the log; `dtype` is that of the network's arithmetic."""
        ...

    def validate(self, net: nn.Module, dtype: torch.dtype) -> dict[str, float]:
        """Figures on held-out data, by name; `net` may be put into evaluation mode."""
        ...


@dataclass
class TrainingState:
    """What a checkpoint holds: networks, optimiser, the step reached and the seconds that it took."""

    net: nn.Module
    ema: nn.Module
    optimiser: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        checkpoint = {"net": self.net.state_dict(), "ema": self.ema.state_dict(), "step": self.step}
        checkpoint["seconds"] = self.seconds
        checkpoint["optimiser"] = self.optimiser.state_dict()
        with atomic_write(path) as part:
            torch.save(checkpoint, part)

    def load(self, path: Path) -> None:
        # To the host first: AdamW's step counters stay there, and one that is on a GPU is refused at the next step.
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        self.net.load_state_dict(checkpoint["net"])
        self.ema.load_state_dict(checkpoint["ema"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.step, self.seconds = checkpoint["step"], checkpoint.get("seconds", 0.0)


def new_state(task: TrainingTask, device: torch.device, start: dict[str, Tensor] | None = None) -> TrainingState:
    """Fresh networks (from `start`'s weights if given) and an AdamW optimiser."""
    torch.manual_seed(task.recipe.seed)
    net, ema = (task.build().to(device) for _ in range(2))
    if start is not None:
        net.load_state_dict(start)
    ema.load_state_dict(net.state_dict())
    groups = task.parameter_groups(net) if isinstance(task, HasParameterGroups) else [{"params": net.parameters()}]
    optimiser = torch.optim.AdamW(groups, task.recipe.rate, weight_decay=1e-4)
    return TrainingState(net, ema.requires_grad_(False), optimiser)


def learning_rate(recipe: Recipe, step: int) -> float:
    """Linear warm-up, then a cosine from `rate` to `floor` of it."""
    if step < recipe.warmup:
        return recipe.rate * (step + 1) / recipe.warmup
    share = min(1.0, (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup))
    return recipe.rate * (recipe.floor + (1 - recipe.floor) * 0.5 * (1 + math.cos(math.pi * share)))


def train_step(task: TrainingTask, state: TrainingState, batch: Batch, dtype: torch.dtype) -> dict[str, float]:
    """One optimiser step; returns the loss's parts."""
    recipe = task.recipe
    for group in state.optimiser.param_groups:
        group["lr"] = learning_rate(recipe, state.step) * group.get("scale", 1.0)
    loss, parts = task.loss(state.net.train(), batch, dtype)
    state.optimiser.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    norm = torch.nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip)
    if torch.isfinite(norm):
        state.optimiser.step()
    update_average(state.ema, state.net, min(recipe.ema, (state.step + 1) / (state.step + 10)))
    state.step += 1
    return parts


@torch.no_grad()
def update_average(slow: nn.Module, fast: nn.Module, decay: float) -> None:
    """Move `slow`'s weights and running statistics towards `fast`'s by 1 - decay; counters are copied."""
    for old, new in zip(slow.state_dict().values(), fast.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - decay)
        else:
            old.copy_(new)


def fit(
    task: TrainingTask, out: Path, *, device: str = "cpu", bf16: bool = False, workers: int = 1,
    start: dict[str, Tensor] | None = None, seconds: float = math.inf, every: int = 500,
    report: Report = lambda _: None,
) -> TrainingState:  # fmt: skip
    """Train until the recipe's steps or `seconds` are over; resumes from `out`/checkpoint.pt where it exists.

    Args:
        task: the network with its data.
        out: folder of checkpoint.pt and log.jsonl.
        device: of torch.
        bf16: compute in bfloat16 by autocast.
        workers: processes that prepare batches; 0 for none.
        start: weights to begin with where there is no checkpoint.
        seconds: of training at most.
        every: steps between validations and checkpoints, each with a line of the log. A shorter line without
            validation follows at least every `_QUIET` seconds; its "left" is the estimated time left in seconds.
        report: receives the lines of the log.

    Returns:
        The state reached; its `ema` holds the averaged weights, which are the ones to use.
    """
    out.mkdir(parents=True, exist_ok=True)
    where, dtype = torch.device(device), torch.bfloat16 if bf16 else torch.float32
    state, checkpoint = new_state(task, where, start), out / "checkpoint.pt"
    if checkpoint.exists():
        state.load(checkpoint)
    before, began = state.seconds, time.monotonic()
    batches = _batches(task.stream(state.step), workers, where)
    sums: dict[str, float] = {}
    count, first, shown = 0, state.step, began
    while state.step < task.recipe.steps and time.monotonic() - began < seconds:
        for name, value in train_step(task, state, next(batches), dtype).items():
            sums[name] = sums.get(name, 0.0) + value
        count += 1
        now = time.monotonic()
        state.seconds = before + now - began
        due = state.step % every == 0 or state.step == task.recipe.steps
        if due or now - shown > _QUIET:
            left = (task.recipe.steps - state.step) * (now - began) / (state.step - first)
            line: dict[str, Any] = {"step": state.step, "seconds": round(state.seconds, 1)}
            line |= {name: round(value / count, 5) for name, value in sums.items()}
            line |= {"left": round(min(left, seconds - (now - began)))}
            if due:
                line |= task.validate(state.ema, dtype)
                sums, count = {}, 0
                state.save(checkpoint)
            with (out / "log.jsonl").open("a") as log:
                log.write(json.dumps(line) + "\n")
            report(line)
            shown = time.monotonic()
    state.save(checkpoint)
    return state


def batch_numbers(start: int) -> Iterator[int]:
    """Numbers of the batches, from `start` on, that this process makes of a stream which its loader's workers share."""
    worker = get_worker_info()
    return itertools.count(start + worker.id, worker.num_workers) if worker else itertools.count(start)


def _batches(stream: IterableDataset[Batch], workers: int, device: torch.device) -> Iterator[Batch]:
    """The stream's batches on `device`, from page-locked memory where that is a GPU: so copies do not wait."""
    # numba's OpenMP layer aborts in forked children: workers are spawned.
    protect_children()
    context: dict[str, Any] = {"multiprocessing_context": "spawn", "prefetch_factor": 4} if workers else {}
    for batch in DataLoader(stream, None, num_workers=workers, pin_memory=device.type == "cuda", **context):
        yield {name: x.to(device, non_blocking=True) for name, x in batch.items()}
