"""Training clips for what sees time: synthetic ones as the real pipeline mattes them, before old and new are joined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from uhrmat.hints.read import Hints
from uhrmat.media import Picture
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import working_shape
from uhrmat.refine.time import MAPS
from uhrmat.sparsity.spatial import trimap_band
from uhrmat.train.samples import SeedFiles
from uhrmat.train.synth import find_training_data
from uhrmat.train.synth.clip import ClipRecipe, render_clip
from uhrmat.video.blend import Moment, by_rule, same_colours, small_maps
from uhrmat.video.frames import ClipPipeline

FRAMES = 7
_SIDES = (190, 280)
"""Heights of clips."""
_SCALES = (1.5, 3.5)
"""Full-resolution pixels per pixel of the prior."""
_KINDS = {"hair": 0.55, "fur": 0.2, "lace": 0.1, "leaves": 0.05, "solid": 0.05, "dof": 0.05}
_APART = 4
"""Every so-manieth photograph is only behind clips that are held out."""


@dataclass(frozen=True)
class Footage:
    """T frames of (H, W). image: (T, H, W, 3) uint8; true, new, rule: (T, H, W) uint16, the exact alpha, the refiner's
    and what the rule made of the clip; state: (T, H, W) uint8, bits of `STATE`; same: (T, H, W) uint8, see
    `standing.steady`; maps: (T, h, w, MAPS) float16; noise: (T,) float32."""

    image: np.ndarray
    true: np.ndarray
    new: np.ndarray
    rule: np.ndarray
    state: np.ndarray
    same: np.ndarray
    maps: np.ndarray
    noise: np.ndarray

    @property
    def error(self) -> float:
        """Mean absolute error of the rule over the unknown region."""
        unknown = (self.state & (STATE["foreground"] | STATE["background"])) == 0
        return (
            float(np.abs(self.rule[unknown] / 65535.0 - self.true[unknown] / 65535.0).mean()) if unknown.any() else 0.0
        )


STATE = {"foreground": 1, "background": 2, "spatial": 4, "active": 8, "where": 16}
"""Settled as foreground or background; M_s; M; what has a last alpha."""


def clip_recipe(seed: int, held_out: bool, backgrounds: Sequence[Path] = ()) -> ClipRecipe:
    """What clip number `seed` shows."""
    rng = np.random.default_rng([seed, 51])
    height = int(rng.integers(*_SIDES)) // 2 * 2
    width = int(height * rng.uniform(1.2, 1.6)) // 2 * 2
    photos = [p for i, p in enumerate(backgrounds) if (i % _APART == 0) == held_out]
    event = rng.random()
    fade = (int(rng.integers(0, 3)), FRAMES - 1) if event < 0.15 else None
    cut = int(rng.integers(2, FRAMES - 2)) if 0.15 <= event < 0.2 else None
    return ClipRecipe(
        height, width, FRAMES, seed=10_000 + 2 * seed, kind=str(rng.choice(list(_KINDS), p=list(_KINDS.values()))),
        gust=float(rng.choice([0.3, 1.0, 1.0]) * height / 108 * rng.uniform(0.3, 1.6)),
        sway=float(rng.choice([0.0, 0.0, rng.uniform(1, 8)])),
        pan=float(rng.choice([0.0, rng.uniform(0.2, 4)])), noise=float(rng.choice([0.0, 1.0, 2.0, 2.0, 4.0])),
        cut=cut, fade=fade, fade_to=float(rng.uniform(0.8, 0.95)), margin=float(rng.uniform(0.005, 0.025)),
        period=float(rng.uniform(14, 40)), backgrounds=photos if rng.random() < 0.75 else (),
    )  # fmt: skip


class _Record:
    """The rule, which keeps what it saw."""

    def __init__(self) -> None:
        self.found: tuple[Moment, np.ndarray] | None = None

    def __call__(self, moment: Moment, alpha: np.ndarray) -> None:
        self.found = moment, alpha.copy()
        by_rule(moment, alpha)


@cache
def _matter() -> StillPipeline:
    return StillPipeline()


def make_footage(recipe: ClipRecipe, scale: float, matter: StillPipeline | None = None) -> Footage:
    """A clip matted with a trimap of each frame, its prior `scale` times smaller than the picture."""
    matter = matter or _matter()
    matter.working_size = round(recipe.height / scale)
    shape = working_shape(recipe.height, recipe.width, matter.working_size)
    record = _Record()
    clip, rows = ClipPipeline(matter, blend=record), list[dict[str, np.ndarray]]()
    for frame in render_clip(recipe):
        record.found = None
        matte = clip.frame(Picture.from_array(frame.image), frame.number, Hints(trimap=frame.trimap), foreground=False)
        parts = {
            "foreground": frame.trimap == 255, "background": frame.trimap == 0, "active": matte.active,
            "spatial": trimap_band(frame.trimap),
        }  # fmt: skip
        new, maps, same = matte.alpha, np.zeros((*shape, MAPS), np.float32), np.zeros(matte.alpha.shape, np.uint8)
        if record.found is not None:
            moment, new = record.found
            parts["where"], maps, same = moment.where, small_maps(moment), same_colours(moment)
        alphas = {"true": frame.alpha, "new": new, "rule": matte.alpha}
        state = np.sum([STATE[name] * part for name, part in parts.items()], 0)
        rows.append({
            "image": frame.image, "state": state.astype(np.uint8), "same": same, "maps": maps.astype(np.float16),
            "noise": np.array(matte.stats.noise, np.float32), **{k: _stored(x) for k, x in alphas.items()},
        })  # fmt: skip
    return Footage(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def _stored(alpha: np.ndarray) -> np.ndarray:
    return np.rint(alpha.clip(0, 1) * 65535).astype(np.uint16)


class FootageCache(SeedFiles):
    """Clips on disk."""

    def store(self, seed: int, footage: Footage) -> None:
        self.write(seed, **vars(footage))

    def load(self, seed: int) -> Footage:
        with np.load(self.path(seed)) as found:
            return Footage(**{name: found[name] for name in found.files})


def fill_clips(folder: Path, data: Path | None, seeds: Sequence[int], held_out: int) -> None:
    """Make clips one after the other; the body of a producer process. held_out: seeds below it show other photographs
    than the rest."""
    cache = FootageCache(folder)
    backgrounds = find_training_data(data)[0] if data else []
    for seed in seeds:
        if not cache.path(seed).exists():
            rng = np.random.default_rng([seed, 52])
            scale = float(np.exp(rng.uniform(*np.log(_SCALES))))
            cache.store(seed, make_footage(clip_recipe(seed, seed < held_out, backgrounds), scale))
