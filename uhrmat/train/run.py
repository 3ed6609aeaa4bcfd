"""Whole training runs: scenes made by processes beside, the loop, the loss curve, weights and their card."""

from __future__ import annotations

import contextlib
import datetime
import json
import math
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from uhrmat.core.children import protect_children
from uhrmat.core.devices import has_fast_bf16, pick_device
from uhrmat.core.errors import UhrmatError
from uhrmat.metrics.plots import Panel, can_plot, plot_panels
from uhrmat.train.cache import SeedFiles
from uhrmat.train.ddfe_task import DDFETask
from uhrmat.train.export import Provenance, export
from uhrmat.train.recipe import DetailRecipe, Recipe, RefinerRecipe, SceneRecipe
from uhrmat.train.samples import SampleCache, fill_samples
from uhrmat.train.shm_task import ShmTask
from uhrmat.train.synth import find_training_data, prepare_subjects
from uhrmat.train.task import Report, TrainingState, TrainingTask, fit

_FIRST = 16
"""Training scenes that must be there before the first step."""
_SPLIT = ("l1", "bce", "dice", "gradient", "network", "projection", "fallback", "prior", "iou", "mae")


def run(
    recipe: SceneRecipe, out: Path, *, data: Path | None = None, cache: Path | None = None, device: str = "auto",
    producers: int = 1, workers: int = 1, minutes: float = math.inf, every: int = 500, weights: Path | None = None,
    report: Report = lambda _: None, note: Callable[[str], None] = lambda _: None,
) -> Path:  # fmt: skip
    """Train by `recipe` into the folder `out` and return the weights' path; an interrupted run goes on where it was.

    data: a folder with textures/ and mattes/ (see `synth.find_training_data`), None for generated scenes only; cache:
    of scenes, default `out`/scenes; producers: processes that make scenes; weights: a .safetensors file to start from;
    minutes: of training at most. report: receives the log's lines; note: receives lines for people.
    """
    folder = cache or out / "scenes"
    if data is not None:
        note("reading the photographs that scenes are made of")
        prepare_subjects(find_training_data(data)[1])
    fill = partial(fill_samples, folder, data)
    with scene_producers(recipe.scenes, recipe.held_out, SampleCache(folder), fill, producers, note):
        state = fit_task(scene_task(recipe, folder), out, device, workers, minutes, every, weights, report)
    what = "synthetic scenes of `uhrmat.train.synth`" + ("" if data is None else " over clean photographs")
    scenes = len(SampleCache(folder).seeds())
    crops = f"crops of {recipe.side} x {recipe.side} from {scenes:,} scenes"
    return finish(state, state.ema, recipe, crops, what, [], out / f"{recipe.network}-{recipe.size}.safetensors")


def scene_task(recipe: SceneRecipe, cache: Path) -> TrainingTask:
    """The task of a refiner."""
    if isinstance(recipe, DetailRecipe):
        return DDFETask(recipe, cache)
    assert isinstance(recipe, RefinerRecipe)
    return ShmTask(recipe, cache)


def fit_task(
    task: TrainingTask,
    out: Path,
    device: str,
    workers: int,
    minutes: float,
    every: int,
    weights: Path | None,
    report: Report,
) -> TrainingState:
    """`fit` on the wanted device, in its fast arithmetic, from the weights of a file where one is given."""
    where = pick_device(device)
    start = None if weights is None else _tensors(weights)
    bf16 = where != "cpu" or has_fast_bf16()
    return fit(
        task, out, device=where, bf16=bf16, workers=workers, start=start, seconds=60 * minutes, every=every,
        report=report,
    )  # fmt: skip


def finish(
    state: TrainingState, net: nn.Module, recipe: Recipe, crops: str, data: str, figures: list[str], path: Path,
    input_version: int = 1,
) -> Path:  # fmt: skip
    """Draw the log's curves, write `net` as the weights `path` with their card; returns `path`."""
    draw_curves(path.parent / "log.jsonl", path.parent / "curves.png")
    today = datetime.date.today().isoformat()
    export(
        net,
        recipe,
        Provenance(steps=state.step, crops=crops, seconds=state.seconds, date=today, data=data, figures=figures),
        path,
        input_version,
    )
    return path


@contextlib.contextmanager
def scene_producers(
    scenes: int, held_out: int, cache: SeedFiles, fill: Callable[[Sequence[int]], None], producers: int,
    note: Callable[[str], None],
) -> Iterator[None]:  # fmt: skip
    """Processes that make scenes while the block runs; it begins when there are enough.

    Args:
        scenes: number of scenes to make.
        held_out: number of the first ones, which are not trained on.
        cache: where they are.
        fill: makes the scenes of these seeds, in a process of its own.
        producers: number of processes.
        note: receives lines for people.

    Raises:
        InputError: the cache was written by another version of uhrmat.
        UhrmatError: the processes have ended without making any.
    """
    cache.check()
    protect_children()
    context = multiprocessing.get_context("spawn")
    shares = [range(first, scenes, producers) for first in range(producers)]
    makers = [context.Process(target=fill, args=(share,), daemon=True) for share in shares]
    for maker in makers:
        maker.start()
    try:
        _wait_for_scenes(cache, held_out, min(_FIRST, scenes - held_out), [m.is_alive for m in makers], note)
        yield
    finally:
        for maker in makers:
            maker.terminate()


def _wait_for_scenes(
    cache: SeedFiles, held_out: int, count: int, alive: list[Callable[[], bool]], note: Callable[[str], None]
) -> None:
    noted = False
    while sum(seed >= held_out for seed in cache.seeds()) < count:
        if not any(check() for check in alive):
            raise UhrmatError("The processes that make scenes have ended without making any.", "See their error above.")
        if not noted:
            note("making the first scenes")
            noted = True
        time.sleep(0.5)


def _tensors(path: Path) -> dict[str, Tensor]:
    from uhrmat.hub.tensors import check_values, load_tensors

    tensors = load_tensors(path)[0]
    check_values(tensors, path)
    return tensors


def draw_curves(log: Path, path: Path) -> None:
    """Draw the losses and validation errors of a log as one PNG, a panel each; nothing where matplotlib is missing.

    Args:
        log: `log.jsonl` of a run.
        path: the PNG.
    """
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()] if log.exists() else []
    names = [name for name in _SPLIT if lines and name in lines[-1]]
    if not names or not can_plot():
        return
    panels = []
    for name in names:
        rows = [line for line in lines if name in line]
        panels.append(
            Panel(
                title=f"{name}: {rows[0][name]:.4g} to {rows[-1][name]:.4g}",
                values=[row[name] for row in rows],
                positions=[row["step"] for row in rows],
            )
        )
    plot_panels(path, panels)
