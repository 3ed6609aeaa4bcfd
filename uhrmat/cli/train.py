"""`uhrmat train`: train one of uhrmat's networks and write its weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from uhrmat.cli import options as opt
from uhrmat.cli.console import Console, session

train = typer.Typer(
    help="Train a network and write its weights with their card.\n\nExample: uhrmat train shm -o runs/shm --minutes 60",
    no_args_is_help=True,
)

Out = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="Checkpoint, log, curves, weights.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="A recipe by name, or a TOML file.")]
Data = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Photographs: textures/ and mattes/. Default: generated scenes only.")
]
Cache = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Cache of training scenes or photographs; default: in the output folder."),
]
Steps = Annotated[int | None, typer.Option(min=1, help="Optimiser steps; default: the recipe's.")]
Batch = Annotated[int | None, typer.Option(min=1, help="Crops or pictures of a step; default: the recipe's.")]
Scenes = Annotated[int | None, typer.Option(min=1, help="Scenes to make; default: the recipe's.")]
Minutes = Annotated[float | None, typer.Option(min=0, help="Stop after this many minutes; the same command resumes.")]
Producers = Annotated[int, typer.Option(min=1, help="Processes that make scenes.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that prepare batches.")]
Every = Annotated[int, typer.Option(min=1, help="Steps between log lines, validations and checkpoints.")]
Teacher = Annotated[Path | None, typer.Option(metavar="FILE", help="An .onnx network for recipe lpn-person-taught.")]
Teachers = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Files of the teachers: U2-Net-P, MediaPipe, BodyPix, DeepLab.")
]
Start = Annotated[Path | None, typer.Option("--weights", metavar="FILE", help="Weights to start from.")]


@train.callback()
def choose() -> None:
    """Train a network and write its weights with their card."""


def _reporter(console: Console) -> Callable[[dict[str, float]], None]:
    """A function that prints a line of the training log."""
    return lambda line: console.note("  ".join(f"{name} {value:.5g}" for name, value in line.items()))


def _train(
    console: Console, run: Callable[..., Path], recipe: Any, output: Path, minutes: float | None, **options: Any
) -> None:
    """Run a training, print its log lines, and print the paths of weights and card."""
    limit = math.inf if minutes is None else minutes
    path = run(recipe, output, minutes=limit, report=_reporter(console), note=console.note, **options)
    console.table([[("weights", str(path)), ("card", str(path.with_suffix(".md")))]])
    console.document({"weights": str(path), "card": str(path.with_suffix(".md"))})


def _on_scenes(name: str, default: str, kind: str, text: str) -> None:
    """Add a command that trains on synthetic scenes.

    Args:
        name: of the command.
        default: name of its recipe.
        kind: class of recipe, a name in `train.recipe`.
        text: for `--help`.
    """

    @train.command(name, help=text)
    def command(
        output: Out,
        recipe: RecipeName = default,
        data: Data = None,
        cache: Cache = None,
        steps: Steps = None,
        batch: Batch = None,
        scenes: Scenes = None,
        minutes: Minutes = None,
        producers: Producers = 1,
        workers: Workers = 1,
        every: Every = 500,
        weights: Start = None,
        device: opt.Device = "auto",
        as_json: opt.Json = False,
        quiet: opt.Quiet = False,
        debug: opt.Debug = False,
    ) -> None:
        with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
            from uhrmat.train import recipe as recipes
            from uhrmat.train.run import run

            chosen = recipes.load_recipe(recipe, getattr(recipes, kind), steps=steps, batch=batch, scenes=scenes)
            _train(
                console, run, chosen, output, minutes, data=data, cache=cache, device=device, producers=producers,
                workers=workers, every=every, weights=weights,
            )  # fmt: skip


_on_scenes(
    "shm",
    "shm-lite",
    "RefinerRecipe",
    """Train the sparse high-resolution module. Run again on the same folder, it resumes from its checkpoint.

    Example: uhrmat train shm -o runs/shm --data photographs/ --minutes 60
    """,
)
_on_scenes(
    "ddfe",
    "ddfe",
    "DetailRecipe",
    """Train the detail difference feature extractor. Recipes: ddfe (ours) and hrimf-amr (the paper's).

    Example: uhrmat train ddfe -o runs/ddfe --data photographs/ --minutes 30
    """,
)


@train.command()
def lpn(
    output: Out,
    recipe: RecipeName = "lpn-person",
    data: Data = None,
    cache: Cache = None,
    steps: Steps = None,
    batch: Batch = None,
    minutes: Minutes = None,
    workers: Workers = 1,
    every: Every = 500,
    teacher: Teacher = None,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train a low-resolution prior. Recipes: lpn-person, which finds people in photographs of --data with people/.

    With --minutes 0 the weights and the card of the last checkpoint are written, with figures measured anew.

    Example: uhrmat train lpn -o runs/lpn-person --data photographs/ --minutes 60
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.train.lpn.run import run_person
        from uhrmat.train.recipe import PersonRecipe, load_recipe

        chosen = load_recipe(recipe, PersonRecipe, steps=steps, batch=batch)
        _train(
            console, run_person, chosen, output, minutes, data=data, cache=cache, device=device, workers=workers,
            every=every, teacher=teacher,
        )  # fmt: skip


@train.command()
def trimap(
    output: Out,
    recipe: RecipeName = "lpn-trimap",
    data: Data = None,
    teachers: Teachers = None,
    cache: Cache = None,
    steps: Steps = None,
    batch: Batch = None,
    scenes: Scenes = None,
    minutes: Minutes = None,
    producers: Producers = 1,
    workers: Workers = 1,
    every: Every = 500,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train the network that corrects the prior of pictures with a trimap.

    Example: uhrmat train trimap -o runs/trimap --data photographs/ --teachers networks/
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.train.recipe import TrimapRecipe, load_recipe
        from uhrmat.train.trimap.run import run_trimap

        chosen = load_recipe(recipe, TrimapRecipe, steps=steps, batch=batch, scenes=scenes)
        _train(
            console, run_trimap, chosen, output, minutes, data=data, teachers=teachers, cache=cache, device=device,
            producers=producers, workers=workers, every=every,
        )  # fmt: skip


@train.command()
def subject(
    output: Out,
    recipe: RecipeName = "lpn-subject",
    data: Data = None,
    teachers: Teachers = None,
    cache: Cache = None,
    steps: Steps = None,
    batch: Batch = None,
    minutes: Minutes = None,
    every: Every = 500,
    weights: Start = None,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train the network that finds the main subject of a photograph, from masks and from other networks' results.

    Example: uhrmat train subject -o runs/subject --data photographs/ --teachers networks/
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.train.recipe import SubjectRecipe, load_recipe
        from uhrmat.train.subject.run import run_subject

        chosen = load_recipe(recipe, SubjectRecipe, steps=steps, batch=batch)
        _train(
            console, run_subject, chosen, output, minutes, data=data, teachers=teachers, cache=cache, device=device,
            every=every, weights=weights,
        )  # fmt: skip


@train.command()
def propagation(
    output: Out,
    recipe: RecipeName = "mask-propagation",
    data: Data = None,
    teachers: Teachers = None,
    cache: Cache = None,
    steps: Steps = None,
    batch: Batch = None,
    minutes: Minutes = None,
    every: Every = 500,
    weights: Start = None,
    device: opt.Device = "auto",
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train the network that the propagation of masks in clips starts from.

    Example: uhrmat train propagation -o runs/base --data photographs/ --teachers networks/
    """
    with session(Console(as_json=as_json, quiet=quiet, debug=debug)) as console:
        from uhrmat.train.propagation.run import run_propagation
        from uhrmat.train.recipe import PropagationRecipe, load_recipe

        chosen = load_recipe(recipe, PropagationRecipe, steps=steps, batch=batch)
        _train(
            console, run_propagation, chosen, output, minutes, data=data, teachers=teachers, cache=cache, device=device,
            every=every, weights=weights,
        )  # fmt: skip
