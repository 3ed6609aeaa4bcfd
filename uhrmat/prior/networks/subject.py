"""`lpn-subject`: our own network that finds the salient subject, as a prior (see `lpn.SubjectNet`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha


class SubjectPrior:
    """The salient subject of a picture, people included, without any hint. Smaller pictures than the network's working
    size are enlarged to it.

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
        from torch.nn import functional as F

        from uhrmat.prior.networks.lpn import person_alpha

        planes = torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)[None])).to(self._device)
        shape, short = small.shape[:2], self._net.config.working_size
        if min(shape) < short:  # the network knows subjects at the size of its training views
            enlarged = [max(1, round(side * short / min(shape))) for side in shape]
            planes = F.interpolate(planes, enlarged, mode="bilinear", align_corners=False)
        alpha, _ = person_alpha(self._net, planes)
        if alpha.shape[-2:] != shape:
            alpha = F.interpolate(alpha, shape, mode="bilinear", align_corners=False, antialias=True)
        return PriorResult(constrain_alpha(alpha[0, 0].cpu().numpy(), hints.trimap), self.name)
