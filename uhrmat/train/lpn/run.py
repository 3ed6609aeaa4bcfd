"""A whole training run of the network that finds people: photographs decoded, the loop, figures, weights, card."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn import PersonNet, fold_batch_norm
from uhrmat.train.lpn.measure import held_out_people, largest_false_alpha, make_segmenter, measure_people
from uhrmat.train.lpn.person import PersonTask
from uhrmat.train.lpn.photo_cache import fill_photo_cache, find_sources
from uhrmat.train.recipe import PersonRecipe
from uhrmat.train.run import finish, fit_task
from uhrmat.train.task import Report

COMMAND = "python -m benchmarks.person --data DIR"
"""What reproduces the figures of a card."""


def run_person(
    recipe: PersonRecipe, out: Path, *, data: Path | None, cache: Path | None = None, teacher: Path | None = None,
    device: str = "auto", workers: int = 1, minutes: float = math.inf, every: int = 500,
    report: Report = lambda _: None, note: Callable[[str], None] = lambda _: None,
) -> Path:  # fmt: skip
    """Train by `recipe` into the folder `out` and return the weights' path; an interrupted run goes on where it was.

    data: a folder with people/, and mattes/ and textures/ where there are any (see `store`), InputError without one;
    cache: of decoded photographs, default `out`/photographs; teacher: an .onnx network for recipes with hints; the rest
    as `uhrmat.train.run.run`.
    """
    if data is None:
        raise InputError("People are not drawn from generated scenes.", "Give photographs with --data DIR.")
    note("decoding the photographs")
    folder = cache or out / "photographs"
    fill_photo_cache(data, folder)
    state = fit_task(PersonTask(recipe, folder, data, teacher), out, device, workers, minutes, every, None, report)
    assert isinstance(state.ema, PersonNet)
    net = fold_batch_norm(state.ema.to("cpu"))
    note("measuring on photographs never trained on")
    crops = f"pictures of about {recipe.side} x {recipe.side}, or fewer of {recipe.large} x {recipe.large}"
    seen = material(data) + (f"; teacher: {teacher.name}" if teacher else "")
    return finish(state, net, recipe, crops, seen, figures(net, data), out / f"{recipe.network}.safetensors")


def material(data: Path) -> str:
    """What the folder's photographs are, for the card."""
    sources = find_sources(data)
    count = {
        kind: sum(source.kind == kind for source in sources) for kind in ("people", "portraits", "others", "places")
    }
    kept = len(held_out_people(data))
    return (
        f"{count['people'] - kept:,} street photographs with person masks (Apache-2.0; {kept} more held out), "
        f"{count['portraits']} portraits and {count['others']} other subjects with alphas (MIT), "
        f"{count['places']} places (CC0, CC BY-SA, Unsplash, public domain)"
    )


def figures(net: PersonNet, data: Path) -> list[str]:
    """Lines for the card: overlap on the photographs held out, and the fullest of the mattes of empty places."""
    find, people = make_segmenter(net), held_out_people(data)
    lines = []
    if people:
        row = measure_people(find, people)
        lines.append(
            f"{len(people)} street photographs never trained on: IoU at 0.5 {row['iou']:.4f} (tenth percentile "
            f"{row['worst']:.3f}), mean absolute error {row['mae']:.1f} / 1000. `{COMMAND}`"
        )
    places = [source for source in find_sources(data) if source.kind == "places"]
    if places:
        lines.append(
            f"{len(places)} places without people, which were trained on: mean alpha at most "
            f"{largest_false_alpha(find, places):.4f}. `{COMMAND}`"
        )
    return lines
