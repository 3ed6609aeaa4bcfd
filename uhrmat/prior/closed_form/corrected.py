"""`lpn-trimap`: the closed form with non-local affinities, corrected by a network (see `networks.lpn_trimap`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior, Solver


class CorrectedPrior:
    """An affinity prior and the network that corrects it. Needs a trimap.

    Args:
        path: of the network, a .safetensors file.
        solver: of the affinity prior, by default `affinity.solve` in this process.
        device: torch device of the network.

    Raises:
        WeightsError: the file holds another network.
    """

    name = "lpn-trimap"
    working_size: int | None = None

    def __init__(self, path: Path, solver: Solver | None = None, device: str = "cpu") -> None:
        from uhrmat.prior.networks.lpn_trimap import load_trimap_net

        self._closed = AffinityPrior(CLOSED_FORM_KNN, solver)
        self._net, self._device = load_trimap_net(path).to(device), device

    def with_solver(self, wrap: Callable[[Solver], Solver]) -> CorrectedPrior:
        """See `prior.base.SolvingPrior`."""
        other = copy.copy(self)
        other._closed = self._closed.with_solver(wrap)
        return other

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        closed = self._closed(small, hints)
        if hints.trimap is None or not (hints.trimap == 128).any():
            return PriorResult(closed.alpha, self.name, closed.notes)
        import torch

        known = np.stack([hints.trimap == 255, hints.trimap == 0]).astype(np.float32)
        planes = (np.ascontiguousarray(small.transpose(2, 0, 1)), known, closed.alpha[None])
        with torch.inference_mode():
            output = self._net(*(torch.from_numpy(plane[None]).to(self._device) for plane in planes))
            alpha = output.logits.clamp(0, 1)[0, 0].cpu().numpy()
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, closed.notes)
