"""Scenes at working size with a drawn trimap and the affinity prior's alpha, cached on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.train.cache import SeedFiles
from uhrmat.train.synth import find_training_data, render_scene
from uhrmat.train.synth.scene import Scene
from uhrmat.train.trimap.cutouts import find_cutouts

Pairs = Sequence[tuple[Path, Path]]


@dataclass(frozen=True, kw_only=True)
class TrimapSceneParams:
    """What scenes are made of. None is tuned.

    Attributes:
        side: of a scene, pixels.
        matte_share, cutout_share: of scenes with a subject that has a matte, and with one that was cut out; the rest is
            generated.
        scales: by which a scene is rendered larger, and then averaged; cut-outs are small and are not.
        difficulty, size: ranges, see `synth.render_scene`.
        unknown: least and largest share of unknown pixels of scenes that are kept.
        places: how often each photograph of a place counts as a background against one of photos_free.
        attempts: scenes that are rendered for a seed until one is kept.
    """

    side: int = 576
    matte_share: float = 0.35
    cutout_share: float = 0.25
    scales: tuple[float, ...] = (1.0, 1.0, 1.5, 2.0)
    difficulty: tuple[float, float] = (0.1, 0.9)
    size: tuple[float, float] = (0.8, 1.6)
    unknown: tuple[float, float] = (0.01, 0.5)
    places: int = 12
    attempts: int = 8


TRIMAP_SCENES = TrimapSceneParams()


@dataclass(frozen=True)
class Material:
    """Photographs that scenes are made of.

    Attributes:
        backgrounds: pictures.
        mattes: pictures and alphas.
        cutouts: pictures and alphas, of lower resolution.
    """

    backgrounds: Sequence[Path]
    mattes: Pairs
    cutouts: Pairs

    @classmethod
    def of(cls, data: Path, cutouts: Path, params: TrimapSceneParams = TRIMAP_SCENES) -> Material:
        """The material of the folder `data` (see `synth.find_training_data`) with the cut-outs of another folder."""
        places, mattes = find_training_data(data)
        free = [path for name in ("photos_free", "photos_masked") for path in sorted((data / name).rglob("*.jpg"))]
        return cls([*places * params.places, *free], mattes, find_cutouts(cutouts))


@dataclass(frozen=True, kw_only=True)
class TrimapScene:
    """A scene of side S.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        alpha: (S, S) float32 in [0, 1], exact.
        trimap: (S, S) uint8 {0, 128, 255}.
        closed: (S, S) float32 in [0, 1], the affinity prior's alpha.
    """

    image: np.ndarray
    alpha: np.ndarray
    trimap: np.ndarray
    closed: np.ndarray

    @cached_property
    def error(self) -> float:
        """Mean absolute error of the prior over the unknown pixels."""
        return float(np.abs(self.closed - self.alpha)[self.trimap == 128].mean())


def make_scene(seed: int, material: Material, params: TrimapSceneParams = TRIMAP_SCENES) -> TrimapScene:
    """Render scene `seed`, draw its trimap and solve the prior. The same seed and material give the same scene.

    Raises:
        RuntimeError: no scene of this seed has unknown pixels, and known ones of both sides.
    """
    for attempt in range(params.attempts):
        rng = np.random.default_rng([seed, attempt, 77])
        scene = _reduced(*_render(rng, material, params), params.side)
        share = float((scene[1] == 128).mean())
        if params.unknown[0] <= share <= params.unknown[1] and (scene[1] == 0).any() and (scene[1] == 255).any():
            break
    else:
        raise RuntimeError(f"No scene of seed {seed} can be used.")
    image, trimap, alpha = scene
    closed = AffinityPrior(CLOSED_FORM_KNN)(image.astype(np.float32) / 255, LowResHints(trimap)).alpha
    return TrimapScene(image=image, alpha=alpha, trimap=trimap, closed=closed)


def _render(rng: np.random.Generator, material: Material, params: TrimapSceneParams) -> tuple[Scene, float]:
    """A scene and how much larger than wanted it is."""
    pick, scale = rng.random(), float(rng.choice(params.scales))
    matte = pick < params.matte_share and len(material.mattes) > 0
    cutout = not matte and pick < params.matte_share + params.cutout_share and len(material.cutouts) > 0
    scale = 1.0 if cutout else scale
    side = round(params.side * scale)
    scene = render_scene(
        int(rng.integers(2**31)), side, side, kind="pair" if matte or cutout else None,
        backgrounds=material.backgrounds, subjects=material.mattes if matte else material.cutouts if cutout else None,
        difficulty=float(rng.uniform(*params.difficulty)), size=float(rng.uniform(*params.size)),
    )  # fmt: skip
    return scene, scale


def _reduced(scene: Scene, scale: float, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Image, trimap and alpha at the wanted size."""
    image = np.rint(np.clip(scene.image, 0, 1) * 255).astype(np.uint8)
    if scale == 1:
        return image, scene.trimap, scene.alpha
    shape = (side, side)
    small = np.rint(area_average(image, shape, 255) * 255).astype(np.uint8)
    return small, downsample_trimap(scene.trimap, shape), area_average(scene.alpha, shape)


class TrimapSceneCache(SeedFiles):
    """Scenes on disk."""

    def make(self, seed: int, material: Material, params: TrimapSceneParams = TRIMAP_SCENES) -> None:
        """Make and write a scene unless it exists."""
        if self.path(seed).exists():
            return
        scene = make_scene(seed, material, params)
        alpha = np.rint(scene.alpha * 65535).astype(np.uint16)
        self.write(seed, image=scene.image, alpha=alpha, trimap=scene.trimap, closed=scene.closed.astype(np.float16))

    def load(self, seed: int) -> TrimapScene:
        """The scene of a seed. Raises InputError for a file of another version."""
        arrays = self.read(seed)
        alpha, closed = arrays["alpha"].astype(np.float32) / 65535, arrays["closed"].astype(np.float32)
        return TrimapScene(image=arrays["image"], alpha=alpha, trimap=arrays["trimap"], closed=closed)


def fill_scenes(folder: Path, data: Path, cutouts: Path, seeds: Sequence[int]) -> None:
    """Make the scenes of `seeds` one after the other; the body of a process that makes scenes."""
    cache, material = TrimapSceneCache(folder), Material.of(data, cutouts)
    for seed in seeds:
        cache.make(seed, material)
