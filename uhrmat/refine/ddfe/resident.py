"""Inputs of DDFE on a device, see `ddfe.refiner`."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.ddfe.network import assemble_features
from uhrmat.refine.features import known_pixels
from uhrmat.refine.pyramid import PyramidLevel
from uhrmat.refine.resident.guided import guided_coefficients
from uhrmat.refine.resident.picture import Sites
from uhrmat.refine.resident.window import SiteFeatures


def line_maps(inputs: RefineInput) -> Tensor:
    """`ddfe.refiner.line_maps` on a device: (10, h, w) float32."""
    small = inputs.small.permute(2, 0, 1)
    colours = estimate_smooth_colours(small[None], inputs.prior[None, None])
    return torch.cat([colours[0][0], colours[1][0], guided_coefficients(small, inputs.prior)])


def site_features(level: PyramidLevel) -> SiteFeatures:
    """The network's inputs at the sites of a level."""
    low = level.small.permute(2, 0, 1) if level.low is None else level.low.planes()
    factor = level.size[0] / level.prior.shape[0]
    planes = [low, level.prior[None], *([] if level.maps is None else [level.maps])]
    groups = [torch.cat(list(group)) for _, group in itertools.groupby(planes, lambda plane: plane.shape[1:])]

    def features(sites: Sites) -> tuple[Tensor, None]:
        colours = level.picture.colours(sites.readable)
        read = [sites.read(group) for group in groups]
        values = read[0].T if len(read) == 1 else torch.cat(read).T
        if level.trimap is None:
            known = torch.zeros(len(colours), 2, device=colours.device)
        else:
            known = known_pixels(sites.known(level.trimap))[0]
        line = None if level.maps is None else values[:, 4:]
        return assemble_features(colours, values[:, :3], values[:, 3:4], known, line, factor), None

    return features
