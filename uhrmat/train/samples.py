"""Training samples: a synthetic scene with the errors that the real prior makes on its small copy, cached on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from uhrmat.media import atomic_write
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.train.synth import find_training_data, render_scene


@dataclass(frozen=True)
class Sample:
    """image: (S, S, 3) uint8; alpha: (S, S) float32 in [0, 1]; trimap: (S, S) uint8; priors: (h, w) float32 alphas."""

    image: np.ndarray
    alpha: np.ndarray
    trimap: np.ndarray
    priors: Sequence[np.ndarray]

    def error(self, which: int) -> float:
        """Mean absolute error of a prior over the unknown region, at its own size."""
        shape = self.priors[which].shape
        unknown = area_average((self.trimap == 128).astype(np.float32), shape)
        off = np.abs(area_average(self.alpha, shape) - self.priors[which])
        return float((off * unknown).sum() / max(float(unknown.sum()), 1e-6))


def with_true_priors(sample: Sample) -> Sample:
    """The sample with priors that are right: its true alpha, averaged."""
    return replace(sample, priors=[area_average(sample.alpha, prior.shape[:2]) for prior in sample.priors])


@dataclass(frozen=True)
class SampleView:
    """How a sample shows its subject: side of the scene, range of the subject's size, ranges of scale factors."""

    side: int
    size: tuple[float, float]
    factors: tuple[tuple[float, float], ...]


SAMPLE_VIEWS = (
    SampleView(576, (0.9, 1.3), ((1.0, 1.5), (1.8, 3.0))),
    SampleView(768, (1.2, 2.8), ((2.5, 4.5), (4.5, 9.0))),
)
"""A whole subject close to working size, and a part of an ultra-high-resolution picture."""


def make_sample(seed: int, data: Path | None = None) -> Sample:
    """Render scene `seed` and solve the prior at each scale factor. `data`: clean photographs, see `synth`."""
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


class SeedFiles:
    """Arrays on disk by seed. Files appear whole, so that producers and readers may run side by side."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, seed: int) -> Path:
        return self.folder / f"{seed:06d}.npz"

    def seeds(self) -> list[int]:
        """Seeds that are there."""
        return sorted(int(path.stem) for path in self.folder.glob("[0-9]*.npz"))

    def write(self, seed: int, **arrays: np.ndarray) -> None:
        """Write a seed's file."""
        with atomic_write(self.path(seed)) as part:
            np.savez(part, **arrays)  # type: ignore[arg-type]


class SampleCache(SeedFiles):
    """Samples on disk. data: see `make_sample`."""

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        super().__init__(folder)
        self.data = data

    def make(self, seed: int) -> None:
        """Make and store a sample unless it is there. A scene without unknown pixels is stored too, and never drawn."""
        if self.path(seed).exists():
            return
        sample = make_sample(seed, self.data)
        arrays = {f"prior{i}": prior.astype(np.float16) for i, prior in enumerate(sample.priors)}
        alpha = np.rint(sample.alpha * 65535).astype(np.uint16)
        self.write(seed, image=sample.image, alpha=alpha, trimap=sample.trimap, **arrays)

    def load(self, seed: int) -> Sample:
        with np.load(self.path(seed)) as found:
            priors = [found[name].astype(np.float32) for name in sorted(found.files) if name.startswith("prior")]
            alpha = found["alpha"].astype(np.float32) / 65535
            return Sample(found["image"], alpha, found["trimap"], priors)


def fill_samples(folder: Path, data: Path | None, seeds: Sequence[int]) -> None:
    """Produce samples one after the other; the body of a producer process."""
    cache = SampleCache(folder, data)
    for seed in seeds:
        cache.make(seed)
