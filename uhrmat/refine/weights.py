"""Load the trained weights of a refiner."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import nn

from uhrmat.hub import resolve
from uhrmat.hub.tensors import check_input_version, load_into, load_tensors

Net = TypeVar("Net", bound=nn.Module)


def load_network(
    weights: str | None, default: str, build: Callable[[str | None], Net], input_version: int, name: str, command: str
) -> Net:
    """Load a network of a refiner with trained weights.

    Args:
        weights: what `hub.resolve` understands; None takes `default`.
        default: name of bundled weights.
        build: makes the network of the size that the weights' metadata names; None: they name none.
        input_version: of the inputs that the network is made for.
        name: of the network in errors; its size is added.
        command: that trains it.

    Raises:
        WeightsError: the weights are missing, are those of another network, or were trained on other inputs.
    """
    path = resolve(weights or default, suffixes=(".safetensors",)).path
    tensors, metadata = load_tensors(path)
    net = build(metadata.get("size"))
    label = f"{name} {net.size}"
    check_input_version(metadata, path, input_version, label)
    return load_into(net, tensors, path, label, command)
