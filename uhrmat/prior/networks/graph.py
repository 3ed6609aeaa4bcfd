"""What an ONNX graph says about itself, and the file beside it that says the rest where the catalogue knows nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import WeightsError
from uhrmat.hub.catalog import parse_network
from uhrmat.hub.entry import ACTIVATIONS, Network

_NAMES = ("pha", "alphas", "alpha", "matte", "output", "d0", "mask")
"""Outputs that hold an alpha, by the names that exporters give them, best first."""
_SIDE = 512
"""Working size, on the short side, of a network of any size that does not say otherwise."""


@dataclass(frozen=True)
class OnnxGraph:
    """image, output: tensor names; layout; channels: of the image input; fixed: (h, w) where the graph fixes them;
    classes: of the output; recurrence: state names (in, out); ratio: name of the downsampling ratio, or ""."""

    image: str
    output: str
    layout: str
    channels: int
    fixed: tuple[int, int] | None
    classes: int
    recurrence: tuple[tuple[str, str], ...]
    ratio: str
    dtype: type


def read_graph(session: Any, path: Path) -> OnnxGraph:
    """Inputs and outputs of an onnxruntime session. Raises WeightsError where no input can be a picture."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    images = [i for i in inputs if len(i.shape) == 4 and _channels(i.shape) in (3, 4, 6)]
    if not images:
        shapes = ", ".join(f"{i.name} {i.shape}" for i in inputs)
        raise WeightsError(f"{path.name} takes no picture: {shapes}.", "Give a network with one (1, 3, h, w) input.")
    image = images[0]
    first = image.shape[1] in (3, 4, 6)
    sides = image.shape[2:] if first else image.shape[1:3]
    fixed = (int(sides[0]), int(sides[1])) if all(isinstance(n, int) and n > 0 for n in sides) else None
    output = _alpha_output(outputs)
    return OnnxGraph(
        image.name, output.name, "NCHW" if first else "NHWC", _channels(image.shape), fixed, _classes(output.shape),
        _states([i.name for i in inputs], [o.name for o in outputs]),
        next((i.name for i in inputs if "ratio" in i.name), ""),
        np.float16 if "float16" in image.type else np.float32,
    )  # fmt: skip


def network_from_graph(graph: OnnxGraph, path: Path) -> Network:
    """How a network that no catalogue knows is asked: by `<file>.toml` beside it, with the keys of a catalogue's table
    `network`; those that the graph itself tells may be left out, but never mean, std and activation.

    Raises WeightsError where there is no such file, with what to write into it: a wrong normalisation gives a matte
    that looks plausible and is wrong, so nothing is guessed.
    """
    beside, told = path.with_name(path.name + ".toml"), _told(graph)
    if not beside.is_file():
        known = " ".join(f"{key} = {_shown(value)};" for key, value in told.items() if value)
        raise WeightsError(
            f"{path.name} is in no catalogue, and its graph does not say how it takes colours and what it answers.",
            f'Write {beside} with mean = [...], std = [...] (of values in [0, 1]; range = "byte" for [0, 255]) and '
            f"activation = {' or '.join(map(_shown, ACTIVATIONS))}, a line each. Taken from the graph: {known[:-1]}.",
        )
    return parse_network(beside.read_text("utf-8"), told, str(beside))


def _told(graph: OnnxGraph) -> dict[str, Any]:
    """Keys of a catalogue's table `network`, as far as the graph tells them."""
    trimap = {4: "channel", 6: "one-hot"}.get(graph.channels, "")
    fit, side = ("square", max(graph.fixed)) if graph.fixed else ("short", _SIDE)
    if graph.fixed is None and (trimap or graph.recurrence):
        fit, side = "any", 0
    return {
        "fit": fit, "side": side, "multiple": 32, "layout": graph.layout, "trimap": trimap, "input": graph.image,
        "output": graph.output, "recurrence": [list(pair) for pair in graph.recurrence], "ratio": graph.ratio,
    }  # fmt: skip


def _shown(value: Any) -> str:
    return json.dumps(value)


def _channels(shape: list[Any]) -> int:
    """Of a picture input in either layout; 0 where neither axis can be channels."""
    return next((int(n) for n in (shape[1], shape[-1]) if isinstance(n, int) and n in (3, 4, 6)), 0)


def _classes(shape: list[Any]) -> int:
    """2 for a background and a foreground plane, else 1."""
    return 2 if len(shape) == 4 and 2 in (shape[1], shape[-1]) else 1


def _alpha_output(outputs: list[Any]) -> Any:
    """The output with the best known name, else the first that has one or two planes, else the first."""
    for name in _NAMES:
        for output in outputs:
            if output.name.lower() == name:
                return output
    planes = [o for o in outputs if len(o.shape) == 4 and {1, 2} & {o.shape[1], o.shape[-1]}]
    return (planes or list(outputs))[0]


def _states(inputs: list[str], outputs: list[str]) -> tuple[tuple[str, str], ...]:
    """Pairs like r1i and r1o."""
    targets = set(outputs)
    return tuple((n, n[:-1] + "o") for n in inputs if n.endswith("i") and n[:-1] + "o" in targets)
