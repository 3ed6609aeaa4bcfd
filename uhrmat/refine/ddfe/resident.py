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
    """`ddfe.refiner.line_maps` on a device, behind the picture and the prior that they are made of: (14, h, w) float32,
    I (3), alpha, F (3), B (3), the guided filter's a (3) and b."""
    small = inputs.small.permute(2, 0, 1)
    colours = estimate_smooth_colours(small[None], inputs.prior[None, None])
    made = [colours[0][0], colours[1][0], guided_coefficients(small, inputs.prior)]
    return torch.cat([small, inputs.prior[None], *made])


def _maps_of(level: PyramidLevel) -> list[Tensor]:
    """Maps that are read at the sites of a level, those of one size together: coarser colours, prior and, if the
    network sees them, the others of `line_maps`."""
    if level.maps is not None and level.low is None:
        return [level.maps]
    low = level.small.permute(2, 0, 1) if level.low is None else level.low.planes()
    planes = [low, level.prior[None], *([] if level.maps is None else [level.maps[4:]])]
    groups = [list(group) for _, group in itertools.groupby(planes, lambda plane: plane.shape[1:])]
    return [torch.cat(group) if len(group) > 1 else group[0] for group in groups]


def site_features(level: PyramidLevel) -> SiteFeatures:
    """The network's inputs at the sites of a level."""
    factor, maps = level.size[0] / level.prior.shape[0], _maps_of(level)

    def features(sites: Sites) -> tuple[Tensor, None]:
        colours = level.picture.colours(sites.readable)
        read = [sites.read(group) for group in maps]
        values = read[0].T if len(read) == 1 else torch.cat(read).T
        if level.trimap is None:
            known, unknown = torch.zeros(len(colours), 2, device=colours.device), None
        else:
            known, unknown, _ = known_pixels(sites.known(level.trimap))
        line = None if level.maps is None else values[:, 4:]
        seen = (colours, values[:, :3], values[:, 3:4], known, line, factor)
        return assemble_features(*seen, unknown=unknown), None

    return features
