"""`lpn-trimap`: the prior that trimaps ask for, corrected by our own network (see `lpn_trimap.TrimapNet`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior, Solver


class CorrectedPrior:
    """The network of a .safetensors file behind an affinity prior. Needs a trimap. solver: of that prior."""

    name = "lpn-trimap"
    working_size: int | None = None

    def __init__(self, path: Path, solver: Solver | None = None, device: str = "cpu") -> None:
        from uhrmat.prior.networks.lpn_trimap import load_trimap_net

        self._closed = AffinityPrior(CLOSED_FORM_KNN, solver)
        self._net, self._device = load_trimap_net(path).to(device), device

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        closed = self._closed(small, hints)
        if hints.trimap is None or not (hints.trimap == 128).any():
            return PriorResult(closed.alpha, self.name, closed.notes)
        import torch

        known = np.stack([hints.trimap == 255, hints.trimap == 0]).astype(np.float32)
        planes = (np.ascontiguousarray(small.transpose(2, 0, 1)), known, closed.alpha[None])
        with torch.inference_mode():
            answer = self._net(*(torch.from_numpy(plane[None]).to(self._device) for plane in planes))
            alpha = answer.logits.clamp(0, 1)[0, 0].cpu().numpy()
        return PriorResult(constrain_alpha(alpha, hints.trimap), self.name, closed.notes)
