"""Priors that a caller brings: a function, or an array of low-resolution alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from uhrmat.core.errors import InputError
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, constrain_alpha

PriorFunction = Callable[[np.ndarray, LowResHints], Any]
"""`f(small, hints)`: the small copy (h, w, 3) float32 in [0, 1], RGB, and the hints at that size → alpha (H, W) of any
size, an array or tensor of floats in [0, 1], or a `prior.base.PriorResult`."""
PriorLike = str | PriorFunction | PriorMethod | npt.NDArray[Any] | torch.Tensor
_SLACK = 0.05
"""By how much alpha may leave [0, 1], as cubic interpolation does; it is clipped."""


class OwnPrior:
    """A prior from a function or an array.

    Args:
        source: a function of the small copy and the small hints, or alpha (H, W) for every picture.
        working_size: short side of the small copy in pixels; None: the default of `prior.base.working_shape`.
    """

    def __init__(
        self, source: PriorFunction | npt.NDArray[Any] | torch.Tensor, working_size: int | None = None
    ) -> None:
        self.name = "array" if not callable(source) else str(
            getattr(source, "name", None) or getattr(source, "__name__", type(source).__name__)
        )  # fmt: skip
        self.working_size: int | None = getattr(source, "working_size", working_size)
        self._source = source if callable(source) else _alpha_of(source, self.name)

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        """Return the low-resolution alpha (h, w). Raises InputError for what is no alpha."""
        value = self._source(small, hints) if callable(self._source) else self._source
        if isinstance(value, PriorResult):
            return value
        alpha = _alpha_of(value, self.name)
        if alpha.shape != small.shape[:2]:
            alpha = area_average(alpha, small.shape[:2])
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name)


def resolve_prior(prior: PriorLike) -> str | PriorMethod:
    """Return a prior as `StillPipeline` takes it. Raises InputError for what is none."""
    if isinstance(prior, str):
        return prior
    if callable(prior) or isinstance(prior, (np.ndarray, torch.Tensor)):
        return OwnPrior(prior)
    raise InputError(
        f"A {type(prior).__name__} is no prior.", "Give a name, a function of (image, hints), or an array of alpha."
    )


def _alpha_of(value: Any, name: str) -> npt.NDArray[np.float32]:
    """(H, W) float32 in [0, 1] from what a prior returned. Raises InputError for anything else."""
    array = value.detach().cpu().float().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"The prior {name} gives an array of shape {array.shape}.", "It must be alpha, (h, w).")
    if array.dtype == np.bool_:
        array = array.astype(np.float32)
    if array.dtype.kind != "f":
        raise InputError(f"The prior {name} gives {array.dtype}.", "It must be alpha as floats in [0, 1].")
    low, high = float(array.min()), float(array.max())
    if not (low >= -_SLACK and high <= 1 + _SLACK):  # also where one of them is NaN
        raise InputError(f"The prior {name} gives values from {low:.4g} to {high:.4g}.", "Alpha lies in [0, 1].")
    alpha: npt.NDArray[np.float32] = np.clip(array, 0, 1).astype(np.float32)
    return alpha
