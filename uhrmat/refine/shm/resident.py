"""Inputs of SHM on a device, see `refine.features`."""

from __future__ import annotations

import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.features import (
    PRIOR,
    PROJECTION,
    mask_colour_line,
    network_weight,
    scale_features,
    unscaled_features,
)
from uhrmat.refine.layers import signed
from uhrmat.refine.resident.guided import guided_coefficients
from uhrmat.refine.resident.picture import Sites
from uhrmat.refine.resident.window import SiteFeatures
from uhrmat.refine.shm.network import SHMConfig


def site_features(inputs: RefineInput, config: SHMConfig) -> tuple[SiteFeatures, float | None]:
    """The network's inputs and the residual baseline as a function of sites.

    Args:
        inputs: The picture on a device.
        config: Of the network.

    Returns:
        The function, and the weight of the network's residual, None where its output is alpha.
    """
    if config.inputs == PRIOR + 1 and not config.residual:
        return _colours_and_prior(inputs), None
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
        known = None if inputs.trimap is None else sites.known(inputs.trimap)
        raw = unscaled_features(inputs.picture.colours(sites.readable), values[:7].T, known)
        result = scale_features(raw, scale)
        if not config.line:
            result = mask_colour_line(result)
            raw = (result + 1) / 2
        start = _baseline(raw, values[7:] if model else None, guided, weight) if config.residual else None
        return result[..., : config.inputs], start

    return features, weight if config.residual else None


def _colours_and_prior(inputs: RefineInput) -> SiteFeatures:
    """Inputs of a network that sees colours and prior alone: nothing else is made."""

    def features(sites: Sites) -> tuple[Tensor, None]:
        prior = sites.read(inputs.prior[None]).T
        return signed(torch.cat([inputs.picture.colours(sites.readable), prior], 1)), None

    return features


def _baseline(raw: Tensor, model: Tensor | None, guided: float, weight: float) -> Tensor:
    """`features.residual_baseline` on `features.fallback_alpha`, from channels that are not scaled yet.

    Args:
        raw: (S, CHANNELS), see `features.unscaled_features`.
        model: Coefficients of the guided filter at the sites, (4, S); None takes the prior.
        guided: Share of the guided filter, in [0, 1].
        weight: Of the colour-line projection, in [0, 1].

    Returns:
        (S,) in [0, 1].
    """
    fallback = raw[:, PRIOR]
    if model is not None:
        value = ((model[:3] * raw[:, :3].T).sum(0) + model[3]).clamp(0, 1)
        fallback = value if guided == 1 else torch.lerp(fallback, value, guided)
    return torch.lerp(fallback, raw[:, PROJECTION], weight)
