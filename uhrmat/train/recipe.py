"""Training recipes: TOML files with every number that decides what is trained, and how."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, overload

from uhrmat.core.errors import InputError
from uhrmat.core.regular import need_regular

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all recipes state.

    Attributes:
        network: one of RECIPES.
        size: of the network, a name that it knows.
        side: of crops or pictures, pixels.
        batch: crops or pictures of a step.
        steps: optimiser steps.
        rate: peak learning rate, after the warm-up.
        warmup: steps in which the rate rises linearly.
        floor: share of `rate` at which the cosine ends.
        ema: decay of the exponentially averaged weights.
        clip: largest norm of the gradient.
        seed: of weights and batches.
    """

    network: str
    size: str
    side: int
    batch: int
    steps: int
    rate: float
    warmup: int
    floor: float
    ema: float
    clip: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class SceneRecipe(Recipe):
    """Training on crops of synthetic scenes.

    Attributes:
        l1, l2, gradient, laplacian: loss weights, see `train.losses`.
        scenes: number of scenes to make.
        held_out: number of the first scenes, which are for validation only.
    """

    l1: float
    l2: float
    gradient: float
    laplacian: float
    scenes: int
    held_out: int


@dataclass(frozen=True, kw_only=True)
class RefinerRecipe(SceneRecipe):
    """Training of a refiner.

    Attributes:
        exact: share of scenes whose low-resolution matte is the true alpha, area-averaged, instead of a prior's.
    """

    exact: float


@dataclass(frozen=True, kw_only=True)
class DetailRecipe(RefinerRecipe):
    """Training of DDFE.

    Attributes:
        composition, mdrd: loss weights beside those of `SceneRecipe`, see `train.losses`.
    """

    composition: float
    mdrd: float


@dataclass(frozen=True, kw_only=True)
class PersonRecipe(Recipe):
    """Pictures of about `side`² pixels; in a `share` of the steps fewer of about `large`². bce, dice, gradient: loss
    weights. hint: that of a teacher's layers, named for each grid (see `train.lpn.teacher`), 0 without a teacher."""

    large: int
    share: float
    bce: float
    dice: float
    gradient: float
    hint: float
    quarter: list[str]
    eighth: list[str]
    sixteenth: list[str]


@dataclass(frozen=True, kw_only=True)
class SubjectRecipe(Recipe):
    """Views of about `side`² pixels. bce, dice, gradient: loss weights; hint: weight of the teachers' features; person:
    weight of the plane of people against the subject's; teachers: whose features are learned from; normalise: with
    batch normalisation, which a network that starts from finished weights does without; encoder: the teacher whose
    encoder is the start of the network's ("" for none); encoder_rate: the encoder's
    learning rate as a share of `rate`."""

    teachers: list[str]
    encoder: str
    encoder_rate: float
    normalise: bool
    bce: float
    dice: float
    gradient: float
    hint: float
    person: float


@dataclass(frozen=True, kw_only=True)
class TrimapRecipe(Recipe):
    """Training of the network that corrects the affinity prior, on crops of `side`² pixels.

    Attributes:
        encoder_rate: the encoder's learning rate as a share of `rate`.
        bce, l2: loss weights of cross entropy and squared error.
        scenes: number of scenes to make.
        held_out: number of the first scenes, which are for validation only.
    """

    encoder_rate: float
    bce: float
    l2: float
    scenes: int
    held_out: int


@dataclass(frozen=True, kw_only=True)
class PropagationRecipe(Recipe):
    """Training of the network that mask propagation starts from, on pairs of about `side`² pixels."""


RECIPES: dict[str, type[Recipe]] = {
    "shm": RefinerRecipe,
    "ddfe": DetailRecipe,
    "lpn-person": PersonRecipe,
    "lpn-subject": SubjectRecipe,
    "lpn-trimap": TrimapRecipe,
    "mask-propagation": PropagationRecipe,
}
"""The kind of recipe that each network needs."""


R = TypeVar("R", bound=Recipe)


@overload
def load_recipe(name: str | Path, **changes: Any) -> SceneRecipe: ...
@overload
def load_recipe(name: str | Path, kind: type[R], **changes: Any) -> R: ...
def load_recipe(name: str | Path, kind: type[Recipe] = SceneRecipe, **changes: Any) -> Recipe:
    """Read a recipe, with single values replaced.

    Args:
        name: of a file in `recipes/`, without .toml, or the path of a TOML file.
        kind: class of recipe that the caller can train by.
        changes: values by field name; None leaves the recipe's.

    Raises:
        InputError: there is no such recipe, it is of another kind, or its keys are not those of its class.
    """
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    need_regular(path)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
        raise InputError(f"There is no recipe {name}.", f"Give a TOML file or one of: {known}.")
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The recipe {path} is not valid TOML: {error}.", "Correct that line.") from error
    values.update({key: value for key, value in changes.items() if value is not None})
    recipe_class = RECIPES.get(values.get("network", "shm"))
    if recipe_class is None or not issubclass(recipe_class, kind):
        raise InputError(
            f"The recipe {path} is for {values.get('network', 'shm')}.", "Choose another recipe, or another command."
        )
    names = {field.name for field in fields(recipe_class)}
    if values.keys() != names:
        wrong = ", ".join(sorted(values.keys() ^ names))
        raise InputError(f"The recipe {path} lacks or misspells: {wrong}.", f"Compare it with those in {FOLDER}.")
    return recipe_class(**values)
