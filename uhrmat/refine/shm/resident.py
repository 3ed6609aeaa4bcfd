"""Inputs of SHM on a device, see `refine.features`."""

from __future__ import annotations

import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.features import (
    assemble_features,
    fallback_alpha,
    mask_colour_line,
    network_weight,
    residual_baseline,
)
from uhrmat.refine.resident.guided import guided_coefficients
from uhrmat.refine.resident.picture import Sites
from uhrmat.refine.resident.window import SiteFeatures
from uhrmat.refine.shm.network import SHMConfig


def site_features(inputs: RefineInput, config: SHMConfig) -> tuple[SiteFeatures, float]:
    """The network's inputs and the residual baseline as a function of sites.

    Args:
        inputs: The picture on a device.
        config: Of the network.

    Returns:
        The function, and the weight of the network's residual.
    """
    scale = inputs.size[0] / inputs.prior.shape[0]
    weight, guided = network_weight(scale)
    prior, small = inputs.prior[None], inputs.small.permute(2, 0, 1)
    same = prior.shape[1:] == small.shape[1:]
    guide = prior if same else torch.nn.functional.interpolate(prior[None], small.shape[1:], mode="area")[0]
    colours = estimate_smooth_colours(small[None], guide[None])
    model = [guided_coefficients(small, guide[0])] if config.residual and guided else []
    maps = torch.cat([*([prior] if same else []), colours[0][0], colours[1][0], *model])

    def features(sites: Sites) -> tuple[Tensor, Tensor | None]:
        values = sites.read(maps)
        if not same:
            values = torch.cat([sites.read(prior), values])
        known = None if inputs.trimap is None else inputs.trimap.view(-1).index_select(0, sites.readable)
        result = assemble_features(inputs.picture.colours(sites.readable), values[:7].T, known, scale)
        if not config.line:
            result = mask_colour_line(result)
        start = None
        if config.residual:
            start = residual_baseline(result, fallback_alpha(result, values[7:].T if model else None, guided), weight)
        return result[..., : config.inputs], start

    return features, weight
