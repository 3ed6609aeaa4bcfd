"""A whole training run of the base network of mask propagation: photographs, the loop, weights, card."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch

from uhrmat.core.devices import has_fast_bf16, pick_device
from uhrmat.core.errors import InputError
from uhrmat.hub.bundled import bundled_weights
from uhrmat.hub.tensors import load_tensors
from uhrmat.train.propagation.task import PropagationTask
from uhrmat.train.recipe import PropagationRecipe
from uhrmat.train.run import finish
from uhrmat.train.subject.run import labelled_photographs, material
from uhrmat.train.task import Report, fit


def run_propagation(
    recipe: PropagationRecipe, out: Path, *, data: Path | None, teachers: Path | None, cache: Path | None = None,
    device: str = "auto", minutes: float = math.inf, every: int = 500, weights: Path | None = None,
    report: Report = lambda _: None, note: Callable[[str], None] = lambda _: None,
) -> Path:  # fmt: skip
    """Train by `recipe` into the folder `out`; an interrupted run goes on where it was.

    Args:
        recipe: the numbers that decide what is trained, and how.
        out: checkpoint, log, curves, weights and card.
        data, teachers, cache: photographs and their labels, as for `subject.run.run_subject`.
        device: "auto", "cpu" or "cuda".
        minutes: of training at most.
        every: steps between validations and checkpoints.
        weights: of a person network to start from; default the bundled `lpn-person`.
        report: receives the log's lines.
        note: receives lines for people.

    Returns:
        The path of the weights.

    Raises:
        InputError: photographs or teachers are missing, none shows a subject, or the weights have another shape.
    """
    where = torch.device(pick_device(device))
    _, pool = labelled_photographs(out, data, teachers, cache, torch.device("cpu"), note)
    start, _ = load_tensors(weights or bundled_weights("lpn-person"))
    task = PropagationTask(recipe, pool, start)
    try:
        task.build()
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"The weights {weights} do not fit the network that propagates masks.",
            "Start from weights of `uhrmat train lpn`, or leave out --weights.",
        ) from error
    if task.pairs.count == 0:
        raise InputError("No photograph shows a subject that its labels agree on.", "Give more photographs by --data.")
    bf16 = where.type != "cpu" or has_fast_bf16()
    state = fit(
        task, out, device=str(where), bf16=bf16, workers=0, seconds=60 * minutes, every=every, report=report
    )  # fmt: skip
    crops = f"pairs of about {recipe.side} x {recipe.side} from {task.pairs.count:,} photographs"
    return finish(
        state, state.ema, recipe, crops, material(pool.photos), [], out / f"{recipe.network}.safetensors"
    )  # fmt: skip
