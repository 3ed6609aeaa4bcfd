"""What an affinity prior solves: picture, trimap and what is known of the solution, as a system of linear equations."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.boundary_data_term import boundary_data_term
from uhrmat.prior.closed_form.params import ClosedFormParams

SCRIBBLES_KNN = f"{CLOSED_FORM_KNN} for scribbles"
"""The name that `solve` takes for `closed-form+knn` where most of the picture is unknown (`coarse_to_fine`)."""

CORRECTED_KNN = f"{CLOSED_FORM_KNN} to be corrected"
"""The same, where a solution of the same problem with an estimate follows (`corrected`): a `worker.PriorProcess` keeps
the system until then."""

REPEATED_KNN = f"{CLOSED_FORM_KNN} again"
"""The same solved again and again for one picture (`warm`), by a `worker.PriorProcess` only."""

NOT_CONVERGED = "the prior's solver stopped before it converged"


class Solver(Protocol):
    """A function like `solve`, with its parameters chosen: picture, trimap and name of the prior to alpha and notes."""

    def __call__(
        self, image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]: ...


@dataclass(frozen=True)
class Start:
    """What is known of a solution, such as that of the frame before.

    Attributes:
        alpha: (h, w) float32, where the search begins.
        changed: (h, w) bool, the pixels that are solved; unknown ones elsewhere keep `alpha`.
        clip: the result lies in [0, 1]. Otherwise it is what was solved, up to `leak` beyond, so that pixels that are
            held in the next frame are not farther from 0 and 1 than they were: as constraints those would draw all
            others with them.
        estimate: (h, w) float32 in [0, 1], another estimate of alpha. `closed-form+knn` draws every solved pixel to it
            by a data term of weight `ClosedFormParams.estimate_weight`; the other priors make no use of it.
    """

    alpha: np.ndarray
    changed: np.ndarray
    clip: bool = True
    estimate: np.ndarray | None = None

    def within(self, box: tuple[slice, slice]) -> Start:
        """The part in a box."""
        estimate = None if self.estimate is None else self.estimate[box]
        return Start(self.alpha[box], self.changed[box], self.clip, estimate)


@dataclass(frozen=True)
class Problem:
    """What is solved in a box.

    Attributes:
        image: (h, w, 3) float in [0, 1].
        trimap: (h, w) uint8 {0, 128, 255}.
        values: (h, w) float64, the solution at pixels that are known or held.
        solved: (h, w) bool, the m pixels that are solved.
        start: (m,) float64, where the search begins.
        estimate: (h, w) float32 in [0, 1] or None, see `Start`.
    """

    image: np.ndarray
    trimap: np.ndarray
    values: np.ndarray
    solved: np.ndarray
    start: np.ndarray
    estimate: np.ndarray | None = None

    def data_term(self, params: ClosedFormParams) -> tuple[np.ndarray, np.ndarray]:
        """Weights (m,) and weighted target alphas (m,), float64, of `closed-form+knn`: the boundary's, and the
        estimate's where there is one."""
        solved = self.solved[self.trimap == 128]
        weight, target = (term[solved] for term in boundary_data_term(self.trimap, params.boundary))
        pull = weight * target
        if self.estimate is not None:
            pull = pull + params.estimate_weight * self.estimate[self.solved]
            weight = weight + params.estimate_weight
        return weight, pull

    def knn_steps(self, params: ClosedFormParams) -> tuple[tuple[float, float], ...]:
        """The solutions of `closed-form+knn`: those of the parameters; the last alone where an estimate refines a
        finished solution."""
        return params.knn_steps if self.estimate is None else params.knn_steps[-1:]

    def system(self, name: str, margin: int) -> tuple[Any, np.ndarray]:
        """The Laplacian of the solved pixels (m, m), in CSC, and the right side (m,)."""
        local = name in ("closed-form", CLOSED_FORM_KNN)  # others have neighbours anywhere in the box
        box = bounding_box(self.solved, margin) if local else (slice(None), slice(None))
        solved, image = self.solved[box].ravel(), self.image[box].astype(np.float64)
        laplacian = make_laplacian(name)(image, ~solved).tocsr()[solved]
        right = -(laplacian[:, ~solved] @ self.values[box].ravel()[~solved])
        return laplacian[:, solved].tocsc(), right


ProblemSolver = Callable[[Problem, str, ClosedFormParams], tuple[np.ndarray, list[str]]]
"""Solves a problem with m ≥ 1 pixels by the prior of this name: the solution (m,) float64, and notes for the user."""


def make_laplacian(name: str) -> Callable[[np.ndarray, np.ndarray], Any]:
    """PyMatting's Laplacian as a function of picture and known pixels."""
    part = "cf_laplacian" if name in ("closed-form", CLOSED_FORM_KNN) else f"{name}_laplacian"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make = getattr(importlib.import_module(f"pymatting.laplacian.{part}"), part)
    if part == "cf_laplacian":
        return lambda image, known: make(image, is_known=known)
    return lambda image, known: make(image)


def bounding_box(unknown: np.ndarray, margin: int) -> tuple[slice, slice]:
    """The box of the set pixels of a mask (h, w), with a margin around them inside of it; empty where none is set."""
    if not unknown.any():
        return slice(0, 0), slice(0, 0)
    rows, columns = np.flatnonzero(unknown.any(1)), np.flatnonzero(unknown.any(0))
    return tuple(slice(max(0, i[0] - margin), i[-1] + margin + 1) for i in (rows, columns))  # type: ignore[return-value]
