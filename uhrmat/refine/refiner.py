"""Refiners behind one protocol: each fills the active pixels of an alpha that already holds the upsampled prior."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError
from uhrmat.hub import resolve
from uhrmat.hub.tensors import load_into, load_tensors
from uhrmat.media import Picture
from uhrmat.refine.features import ColourLineFeatures, PictureColours, context_maps
from uhrmat.refine.means import restore_prior_mean
from uhrmat.refine.memory.parts import Run
from uhrmat.refine.memory.windows import SparseRefiner, whole
from uhrmat.refine.shm.network import SHM, SIZES, VARIANTS, reach
from uhrmat.sparse import Engine, Feat

REFINERS = ("shm", "ddfe", "projection", "guided", "bilinear")


@dataclass(frozen=True)
class RefineInput:
    """One picture at one scale. small: (h, w, 3) float32 in [0, 1]; prior: (h, w) float32; trimap: (H, W) uint8 or
    None; active: (H, W) bool."""

    picture: Picture
    small: np.ndarray
    prior: np.ndarray
    trimap: np.ndarray | None
    active: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        return self.picture.height, self.picture.width


class Refiner(Protocol):
    """name: of the method; engine: of its convolutions, or what stands in their place."""

    name: str
    engine: str

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        """Writes the active pixels of `alpha`, (H, W) float32, in place; values may leave [0, 1] by a little."""


class SHMRefiner(SparseRefiner[SHM]):
    """The sparse high-resolution module with trained weights, of either size.

    weights: see `load_shm`; the rest as for `SparseRefiner`. Raises WeightsError where the weights are missing or of
    another network.
    """

    def __init__(self, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> None:
        net = load_shm(weights)
        super().__init__(net, reach(net.config), net.size, engine, dtype, device)
        self.name = f"shm-{net.size}"

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        self.prepared(job, alpha)(whole(job.size))
        self.finish(job, alpha)

    def finish(self, job: RefineInput, alpha: np.ndarray) -> None:
        """See `means.restore_prior_mean`."""
        restore_prior_mean(alpha, job.active, job.trimap, job.prior)

    @torch.inference_mode()
    def prepared(self, job: RefineInput, alpha: np.ndarray) -> Run:
        """What refines the active pixels in a window of the job: colour maps and gates are made here, once."""
        features = ColourLineFeatures(
            PictureColours(job.picture), job.size, job.small, job.prior, job.trimap, alpha, self.device,
            self.net.config.line,
        )  # fmt: skip
        small, prior = (context_maps(x)[None].to(self.device) for x in (job.small, job.prior[..., None]))
        gates, config = self.net.gates(small, prior), self.net.config

        def read(ys: Tensor, xs: Tensor) -> Tensor:
            return features(ys, xs)[..., : config.inputs]

        def answer(engine: Engine, seen: Feat) -> Feat:
            found = self.net.gated(engine, seen, gates)
            assert isinstance(found, Feat)
            return Feat(found.data * features.trust, 0) if config.residual else found

        return self.on_windows(job.active, alpha, read, answer, add=config.residual)


class ProjectionRefiner:
    """The colour-line projection alone: nothing learned."""

    name, engine = "projection", "none"

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        features = ColourLineFeatures(PictureColours(job.picture), job.size, job.small, job.prior, job.trimap, alpha)
        features.trust = 1.0
        for ys, xs in active_coordinates(job.active):
            features(ys, xs)


class BilinearRefiner:
    """The upsampled prior as it is."""

    name, engine = "bilinear", "none"

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        del job, alpha


def active_coordinates(active: np.ndarray, step: int = 1 << 18) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Coordinates (ys, xs) of the active pixels, int64, from about `step` pixels of the picture at a time."""
    rows = max(1, step // active.shape[1])
    for top in range(0, len(active), rows):
        ys, xs = np.nonzero(active[top : top + rows])
        if len(ys):
            yield torch.from_numpy(ys + top), torch.from_numpy(xs)


def load_shm(weights: str | None) -> SHM:
    """SHM with trained weights: whatever `hub.resolve` understands, default the bundled shm-lite."""
    path = resolve(weights or "shm-lite", suffixes=(".safetensors",)).path
    tensors, metadata = load_tensors(path)
    size = metadata.get("size", "lite")
    net = SHM(size if size in SIZES | VARIANTS else "lite")
    return load_into(net, tensors, path, f"SHM {net.size}", "uhrmat train shm")


def make_refiner(name: str, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> Refiner:
    """A refiner by name, one of REFINERS. Raises InputError for another one."""
    if name == "shm":
        return SHMRefiner(weights, engine, dtype, device)
    if name == "ddfe":
        from uhrmat.refine.ddfe.refiner import DDFERefiner

        return DDFERefiner(weights, engine, dtype, device)
    if name == "guided":
        from uhrmat.refine.guided import GuidedRefiner

        return GuidedRefiner()
    simple: dict[str, type[ProjectionRefiner] | type[BilinearRefiner]] = {
        "projection": ProjectionRefiner,
        "bilinear": BilinearRefiner,
    }
    if name not in simple:
        raise InputError(f"There is no refiner called {name!r}.", f"Choose one of {', '.join(REFINERS)}.")
    return simple[name]()
