"""How a new alpha is joined with the last one: by the rule of `standing`, and by a network that starts from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.devices import pick_precision
from uhrmat.pipeline import StillPipeline
from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.memory.parts import CELL, count_cells, cut, refine_parts
from uhrmat.refine.memory.windows import Read, on_windows
from uhrmat.refine.refiner import RefineInput
from uhrmat.refine.time import MAPS, TimeNet, assemble, between, load_time, reach
from uhrmat.sparse import ENGINES
from uhrmat.video.standing import STIRS, average, movement, steady, stir, weight

_CELLS = (1 << 18) // CELL**2
"""Cells with active pixels in one part: about 60 MB of features, whatever the picture's size."""


@dataclass(frozen=True)
class Moment:
    """A frame and the one before it, when the frame has been refined and not yet been joined.

    now, before: their jobs, of one size (H, W); last: (H, W) float32, the last alpha; where: (H, W) bool, pixels
    computed now that have a last alpha of this shot; noise: standard deviation in [0, 1].
    """

    now: RefineInput
    before: RefineInput
    last: np.ndarray
    where: np.ndarray
    noise: float


Blend = Callable[[Moment, np.ndarray], None]
"""Draws the alpha (H, W) of a moment towards the last one, in place, at the pixels `where`."""


def by_rule(moment: Moment, alpha: np.ndarray) -> None:
    """The mean where the subject stands, see `standing`."""
    _by_rule(moment, alpha, lambda: movement(*_seen(moment))[..., 2], _stirred(moment), same_colours(moment))


def _by_rule(
    moment: Moment, alpha: np.ndarray, motion: Callable[[], np.ndarray], stirred: np.ndarray, same: np.ndarray
) -> None:
    """motion: lengths of `movement`, asked for only where they count; stirred: of `stir`; same: `same_colours`."""
    length = np.zeros_like(stirred)
    if stirred.max() > STIRS / 3:  # else the motion would count for less than a twenty-fifth
        length = alpha.shape[0] / len(stirred) * motion()
    average(alpha, moment.last, moment.where, length, stirred, same)


def same_colours(moment: Moment) -> np.ndarray:
    """(H, W) uint8, see `standing.steady`."""
    return steady(moment.now.picture, moment.before.picture, moment.noise, moment.where)


def small_maps(moment: Moment) -> np.ndarray:
    """(h, w, MAPS) float32, see `refine.time.MAPS`."""
    found = np.dstack([movement(*_seen(moment)), _stirred(moment), moment.now.prior])
    assert found.shape[2] == MAPS
    return found


def _seen(moment: Moment) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return moment.before.small, moment.now.small, moment.now.prior


def _stirred(moment: Moment) -> np.ndarray:
    """See `standing.stir`."""
    present = np.maximum(moment.before.prior, moment.now.prior)
    scale = moment.now.size[0] / len(moment.now.small)
    return stir(moment.before.small, moment.now.small, present, moment.noise / scale)


def make_blend(weights: str | None, matter: StillPipeline) -> Blend:
    """The rule, or with `weights`, see `refine.time.load_time`, the network that starts from it, with the refiner's
    engine and arithmetic."""
    if weights is None:
        return by_rule
    engine = matter.refiner.engine if matter.refiner.engine in ENGINES else "auto"
    return TimeBlend(load_time(weights), engine, pick_precision(matter.precision, matter.device)[1], matter.device)


class TimeBlend:
    """A trained network on what the rule made. engine: see `sparse.ENGINES`; dtype: of its arithmetic."""

    def __init__(self, net: TimeNet, engine: str, dtype: torch.dtype, device: str) -> None:
        self.net, self.dtype, self.device = net.to(device).eval(), dtype, torch.device(device)
        self.engine = engine

    def __call__(self, moment: Moment, alpha: np.ndarray) -> None:
        maps, same = small_maps(moment), same_colours(moment)
        features = self._features(moment, alpha.copy(), maps, same)
        _by_rule(moment, alpha, lambda: maps[..., 2], maps[..., 3], same)
        size = alpha.shape[0], alpha.shape[1]
        cells = count_cells(moment.where)
        parts = cut(cells, size, reach(self.net), lambda window: int(np.count_nonzero(window)) <= _CELLS)
        run = on_windows(self.engine, self.dtype, self.device, moment.where, alpha, features, self.net, add=True)
        refine_parts(run, moment.where, alpha, list(parts))

    def _features(self, moment: Moment, new: np.ndarray, small: np.ndarray, same: np.ndarray) -> Read:
        """What the network sees at a place, as a function of (ys, xs). new: the alpha that was refined."""
        size, width = new.shape, new.shape[1]
        maps = BilinearMaps(torch.from_numpy(small).to(self.device), (size[0], size[1]))
        assert moment.now.trimap is not None
        fresh, last, settled, alike = (
            torch.from_numpy(x).reshape(-1) for x in (new, moment.last, moment.now.trimap, same)
        )
        now, before = PictureColours(moment.now.picture), PictureColours(moment.before.picture)
        scale = size[0] / small.shape[0]

        def earlier(ys: Tensor, xs: Tensor) -> Tensor:
            index = ys * width + xs
            return torch.cat([_take(last, index)[..., None], before(index)], -1)

        def features(ys: Tensor, xs: Tensor) -> Tensor:
            index, local = ys * width + xs, maps(ys, xs)
            known = _take(settled, index)
            here = earlier(ys, xs)
            there = between(earlier, (size[0], size[1]), ys + scale * local[..., 1], xs + scale * local[..., 0])
            alphas = torch.cat([_take(fresh, index)[..., None].clamp(0, 1), here[..., :1], there[..., :1]], -1)
            colours = torch.cat([now(index), here[..., 1:], there[..., 1:]], -1)
            step = alphas[..., 1:2] - alphas[..., :1]
            kept = weight_of(step, local, _take(alike, index)[..., None] / 255, scale)
            sure = torch.stack([known == 255, known == 0], -1).float()
            return assemble(alphas, kept, colours, local, sure, scale, moment.noise)

        return features


def weight_of(step: Tensor, maps: Tensor, same: Tensor, scale: Tensor | float) -> Tensor:
    """What the last alpha weighs by the rule, see `standing.weight`. maps: (..., MAPS), see `small_maps`; same:
    (..., 1) in [0, 1]; scale: full-resolution pixels per small one."""
    return weight(step, scale * maps[..., 2:3], maps[..., 3:4], same)


def _take(rows: Tensor, index: Tensor) -> Tensor:
    return rows.index_select(0, index.flatten().to(rows.device)).view(index.shape).to(index.device)
