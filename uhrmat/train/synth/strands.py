"""Strands: smooth curves grown step by step, gathered in clumps, turned into tapering ribbons."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from uhrmat.train.synth.noise import curves
from uhrmat.train.synth.stage import Points

_DRAWN_TOO_WIDE = 0.25
"""OpenCV's fill includes the outline: half a sub-pixel on either side."""


@dataclass(frozen=True)
class Growth:
    """How a strand bends: towards `pull` (radians) with `weight`, wandering, and waving `turns` times per length."""

    pull: float = np.pi / 2
    weight: float = 1.0
    wander: float = 0.4
    wave: float = 0.0
    turns: float = 3.0
    steps: int = 28


def grow(
    rng: np.random.Generator, roots: Points, angles: NDArray[np.floating], lengths: NDArray[np.floating], how: Growth
) -> Points:
    """Curves (N, steps, 2) from roots (N, 2), start angles (N,) in radians and lengths (N,) in pixels."""
    count = len(roots)
    drift = curves(rng, count, how.steps) * how.wander
    phase = rng.uniform(0, 2 * np.pi, count)
    rate = how.turns * rng.uniform(0.7, 1.4, count) * 2 * np.pi / how.steps
    theta, here = np.array(angles, float), np.array(roots, float)
    path = [here.copy()]
    stride = np.asarray(lengths, float) / (how.steps - 1)
    for t in range(how.steps - 1):
        theta = theta + how.weight / how.steps * np.sin(how.pull - theta)
        rise = min(1.0, t / 6)
        heading = theta + drift[:, t] * rise + how.wave * rise * np.sin(rate * t + phase)
        here = here + stride[:, None] * np.stack([np.cos(heading), np.sin(heading)], 1)
        path.append(here)
    return np.stack(path, 1)


def clump(
    rng: np.random.Generator, guides: Points, per: int, *, spread: float, close: float, tip: float, frizz: float
) -> tuple[Points, NDArray[np.intp]]:
    """`per` strands around each guide (G, T, 2) and the guide's index for each.

    They start within `spread` pixels, come together by the share `close` in the middle, part again by `tip` (of spread)
    at the end and stray by `frizz` of their length.
    """
    owner = np.repeat(np.arange(len(guides)), per)
    count, steps = len(owner), guides.shape[1]
    t = np.linspace(0, 1, steps)
    at = t[None] * rng.uniform(0.55, 1.0, count)[:, None] * (steps - 1)
    left = np.minimum(at.astype(int), steps - 2)
    part = (at - left)[..., None]
    rows = owner[:, None]
    paths = guides[rows, left] * (1 - part) + guides[rows, left + 1] * part
    gather = 1 - close * np.minimum(1, 2.2 * t) + tip * t**3
    offset = rng.normal(0, spread, (count, 1, 2))
    length = np.linalg.norm(guides[:, -1] - guides[:, 0], axis=1)[owner]
    stray = np.stack([curves(rng, count, steps, 6), curves(rng, count, steps, 6)], 2)
    reach = (frizz * length * rng.exponential(1.0, count))[:, None, None] * (t**1.3)[None, :, None]
    return paths + offset * gather[None, :, None] + stray * reach, owner


def ribbons(
    paths: Points, widths: NDArray[np.floating], *, taper: float = 0.85, power: float = 1.5, base: float = 0.0
) -> Points:
    """Closed polygons (N, 2T, 2) around curves (N, T, 2), `widths` (N,) wide at the root, narrowing to the tip.

    `base` > 0 narrows the root as well (blades, barbs).
    """
    step = np.gradient(paths, axis=1)
    normal = np.stack([-step[..., 1], step[..., 0]], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    t = np.linspace(0, 1, paths.shape[1])
    profile = (1 - taper * t**power) * (1 - base * (1 - t) ** 4)
    half = np.maximum(np.asarray(widths, float)[:, None] * profile - _DRAWN_TOO_WIDE, 0.02)[..., None] / 2
    return np.concatenate([paths + normal * half, (paths - normal * half)[:, ::-1]], 1)


def split_ribbons(outlines: Points, number: int) -> list[Points]:
    """Cut ribbons into `number` consecutive parts that share their ends, so that colour can change along them."""
    steps = outlines.shape[1] // 2
    left, right = outlines[:, :steps], outlines[:, steps:][:, ::-1]
    cuts = np.linspace(0, steps - 1, number + 1).astype(int)
    return [np.concatenate([left[:, a : b + 1], right[:, a : b + 1][:, ::-1]], 1) for a, b in pairwise(cuts.tolist())]
