"""Inputs of DDFE on a device, see `ddfe.refiner`."""

from __future__ import annotations

import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.ddfe.network import assemble_features
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
    same = low.shape[1:] == level.prior.shape
    planes = [torch.cat([low, level.prior[None]])] if same else [low, level.prior[None]]
    factor = level.size[0] / level.prior.shape[0]

    def features(sites: Sites) -> tuple[Tensor, None]:
        colours = level.picture.colours(sites.readable)
        read = torch.cat([sites.read(plane) for plane in planes]) if len(planes) > 1 else sites.read(planes[0])
        if level.trimap is None:
            known = torch.zeros(len(colours), 2, device=colours.device)
        else:
            values = level.trimap.view(-1).index_select(0, sites.readable)
            known = torch.stack([values == 255, values == 0], -1).float()
        line = None if level.maps is None else sites.read(level.maps).T
        return assemble_features(colours, read[:3].T, read[3:].T, known, line, factor), None

    return features
