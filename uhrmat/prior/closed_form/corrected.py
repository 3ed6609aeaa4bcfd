"""`lpn-trimap`: `closed-form+knn`, solved once more with a network's estimate (see `networks.lpn_trimap`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from uhrmat.hints.scribbles import are_scribbles
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import CORRECTED_KNN, Solver, Start
from uhrmat.prior.closed_form.solve import solve


def keeping_system(solver: Solver) -> Solver:
    """A solver that asks for `closed-form+knn` as `problem.CORRECTED_KNN`: its system is kept for a second solution."""

    def solve_first(
        image: np.ndarray, trimap: np.ndarray, name: str, start: Start | None = None
    ) -> tuple[np.ndarray, list[str]]:
        return solver(image, trimap, CORRECTED_KNN if name == CLOSED_FORM_KNN else name, start)

    return solve_first


class CorrectedPrior:
    """`closed-form+knn`, and a network that says where it is wrong. Needs a trimap.

    Where the trimap knows one side only, or is a few strokes, the affinity prior's alpha is returned as it is: the
    network has not learned from such trimaps.

    Args:
        path: of the network, a .safetensors file.
        solver: of the affinity prior, by default `closed_form.solve.solve` in this process.
        device: torch device of the network.

    Raises:
        WeightsError: the file holds another network.
    """

    name = "lpn-trimap"
    working_size: int | None = None

    def __init__(self, path: Path, solver: Solver | None = None, device: str = "cpu") -> None:
        from uhrmat.prior.networks.lpn_trimap import load_trimap_net

        self._solve: Solver = solver or solve
        self._net, self._device = load_trimap_net(path).to(device), device

    def with_solver(self, wrap: Callable[[Solver], Solver]) -> CorrectedPrior:
        """See `prior.base.SolvingPrior`."""
        other = copy.copy(self)
        other._solve = wrap(self._solve)
        return other

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        closed = AffinityPrior(CLOSED_FORM_KNN, keeping_system(self._solve))(small, hints)
        trimap = hints.trimap if closed.trimap is None else closed.trimap
        if trimap is None or are_scribbles(trimap) or not all((trimap == value).any() for value in (0, 128, 255)):
            return replace(closed, name=self.name)
        start = Start(closed.alpha, trimap == 128, estimate=self.estimate(small, trimap, closed.alpha))
        alpha, notes = self._solve(small, trimap, CLOSED_FORM_KNN, start)
        return replace(closed, alpha=alpha, name=self.name, notes=list(dict.fromkeys([*closed.notes, *notes])))

    def estimate(self, small: np.ndarray, trimap: np.ndarray, closed: np.ndarray) -> np.ndarray:
        """The affinity prior's alpha as the network changes it, (h, w) float32 in [0, 1].

        Args:
            small: (h, w, 3) float32 in [0, 1].
            trimap: (h, w) uint8 {0, 128, 255}.
            closed: (h, w) float32 in [0, 1], the affinity prior's alpha.
        """
        import torch

        from uhrmat.prior.networks.lpn_trimap import estimate_alpha

        known = np.stack([trimap == 255, trimap == 0]).astype(np.float32)
        planes = (np.ascontiguousarray(small.transpose(2, 0, 1), np.float32), known, closed[None])
        inputs = (torch.from_numpy(plane[None]).to(self._device) for plane in planes)
        return np.asarray(estimate_alpha(self._net, *inputs)[0, 0].cpu().numpy())
