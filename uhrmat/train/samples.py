"""Training samples: a synthetic scene with the errors that the real prior makes on its small copy, cached on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.train.cache import SeedFiles
from uhrmat.train.recipe import SceneRecipe
from uhrmat.train.synth import find_training_data, render_scene


@dataclass(frozen=True)
class Sample:
    """A scene with solved priors.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        alpha: (S, S) float32 in [0, 1], exact.
        trimap: (S, S) uint8, 0, 128 or 255.
        priors: low-resolution alphas (h, w) float32 in [0, 1], one for each scale factor.
    """

    image: np.ndarray
    alpha: np.ndarray
    trimap: np.ndarray
    priors: Sequence[np.ndarray]

    def error(self, which: int) -> float:
        """Mean absolute error of prior number `which` over the unknown region, at the prior's own size."""
        shape = self.priors[which].shape
        unknown = area_average((self.trimap == 128).astype(np.float32), shape)
        off = np.abs(area_average(self.alpha, shape) - self.priors[which])
        return float((off * unknown).sum() / max(float(unknown.sum()), 1e-6))


def with_true_priors(sample: Sample) -> Sample:
    """The sample with its true alpha, area-averaged, in place of each prior."""
    return replace(sample, priors=[area_average(sample.alpha, prior.shape[:2]) for prior in sample.priors])


@dataclass(frozen=True)
class SampleView:
    """How a sample shows its subject.

    Attributes:
        side: of the scene, pixels.
        size: range of the subject's size, see `synth.render_scene`.
        factors: ranges of scale factors, full-resolution pixels per pixel of the prior; one prior is solved for each.
    """

    side: int
    size: tuple[float, float]
    factors: tuple[tuple[float, float], ...]


SAMPLE_VIEWS = (
    SampleView(576, (0.9, 1.3), ((1.0, 1.5), (1.8, 3.0))),
    SampleView(768, (1.2, 2.8), ((2.5, 4.5), (4.5, 9.0))),
)
"""A whole subject close to working size, and a part of an ultra-high-resolution picture."""


def make_sample(seed: int, data: Path | None = None) -> Sample:
    """Render scene `seed` and solve the prior at each scale factor.

    Args:
        seed: the same seed and photographs give the same sample.
        data: clean photographs, see `synth.find_training_data`; None for generated scenes only.
    """
    rng = np.random.default_rng([seed, 7])
    view = SAMPLE_VIEWS[seed % len(SAMPLE_VIEWS)]
    backgrounds, subjects = find_training_data(data) if data else (None, None)
    scene = render_scene(
        seed, view.side, view.side, backgrounds=backgrounds, subjects=subjects,
        difficulty=float(rng.uniform(0.2, 0.9)), size=float(rng.uniform(*view.size)),
    )  # fmt: skip
    image = np.rint(np.clip(scene.image, 0, 1) * 255).astype(np.uint8)
    prior = AffinityPrior(CLOSED_FORM_KNN)
    priors = []
    for low, high in view.factors:
        side = round(view.side / float(np.exp(rng.uniform(np.log(low), np.log(high)))))
        small = area_average(image, (side, side), 255)
        priors.append(prior(small, LowResHints(downsample_trimap(scene.trimap, (side, side)))).alpha)
    return Sample(image, scene.alpha, scene.trimap, priors)


class SampleCache(SeedFiles):
    """Samples on disk.

    Args:
        folder: of the cache.
        data: see `make_sample`.
    """

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        super().__init__(folder)
        self.data = data

    def make(self, seed: int) -> None:
        """Make and write a sample unless it exists. A scene without unknown pixels is written too, and never drawn."""
        if self.path(seed).exists():
            return
        sample = make_sample(seed, self.data)
        arrays = {f"prior{i}": prior.astype(np.float16) for i, prior in enumerate(sample.priors)}
        alpha = np.rint(sample.alpha * 65535).astype(np.uint16)
        self.write(seed, image=sample.image, alpha=alpha, trimap=sample.trimap, **arrays)

    def load(self, seed: int) -> Sample:
        """The sample of a seed. Raises InputError for a file of another version."""
        arrays = self.read(seed)
        priors = [arrays[name].astype(np.float32) for name in sorted(arrays) if name.startswith("prior")]
        return Sample(arrays["image"], arrays["alpha"].astype(np.float32) / 65535, arrays["trimap"], priors)


def fill_samples(folder: Path, data: Path | None, seeds: Sequence[int]) -> None:
    """Make the samples of `seeds` one after the other; the body of a process that makes scenes."""
    cache = SampleCache(folder, data)
    for seed in seeds:
        cache.make(seed)


def require_samples(cache: Path, recipe: SceneRecipe) -> None:
    """Raises InputError where a cache holds nothing to train on."""
    if not any(s >= recipe.held_out for s in SampleCache(cache).seeds()):
        raise InputError(f"{cache} holds no training samples.", "Let `uhrmat train` make them, or wait for the first.")
