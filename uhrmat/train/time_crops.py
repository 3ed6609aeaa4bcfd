"""Crops of clips for training what sees time: a window of a few frames in a row, with all that inference sees there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, default_collate

from uhrmat.refine.features import BilinearMaps
from uhrmat.train.clips import STATE, Footage, FootageCache
from uhrmat.train.recipe import TimeRecipe
from uhrmat.train.task import batch_numbers

_TRIES, _KEPT, _FULL = 8, 200, 0.3
_HOPELESS = 0.12
"""Clips whose alphas are off by more than this are left out: what went wrong there lies in the prior."""
Crop = dict[str, Tensor]


class TimeStream(IterableDataset[Crop]):
    """An endless stream of batches (see `build_window` for their keys); number i depends on the cache, the recipe and i
    only."""

    def __init__(self, cache: Path, recipe: TimeRecipe, start: int = 0) -> None:
        self.cache, self.recipe, self.start = cache, recipe, start

    def __iter__(self) -> Iterator[Crop]:
        cache = FootageCache(self.cache)

        @lru_cache(_KEPT)
        def load(seed: int) -> Footage | None:
            footage = cache.load(seed)
            return footage if footage.error < _HOPELESS else None

        for number in batch_numbers(self.start):
            yield self._batch(cache.seeds(), load, np.random.default_rng([self.recipe.seed, number]))

    def _batch(self, seeds: list[int], load: Callable[[int], Footage | None], rng: np.random.Generator) -> Crop:
        seeds = [s for s in seeds if s >= self.recipe.held_out]
        crops: list[Crop] = []
        while len(crops) < self.recipe.batch:
            footage = load(int(rng.choice(seeds)))
            if footage is None:
                continue
            crops += [draw_window(footage, self.recipe, rng) for _ in range(min(2, self.recipe.batch - len(crops)))]
        return default_collate(crops)


def draw_window(footage: Footage, recipe: TimeRecipe, rng: np.random.Generator) -> Crop:
    """A random window with pixels that have a last alpha, or the fullest of a few; turned and with other colours."""
    frames, height, width = footage.true.shape
    best, found = -1.0, (0, 0, 0)
    for _ in range(_TRIES):
        t = int(rng.integers(max(1, frames - recipe.frames)))
        y, x = (int(rng.integers(max(1, n - recipe.side + 1))) for n in (height, width))
        part = footage.state[t + 1 : t + 1 + recipe.frames, y : y + recipe.side, x : x + recipe.side]
        share = float((part & STATE["where"] > 0).mean())
        if share > best:
            best, found = share, (t, y, x)
        if share > _FULL:
            break
    return _turned(build_window(footage, found, recipe.side, recipe.frames, rng), int(rng.integers(8)))


def build_window(
    footage: Footage, place: tuple[int, int, int], side: int, frames: int, rng: np.random.Generator | None = None
) -> Crop:
    """`frames` + 1 frames from (t, y, x) on, the first of which is only looked back at.

    image: (T, s, s, 3) in [0, 1], with `rng` in other colours; alpha, new, rule: (T, s, s); spatial, active, where,
    unknown: (T, s, s) bool; known: (T, s, s, 2); maps: (T, s, s, MAPS); same: (T, s, s) in [0, 1]; noise: (T,);
    scale: full-resolution pixels per small one.
    """
    t, y, x = place
    window = np.s_[t : t + frames + 1, y : y + side, x : x + side]
    image, state = footage.image[window].astype(np.float32) / 255, footage.state[window]
    high, wide = image.shape[1:3]
    size = footage.true.shape[1], footage.true.shape[2]
    ys, xs = torch.meshgrid(torch.arange(y, y + high), torch.arange(x, x + wide), indexing="ij")
    maps = torch.from_numpy(footage.maps[t : t + frames + 1].astype(np.float32))
    bits = {name: torch.from_numpy(state & bit > 0) for name, bit in STATE.items()}
    alphas = {"alpha": footage.true, "new": footage.new, "rule": footage.rule}
    return {
        "image": torch.from_numpy(image if rng is None else _recoloured(image, rng)),
        **{name: torch.from_numpy(a[window].astype(np.float32) / 65535) for name, a in alphas.items()},
        **{name: bits[name] for name in ("spatial", "active", "where")},
        "unknown": ~(bits["foreground"] | bits["background"]),
        "known": torch.stack([bits["foreground"], bits["background"]], -1).float(),
        "maps": torch.stack([BilinearMaps(m, size)(ys, xs) for m in maps]),
        "same": torch.from_numpy(footage.same[window].astype(np.float32) / 255),
        "noise": torch.from_numpy(footage.noise[t : t + frames + 1]),
        "scale": torch.tensor(size[0] / maps.shape[1], dtype=torch.float32),
    }


def held_out_crops(cache: FootageCache, recipe: TimeRecipe) -> list[Crop]:
    """The middle of each held-out clip, four times as large as a training crop, over all of its frames."""
    crops = []
    for seed in (s for s in cache.seeds() if s < recipe.held_out):
        footage = cache.load(seed)
        if footage.error >= _HOPELESS:
            continue
        frames, height, width = footage.true.shape
        side = min(2 * recipe.side, height, width)
        crops.append(build_window(footage, (0, (height - side) // 2, (width - side) // 2), side, frames - 1))
    return crops


def _recoloured(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Permuted channels with a random gain."""
    gain = rng.uniform(0.8, 1.1, 3).astype(np.float32)
    return np.clip(image[..., rng.permutation(3)] * gain, 0, 1)


def _turned(crop: Crop, turn: int) -> Crop:
    """One of the eight orientations, applied to every map, and to the motion."""
    found = {}
    for name, x in crop.items():
        if x.ndim < 3:
            found[name] = x
            continue
        x = x.transpose(1, 2) if turn & 1 else x
        flips = [axis for bit, axis in ((2, 2), (4, 1)) if turn & bit]
        found[name] = (x.flip(flips) if flips else x).contiguous()
    along, down, *rest = found["maps"].unbind(-1)
    if turn & 1:
        along, down = down, along
    along, down = -along if turn & 2 else along, -down if turn & 4 else down
    found["maps"] = torch.stack([along, down, *rest], -1)
    return found
