"""How an ONNX network is run: from its graph, and from a file beside it for what the graph does not hold.

Networks of the catalogue need neither, see `hub.entry.Network`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import WeightsError
from uhrmat.hub.catalog import parse_network
from uhrmat.hub.entry import ACTIVATIONS, Network

_ALPHA_NAMES = ("pha", "alphas", "alpha", "matte", "output", "d0", "mask")
"""Names that exporters give to the output with the alpha, best first."""
_DEFAULT_SIDE = 512
"""Short side of the input, pixels, where the graph takes any size and the file beside it names none."""


@dataclass(frozen=True, kw_only=True)
class OnnxGraph:
    """Inputs and outputs of an ONNX network.

    Attributes:
        image: name of the picture's input.
        output: name of the output with the alpha.
        layout: "NCHW" or "NHWC".
        channels: of the picture's input: 3, 4 with a trimap as one channel, 6 with a trimap as three.
        fixed: (h, w) of the input where the graph fixes them.
        classes: 2 where the output has a background and a foreground plane, else 1.
        recurrence: names of the states, as input and as output.
        ratio: name of the input with the downsampling ratio, or "".
        dtype: of the inputs.
    """

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
    """Read the inputs and outputs of an onnxruntime session.

    Args:
        session: an onnxruntime.InferenceSession.
        path: of the network, for the error.

    Raises:
        WeightsError: no input can be a picture.
    """
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
        image=image.name,
        output=output.name,
        layout="NCHW" if first else "NHWC",
        channels=_channels(image.shape),
        fixed=fixed,
        classes=_classes(output.shape),
        recurrence=_states([i.name for i in inputs], [o.name for o in outputs]),
        ratio=next((i.name for i in inputs if "ratio" in i.name), ""),
        dtype=np.float16 if "float16" in image.type else np.float32,
    )


def network_from_graph(graph: OnnxGraph, path: Path) -> Network:
    """How a network that is not in the catalogue is run, from the file `<path>.toml` beside it.

    That file has the keys of a catalogue's table `network`. Those that the graph holds may be left out; mean, std and
    activation may not: a wrong normalisation gives a matte that looks plausible and is wrong, so nothing is guessed.

    Args:
        graph: of the network.
        path: of the network.

    Raises:
        WeightsError: there is no such file, with what to write into it; or it is not valid.
    """
    beside, defaults = path.with_name(path.name + ".toml"), _graph_settings(graph)
    if not beside.is_file():
        known = " ".join(f"{key} = {json.dumps(value)};" for key, value in defaults.items() if value)
        activations = " or ".join(map(json.dumps, ACTIVATIONS))
        raise WeightsError(
            f"{path.name} is in no catalogue, and its graph names neither normalisation nor activation.",
            f'Write {beside} with mean = [...], std = [...] (of values in [0, 1]; range = "byte" for [0, 255]) and '
            f"activation = {activations}, a line each. Taken from the graph: {known[:-1]}.",
        )
    return parse_network(beside.read_text("utf-8"), defaults, str(beside))


def _graph_settings(graph: OnnxGraph) -> dict[str, Any]:
    """Keys of a catalogue's table `network`, as far as the graph holds them."""
    trimap = {4: "channel", 6: "one-hot"}.get(graph.channels, "")
    fit, side = ("square", max(graph.fixed)) if graph.fixed else ("short", _DEFAULT_SIDE)
    if graph.fixed is None and (trimap or graph.recurrence):
        fit, side = "any", 0
    return {
        "fit": fit, "side": side, "multiple": 32, "layout": graph.layout, "trimap": trimap, "input": graph.image,
        "output": graph.output, "recurrence": [list(pair) for pair in graph.recurrence], "ratio": graph.ratio,
    }  # fmt: skip


def _channels(shape: list[Any]) -> int:
    """Of a picture input in either layout; 0 where neither axis can be channels."""
    return next((int(n) for n in (shape[1], shape[-1]) if isinstance(n, int) and n in (3, 4, 6)), 0)


def _classes(shape: list[Any]) -> int:
    """2 for a background and a foreground plane, else 1."""
    return 2 if len(shape) == 4 and 2 in (shape[1], shape[-1]) else 1


def _alpha_output(outputs: list[Any]) -> Any:
    """The output with the best known name, else the first that has one or two planes, else the first."""
    for name in _ALPHA_NAMES:
        for output in outputs:
            if output.name.lower() == name:
                return output
    planes = [o for o in outputs if len(o.shape) == 4 and {1, 2} & {o.shape[1], o.shape[-1]}]
    return (planes or list(outputs))[0]


def _states(inputs: list[str], outputs: list[str]) -> tuple[tuple[str, str], ...]:
    """Pairs like r1i and r1o."""
    targets = set(outputs)
    return tuple((n, n[:-1] + "o") for n in inputs if n.endswith("i") and n[:-1] + "o" in targets)
