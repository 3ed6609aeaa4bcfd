"""Training recipes: TOML files with every number that decides what is trained, and how."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from uhrmat.errors import InputError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """size: network size; side, batch: crops; steps: optimiser steps; rate: peak learning rate after `warmup` steps,
    then cosine to `floor` of it; ema: decay of the averaged weights; l1, l2, gradient, laplacian: loss weights; scenes:
    synthetic scenes to make; held_out: the first scenes, for validation only; clip: gradient norm; seed."""

    network: str
    size: str
    side: int
    batch: int
    steps: int
    rate: float
    warmup: int
    floor: float
    ema: float
    l1: float
    l2: float
    gradient: float
    laplacian: float
    scenes: int
    held_out: int
    clip: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def load_recipe(name: str | Path, **changes: Any) -> Recipe:
    """A recipe by name (see `recipes/`) or path, with single values replaced. InputError on what it cannot use."""
    path = Path(name) if str(name).endswith(".toml") else FOLDER / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.toml")))
        raise InputError(f"There is no recipe {name}.", f"Give a TOML file or one of: {known}.")
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The recipe {path} is not valid TOML: {error}.", "Correct that line.") from error
    found.update({key: value for key, value in changes.items() if value is not None})
    names = {field.name for field in fields(Recipe)}
    if found.keys() != names:
        wrong = ", ".join(sorted(found.keys() ^ names))
        raise InputError(f"The recipe {path} lacks or misspells: {wrong}.", "Compare it with shm-lite.toml.")
    return Recipe(**found)
