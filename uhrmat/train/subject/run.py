"""A whole training run of the subject network: photographs kept and labelled, the loop, weights, card."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from uhrmat.core.devices import has_fast_bf16, pick_device
from uhrmat.core.errors import InputError
from uhrmat.hub.tensors import load_tensors
from uhrmat.prior.networks.lpn import fold_batch_norm
from uhrmat.train.recipe import SubjectRecipe
from uhrmat.train.run import finish
from uhrmat.train.subject.photos import Photo, write_photos
from uhrmat.train.subject.pool import Pool, load_pool
from uhrmat.train.subject.task import Student, SubjectTask, initial_state
from uhrmat.train.subject.teachers import Ensemble
from uhrmat.train.task import Report, fit

COMMAND = "python -m benchmarks.subject --data DIR --teachers DIR"
"""What reproduces the figures of a card."""


def run_subject(
    recipe: SubjectRecipe, out: Path, *, data: Path | None, teachers: Path | None, cache: Path | None = None,
    device: str = "auto", minutes: float = math.inf, every: int = 500, weights: Path | None = None,
    report: Report = lambda _: None, note: Callable[[str], None] = lambda _: None,
) -> Path:  # fmt: skip
    """Train by `recipe` into the folder `out`; an interrupted run goes on where it was.

    Args:
        recipe: the numbers that decide what is trained, and how.
        out: checkpoint, log, curves, weights and card.
        data: photographs, see `photos`; may be None where `cache` holds them already.
        teachers: the teachers' files, see `teachers.TEACHERS`; may be None where `cache` holds them.
        cache: photographs kept small and converted teachers; default `out`/cache.
        device: "auto", "cpu" or "cuda".
        minutes: of training at most.
        every: steps between validations and checkpoints.
        weights: a finished network of the recipe's shape to start from, for recipes without normalisation.
        report: receives the log's lines.
        note: receives lines for people.

    Returns:
        The path of the weights.

    Raises:
        InputError: photographs or teachers are missing.
    """
    where = torch.device(pick_device(device))
    bf16 = where.type != "cpu" or has_fast_bf16()
    ensemble, pool = labelled_photographs(out, data, teachers, cache, where, note)
    task = SubjectTask(recipe, pool, ensemble)
    start = None if weights is None else _start(task, weights)
    state = fit(
        task,
        out,
        device=str(where),
        bf16=bf16,
        workers=0,
        start=start,
        seconds=60 * minutes,
        every=every,
        report=report,
    )
    assert isinstance(state.ema, Student)
    net = fold_batch_norm(state.ema.net.to("cpu").eval())
    views = f"views of about {recipe.side} x {recipe.side}"
    return finish(state, net, recipe, views, material(pool.photos), [], out / f"{recipe.network}.safetensors")


def labelled_photographs(
    out: Path, data: Path | None, teachers: Path | None, cache: Path | None, device: torch.device,
    note: Callable[[str], None],
) -> tuple[Ensemble, Pool]:  # fmt: skip
    """Read the photographs, or those of the cache, and label them where they have no mask.

    Args:
        out, data, teachers, cache: see `run_subject`.
        device: of teachers and photographs.
        note: receives lines for people.

    Raises:
        InputError: photographs or teachers are missing.
    """
    folder = cache or out / "cache"
    photos = folder / "photos.safetensors"
    if not photos.is_file():
        if data is None:
            raise InputError("This network is trained on photographs.", "Give them with --data DIR.")
        note("reading the photographs")
        write_photos(data, photos)
    fast = device.type != "cpu" or has_fast_bf16()
    ensemble = Ensemble(teachers or folder, folder).to(device)
    note("labelling photographs without masks")
    dtype = torch.bfloat16 if fast else torch.float32
    return ensemble, load_pool(photos, ensemble, device, dtype, folder / "labels")


def _start(task: SubjectTask, weights: Path) -> dict[str, Tensor]:
    try:
        return initial_state(task.build(), load_tensors(weights)[0])
    except (KeyError, ValueError) as error:
        raise InputError(
            f"The weights {weights} do not fit the recipe: {error.args[0]} has another shape.",
            "Start from weights of the recipe's network and size, or leave out --weights.",
        ) from error


def material(photos: list[Photo]) -> str:
    """What was learned from, for the card."""
    used = Counter(photo.source for photo in photos if not photo.held_out and photo.window < 1)
    sets = ", ".join(f"{name} {count:,}" for name, count in sorted(used.items()))
    return f"photographs: {sets}; teachers: U²-Net-P, MediaPipe selfie segmentation, BodyPix 2, DeepLabv3 (Apache-2.0)"
