"""The start of a network's encoder from a teacher's: MobileNetV2 as DeepLabv3 has it.

The teacher's encoder has seen far more pictures than there are photographs to train on here. Its last stage is dilated
at 1/16 of the picture's size where ours goes down to 1/32: the same convolutions on a coarser grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from uhrmat.core.errors import InputError
from uhrmat.prior.networks.lpn import SubjectNet


@torch.no_grad()
def load_encoder(net: SubjectNet, convolutions: Sequence[tuple[Tensor, Tensor | None]]) -> None:
    """Give the encoder of `net` the first of `convolutions`; its global summary begins at zero.

    Args:
        net: changed in place.
        convolutions: weight (out, in, kh, kw) and bias (out,) in the order of evaluation, see
            `GraphNet.convolutions`; those after the encoder's are not used.

    Raises:
        InputError: the shapes are those of another encoder.
    """
    layers = [part for stages in (net.stem, net.stages) for part in stages.modules() if isinstance(part, nn.Conv2d)]
    given = list(convolutions)[: len(layers)]
    shapes = [tuple(layer.weight.shape) for layer in layers]
    if [tuple(weight.shape) for weight, _ in given] != shapes or any(bias is None for _, bias in given):
        raise InputError("The teacher's encoder is not the MobileNetV2 of the network.", 'Use encoder = "deeplab".')
    for layer, (weight, bias) in zip(layers, given, strict=True):
        assert layer.bias is not None and bias is not None
        layer.weight.copy_(weight)
        layer.bias.copy_(bias)
    net.summary.weight.zero_()
    net.summary.bias.zero_()
