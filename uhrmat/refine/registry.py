"""Refiners by name: the registry behind `--refiner` and `MattingPipeline(refiner=…)`.

To add a refiner, write a class that follows `base.Refiner` and add its maker to `_MAKERS`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from uhrmat.core.errors import InputError
from uhrmat.refine.base import Refiner
from uhrmat.refine.baselines import BilinearRefiner, GuidedRefiner, ProjectionRefiner
from uhrmat.refine.ddfe.refiner import DDFERefiner
from uhrmat.refine.shm.refiner import SHMRefiner

_MAKERS: dict[str, Callable[[str | None, str, torch.dtype, str], Refiner]] = {
    "shm": SHMRefiner,
    "ddfe": DDFERefiner,
    "projection": lambda *_: ProjectionRefiner(),
    "guided": lambda *_: GuidedRefiner(),
    "bilinear": lambda *_: BilinearRefiner(),
}
REFINERS = tuple(_MAKERS)
"""Names of all refiners, the default first."""
LEARNED = ("shm", "ddfe")
"""Those that have learned; the others are for comparisons."""


def make_refiner(name: str, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> Refiner:
    """Makes a refiner.

    Args:
        name: One of `REFINERS`.
        weights: Of a refiner with a network: what `hub.resolve` understands; None takes the bundled ones.
        engine: One of `sparse.ENGINES`; "auto" measures which is faster.
        dtype: Of the network's arithmetic.
        device: Like "cpu" or "cuda:0".

    Raises:
        InputError: There is no refiner of that name.
        WeightsError: The weights are missing or are those of another network.
    """
    if name not in _MAKERS:
        raise InputError(f"There is no refiner called {name!r}.", f"Choose one of {', '.join(REFINERS)}.")
    return _MAKERS[name](weights, engine, dtype, device)
