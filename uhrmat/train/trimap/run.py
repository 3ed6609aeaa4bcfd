"""A whole training run of the network that corrects the affinity prior: cut-outs, scenes, the loop, weights, card."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn_trimap import INPUT_VERSION, TrimapNet, fold_trimap_net
from uhrmat.train.recipe import TrimapRecipe
from uhrmat.train.run import finish, fit_task, scene_producers
from uhrmat.train.subject.run import labelled_photographs, material
from uhrmat.train.synth import find_training_data, prepare_subjects
from uhrmat.train.task import Report
from uhrmat.train.trimap.cutouts import find_cutouts, write_cutouts
from uhrmat.train.trimap.scenes import TrimapSceneCache, fill_scenes
from uhrmat.train.trimap.task import TrimapTask


def run_trimap(
    recipe: TrimapRecipe, out: Path, *, data: Path | None, teachers: Path | None, cache: Path | None = None,
    device: str = "auto", producers: int = 1, workers: int = 1, minutes: float = math.inf, every: int = 500,
    report: Report = lambda _: None, note: Callable[[str], None] = lambda _: None,
) -> Path:  # fmt: skip
    """Train by `recipe` into the folder `out`; an interrupted run goes on where it was.

    Args:
        recipe: the numbers that decide what is trained, and how.
        out: checkpoint, log, curves, weights and card.
        data: photographs, with textures/, mattes/, people/ and photos_free/.
        teachers: the teachers' files, see `subject.teachers.TEACHERS`; may be None where `cache` holds them.
        cache: photographs, labels, cut-outs and scenes; default `out`/cache.
        device: "auto", "cpu" or "cuda".
        producers: processes that make scenes.
        workers: processes that prepare batches.
        minutes: of training at most.
        every: steps between validations and checkpoints.
        report: receives the log's lines.
        note: receives lines for people.

    Returns:
        The path of the weights.

    Raises:
        InputError: photographs or teachers are missing.
    """
    if data is None:
        raise InputError("This network is trained on photographs.", "Give them with --data DIR.")
    folder = cache or out / "cache"
    cutouts, scenes = folder / "cutouts", TrimapSceneCache(folder / "trimap-scenes")
    _, pool = labelled_photographs(out, data, teachers, folder, torch.device("cpu"), note)
    write_cutouts(data, pool, cutouts, note)
    seen = material(pool.photos)
    del pool
    note("reading the photographs that scenes are made of")
    prepare_subjects([*find_training_data(data)[1], *find_cutouts(cutouts)])
    fill = partial(fill_scenes, scenes.folder, data, cutouts)
    with scene_producers(recipe.scenes, recipe.held_out, scenes, fill, producers, note):
        state = fit_task(TrimapTask(recipe, scenes.folder), out, device, workers, minutes, every, None, report)
    assert isinstance(state.ema, TrimapNet)
    net = fold_trimap_net(state.ema.to("cpu").eval())
    crops = f"crops of {recipe.side} x {recipe.side} from {len(scenes.seeds()):,} scenes"
    what = f"synthetic scenes of `uhrmat.train.synth` with subjects and backgrounds of {seen}"
    path = out / f"{recipe.network}.safetensors"
    return finish(state, net, recipe, crops, what, [], path, INPUT_VERSION)
