"""Refiners without a network, to compare with: upsampled prior, fast guided filter, colour-line projection."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from uhrmat.refine.base import RefineInput
from uhrmat.refine.features import BilinearMaps, ColourLineFeatures, PictureColours
from uhrmat.refine.guided_filter import guided_coefficients

_PIXELS = 1 << 18
"""Pixels of the picture looked through at a time."""


class ProjectionRefiner:
    """The colour-line projection alone (`colour_line.project`): nothing is learned."""

    name, engine = "projection", "none"

    def refine(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """See `base.Refiner.refine`."""
        colours = PictureColours(inputs.picture)
        features = ColourLineFeatures(colours, inputs.size, inputs.small, inputs.prior, inputs.trimap, alpha)
        features.network_weight = 1.0  # the residual baseline is then the projection itself
        for ys, xs in active_coordinates(inputs.active):
            features(ys, xs)


class GuidedRefiner:
    """The fast guided filter, which most tools upsample a matte with: see `guided_filter`."""

    name, engine = "guided", "none"

    def refine(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """See `base.Refiner.refine`."""
        coefficients = guided_coefficients(inputs.small, inputs.prior)
        maps = BilinearMaps(torch.from_numpy(coefficients), inputs.size)
        colours, target = PictureColours(inputs.picture), torch.from_numpy(alpha)
        for ys, xs in active_coordinates(inputs.active):
            model = maps(ys, xs)
            target[ys, xs] = (model[..., :3] * colours(ys * inputs.size[1] + xs)).sum(-1) + model[..., 3]


class BilinearRefiner:
    """The upsampled prior as it is."""

    name, engine = "bilinear", "none"

    def refine(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """See `base.Refiner.refine`."""
        del inputs, alpha


def active_coordinates(active: np.ndarray, step: int = _PIXELS) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yields the coordinates of the active pixels, strip by strip.

    Args:
        active: (H, W) bool.
        step: Pixels of the picture in a strip, about.

    Yields:
        (ys, xs), int64 tensors of equal length, row by row.
    """
    rows = max(1, step // active.shape[1])
    for top in range(0, len(active), rows):
        ys, xs = np.nonzero(active[top : top + rows])
        if len(ys):
            yield torch.from_numpy(ys + top), torch.from_numpy(xs)
