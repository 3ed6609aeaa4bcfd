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


@dataclass(frozen=True)
class Recipe:
    """What all recipes say. size: network size; batch: pictures or crops of a step; steps: optimiser steps; rate: peak
    learning rate after `warmup` steps, then cosine to `floor` of it; ema: decay of the averaged weights; clip: gradient
    norm; seed."""

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


@dataclass(frozen=True)
class SceneRecipe(Recipe):
    """Crops of `side` from synthetic scenes. l1, l2, gradient, laplacian: loss weights; scenes: how many to make;
    held_out: the first scenes, for validation only."""

    l1: float
    l2: float
    gradient: float
    laplacian: float
    scenes: int
    held_out: int


@dataclass(frozen=True)
class RefinerRecipe(SceneRecipe):
    """exact: share of scenes whose low-resolution matte is the true alpha, averaged, instead of a prior's."""

    exact: float


@dataclass(frozen=True)
class DetailRecipe(RefinerRecipe):
    """composition, mdrd: loss weights beside those of `SceneRecipe`."""

    composition: float
    mdrd: float


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class SubjectRecipe(Recipe):
    """Views of about `side`² pixels. bce, dice, gradient: loss weights; hint: weight of the teachers' features; person:
    weight of the plane of people against the subject's; teachers: whose features are learned from; normalise: with
    batch normalisation, which a network that starts from finished weights does without."""

    teachers: list[str]
    normalise: bool
    bce: float
    dice: float
    gradient: float
    hint: float
    person: float


RECIPES: dict[str, type[Recipe]] = {
    "shm": RefinerRecipe,
    "ddfe": DetailRecipe,
    "lpn-person": PersonRecipe,
    "lpn-subject": SubjectRecipe,
    "lpn-trimap": SceneRecipe,
}
"""The kind of recipe that each network needs."""


R = TypeVar("R", bound=Recipe)


@overload
def load_recipe(name: str | Path, **changes: Any) -> SceneRecipe: ...
@overload
def load_recipe(name: str | Path, kind: type[R], **changes: Any) -> R: ...
def load_recipe(name: str | Path, kind: type[Recipe] = SceneRecipe, **changes: Any) -> Recipe:
    """A recipe by name (see `recipes/`) or path, with single values replaced. InputError on what it cannot use.

    kind: of recipe that the caller can train by.
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
