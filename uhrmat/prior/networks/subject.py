"""`lpn-subject`: our own network that finds the salient subject, as a prior (see `lpn.SubjectNet`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha


class SubjectPrior:
    """The salient subject of a picture, people included, without any hint.

    Args:
        path: of the network, a .safetensors file.
        device: torch device.

    Raises:
        WeightsError: the file holds another network.
    """

    name = "lpn-subject"

    def __init__(self, path: Path, device: str = "cpu") -> None:
        from uhrmat.prior.networks.lpn import load_subject

        self._net, self._device = load_subject(path).to(device), device
        self.working_size: int | None = self._net.config.working_size

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        import torch

        from uhrmat.prior.networks.lpn import person_alpha

        planes = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)[None]))
        alpha, _ = person_alpha(self._net, planes.to(self._device))
        return PriorResult(constrain_alpha(alpha[0, 0].cpu().numpy(), hints.trimap), self.name)
