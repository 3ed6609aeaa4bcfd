"""Counts what a GPU would be asked for one picture, on a machine without one: kernels, copies, waits of the host.

    python -m benchmarks.kernel_counts lite                       # 960 x 540, 40,000 active pixels
    python -m benchmarks.kernel_counts ddfe --size 3840x2160      # 0.6 million active pixels
    python -m benchmarks.kernel_counts foreground                 # its colours alone
    python -m benchmarks.kernel_counts lite --colours             # alpha and colours, as a still with both takes

Prints JSON. The tracer is `tests.refine.fake_cuda`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.shot import bands, synthetic
from tests.refine.fake_cuda import CUDA, Trace, count_calls, emulate_cuda, record_downloads, trace
from uhrmat.foreground.on_device import estimate_foreground_on_device, try_foreground
from uhrmat.refine.base import RefineInput
from uhrmat.refine.registry import make_refiner
from uhrmat.refine.resident.run import HostPlanes
from uhrmat.refine.shm import refiner as shm
from uhrmat.refine.shm.network import SHM

SHARE = 0.0771
"""Of active pixels: 40,000 of 960 x 540, about 0.6 million of 3840 x 2160."""
PARTS = {
    "colour maps": ("colour_line:estimate_smooth_colours",),
    "mean restoration": ("resident.restore:",),
    "guided filter": ("resident.guided:",),
    "Masked-SE": ("shm.refiner:_predictor",),
    "active set": ("sparse.resident:", "picture:of_window"),
    "inputs at the pixels": ("resident:features", "picture:"),
    "foreground": ("foreground.on_device:",),
    "network": ("sparse.", "network:forward", "network:forward_with_gates"),
    "whole planes": ("resident.planes:", "pyramid:", "resident.run:"),
}
"""Frames of a part's calls, as module:function; a kernel belongs to the first part that one of its frames fits."""


def part_of(frames: list[str]) -> str:
    """The part that a kernel belongs to, of `PARTS` or "rest".

    Args:
        frames: Functions of uhrmat that were running, as module:function, innermost first.
    """
    for part, marks in PARTS.items():
        if any(mark in frame for frame in frames for mark in marks):
            return part
    return "rest"


def inputs_of(width: int, height: int, ratio: int) -> RefineInput:
    """A picture of noise with bands of active pixels; the prior's size is that of the product, or at small sizes the
    picture's divided by `ratio`."""
    inputs = synthetic(bands(height, width, round(SHARE * width * height)))
    if min(inputs.prior.shape) < min(height, width):
        return inputs
    small, prior = inputs.small[::ratio, ::ratio], inputs.prior[::ratio, ::ratio]
    return RefineInput(inputs.picture, small, prior, inputs.trimap, inputs.active)


def count(name: str, width: int = 960, height: int = 540, ratio: int = 2, colours: bool = False) -> Trace:
    """What a picture asks of a GPU: tiles, fp16. In a process of its own: torch's tensors are changed for good.

    Args:
        name: "lite", "paper" or "ddfe".
        width: Of the picture.
        height: Of the picture.
        ratio: Of the sides of a small picture to those of its prior; above 2 DDFE has two levels.
        colours: Whether the foreground's are estimated.
    """
    inputs = inputs_of(width, height, ratio)
    with pytest.MonkeyPatch.context() as patch:
        if name == "paper":
            patch.setattr(shm, "load_shm", lambda weights: SHM("paper"))
        refiner: Any = make_refiner("ddfe" if name == "ddfe" else "shm", None, "tiles", torch.float32, "cpu")
        host = HostPlanes(inputs.picture, inputs.small, inputs.prior, inputs.trimap)
        return trace(refiner, host, patch, torch.float16, try_foreground if colours else None)


def count_foreground(width: int, height: int) -> Trace:
    """What a picture's foreground asks of a GPU. In a process of its own, see `count`."""
    inputs = inputs_of(width, height, 2)
    assert inputs.trimap is not None
    alpha = inputs.trimap.astype(np.float32) / 255

    def run(device: torch.device) -> object:
        return estimate_foreground_on_device(inputs.picture.pixels, alpha, device)

    with pytest.MonkeyPatch.context() as patch:
        read = record_downloads(lambda: run(torch.device("cpu")), patch)
        emulate_cuda(patch)
        return count_calls(lambda: run(CUDA), read, patch)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=["lite", "paper", "ddfe", "foreground"])
    parser.add_argument("--size", default="960x540", help="WIDTHxHEIGHT of the picture")
    parser.add_argument("--ratio", type=int, default=2, help="of a small picture's sides to its prior's")
    parser.add_argument("--colours", action="store_true", help="estimate the foreground's too")
    chosen = parser.parse_args()
    width, height = map(int, chosen.size.split("x"))
    if chosen.network == "foreground":
        counted = count_foreground(width, height)
    else:
        counted = count(chosen.network, width, height, chosen.ratio, chosen.colours)
    parts: Counter[str] = Counter()
    for frames, kernels in counted.frames.items():
        parts[part_of(list(frames))] += kernels
    result = {
        "kernels": sum(counted.kernels.values()),
        "parts": dict(parts.most_common()),
        "waits": dict(counted.waits),
        "uploads": len(counted.uploads),
        "downloads": len(counted.downloads),
        "names": dict(counted.kernels.most_common()),
    }
    json.dump(result, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
