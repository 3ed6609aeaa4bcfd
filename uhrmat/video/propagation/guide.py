"""What the bundled subject network sees in a frame: planes for the clip's network, features to compare frames by.

A network that is trained on one key frame knows little of what its subject looks like from elsewhere. The subject
network was trained on many photographs: it knows people, animals and things, and its features stay alike while they
turn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from uhrmat.core.devices import channels_last, one_thread
from uhrmat.hub.bundled import bundled_weights
from uhrmat.prior.networks.lpn import SubjectNet, load_subject
from uhrmat.video.propagation.params import TRACKING, TrackingParams

GUIDE_WEIGHTS = "lpn-subject"
"""The bundled weights of the guide."""


class Look(NamedTuple):
    """A picture as the guide sees it.

    Attributes:
        planes: (h, w, 2) float32 in [0, 1], how salient each pixel is and how much it looks like a person; a half is
            undecided.
        features: (n, C) float32 on the guide's device, of unit length, of every cell of a grid, row by row.
        grid: its height and width, n cells.
    """

    planes: np.ndarray
    features: Tensor
    grid: tuple[int, int]


class SubjectGuide:
    """The subject network in the service of mask propagation.

    Args:
        net: for evaluation, on the device where it is to run.
        params: see there.
    """

    def __init__(self, net: SubjectNet, params: TrackingParams = TRACKING) -> None:
        self._net, self._params = net, params

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return next(self._net.parameters()).device

    @classmethod
    def bundled(cls, device: str = "cpu", params: TrackingParams = TRACKING) -> SubjectGuide:
        """The guide of the bundled weights on a torch device. Raises WeightsError."""
        net = load_subject(bundled_weights(GUIDE_WEIGHTS)).eval()
        return cls(channels_last(net, device), params)

    @torch.no_grad()
    def planes(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, h, w) in [0, 1] on any device to planes (B, 2, h, w) in [0, 1] on the guide's."""
        return self._scaled(self._net(channels_last(pictures, self.device)).logits)

    @torch.no_grad()
    def look(self, picture: np.ndarray) -> Look:
        """A picture (h, w, 3) float32 RGB in [0, 1] as the guide sees it."""
        pixels = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32))
        with one_thread():
            result, grids = self._net.forward_features(channels_last(pixels, self.device))
        fine, coarse = grids["eighth"][0], grids["sixteenth"][0]
        grid = int(fine.shape[-2]), int(fine.shape[-1])
        share = self._params.coarse_share
        parts = (
            (1 - share) ** 0.5 * _direction(fine),
            share**0.5 * _direction(F.interpolate(coarse, grid, mode="bilinear", align_corners=False)),
        )
        features = torch.cat(parts, 1)[0].flatten(1).T.float()
        planes = self._scaled(result.logits)[0].permute(1, 2, 0).cpu().numpy()
        return Look(np.ascontiguousarray(planes), features, grid)

    def _scaled(self, logits: Tensor) -> Tensor:
        most = self._params.guide_logit
        return (logits.clamp(-most, most) / most + 1) / 2


def _direction(features: Tensor) -> Tensor:
    """Features (1, C, h, w) against their mean over the picture, scaled to unit length."""
    return F.normalize(features - features.mean((2, 3), keepdim=True), dim=1)
