"""Subjects made of other subjects: in motion, or several in one picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from uhrmat.train.synth.canvas import FINE, blank, convolve, mask_of, over
from uhrmat.train.synth.kinds.feather import feathers
from uhrmat.train.synth.kinds.fur import fur
from uhrmat.train.synth.kinds.hair import hair
from uhrmat.train.synth.kinds.plants import leaves
from uhrmat.train.synth.kinds.solid import holes, solid
from uhrmat.train.synth.stage import Floats, Stage
from uhrmat.train.synth.strands import Growth, grow, ribbons

_PARTS: tuple[Callable[[Stage], Floats], ...] = (solid, hair, fur, leaves, holes, feathers)


def motion(stage: Stage) -> Floats:
    """Another subject that moved along a slightly bent path while the shutter was open."""
    part = _PARTS[int(stage.rng.integers(len(_PARTS)))]
    length = stage.side * float(np.exp(stage.rng.uniform(np.log(0.006), np.log(0.05))))
    return convolve(part(stage), path_kernel(stage, max(2.0, length)))


def path_kernel(stage: Stage, length: float) -> Floats:
    """Normalised kernel of a path `length` pixels long, about a pixel wide."""
    size = int(length / 2 + 2) * 2 + 1
    bend = Growth(float(stage.rng.uniform(0, 2 * np.pi)), stage.rng.uniform(0, 1.2), 0.1, 0.0, 1.0, 24)
    path = grow(stage.rng, np.zeros((1, 2)), stage.rng.uniform(0, 2 * np.pi, 1), np.array([length]), bend)
    path += size / 2 - (path.min(1, keepdims=True) + path.max(1, keepdims=True)) / 2
    kernel = mask_of(size, size, list(ribbons(path, np.array([1.0 + 1 / FINE]), taper=0.0)))
    return np.asarray(kernel / kernel.sum(), np.float32)


def several(stage: Stage) -> Floats:
    """Two to four smaller subjects of different kinds, near and behind one another."""
    layer = blank(*stage.shape)
    for _ in range(int(stage.rng.integers(2, 5))):
        x, y = stage.rng.uniform(0.2, 0.8, 2).tolist()
        small = replace(stage, size=stage.size * stage.rng.uniform(0.3, 0.65), middle=(x, y))
        over(layer, _PARTS[int(stage.rng.integers(len(_PARTS)))](small))
    return layer
