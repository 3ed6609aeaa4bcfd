"""`lpn-person`: our own network that finds people, as a prior (see `lpn.PersonNet`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha


class PersonPrior:
    """People in a picture, without any hint.

    Args:
        path: of the network, a .safetensors file.
        device: torch device.

    Raises:
        WeightsError: the file holds another network.
    """

    name = "lpn-person"

    def __init__(self, path: Path, device: str = "cpu") -> None:
        from uhrmat.prior.networks.lpn import PERSON, load_person

        self.working_size: int | None = PERSON.working_size
        self._net, self._device = load_person(path).to(device), device

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        import torch

        from uhrmat.prior.networks.lpn import person_alpha

        planes = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)[None]))
        alpha, _ = person_alpha(self._net, planes.to(self._device))
        return PriorResult(constrain_alpha(alpha[0, 0].cpu().numpy(), hints.trimap), self.name)
