"""DDFE as a refiner: one step is divisible into parts like SHM's, and the pyramid climbs by such steps."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uhrmat.hub import resolve
from uhrmat.hub.tensors import load_into, load_tensors
from uhrmat.media import Picture
from uhrmat.refine.colorline import estimate_smooth_colours
from uhrmat.refine.ddfe.network import DDFE, SIZES, assemble_features, reach
from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.linear import guided_coefficients
from uhrmat.refine.means import restore_prior_mean
from uhrmat.refine.memory.parts import Run
from uhrmat.refine.memory.windows import Read, SparseRefiner, whole
from uhrmat.refine.pyramid import PyramidLevel, RefineLevel, refine_pyramid
from uhrmat.refine.refiner import RefineInput


class DDFERefiner(SparseRefiner[DDFE]):
    """DDFE with trained weights, as a pyramid.

    weights: see `load_ddfe`; the rest as for `SparseRefiner`, the cost for one step. Raises WeightsError where the
    weights are missing or of another network.
    """

    name = "ddfe"

    def __init__(self, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> None:
        net = load_ddfe(weights)
        super().__init__(net, reach(net.config), f"ddfe-{net.size}", engine, dtype, device)

    def refine(self, job: RefineInput, alpha: np.ndarray) -> None:
        self.refine_pyramid(job, alpha, lambda level, found: self.prepared(level, found)(whole(level.size)))

    def refine_pyramid(self, job: RefineInput, alpha: np.ndarray, attempt: RefineLevel) -> np.ndarray:
        """All levels from the working size to full resolution, then `means.restore_prior_mean`."""
        refined = refine_pyramid(job, alpha, attempt, self._maps(job))
        restore_prior_mean(alpha, job.active, job.trimap, job.prior)
        return refined

    @torch.inference_mode()
    def prepared(self, job: RefineInput, alpha: np.ndarray) -> Run:
        """What refines the active pixels in a window of one step."""
        return self.on_windows(
            job.active, alpha, self._features(job), lambda engine, seen: self.net(engine, seen)[0], add=True
        )

    def _features(self, job: RefineInput) -> Read:
        level = job if isinstance(job, PyramidLevel) else PyramidLevel(**vars(job), maps=self._maps(job))
        size, width = job.size, job.size[1]
        colours = PictureColours(job.picture)
        low = read_low(level, self.device)
        prior = BilinearMaps(torch.from_numpy(job.prior)[..., None].to(self.device), size)
        maps = None if level.maps is None else BilinearMaps(torch.from_numpy(level.maps).to(self.device), size)
        trimap = None if job.trimap is None else torch.from_numpy(job.trimap).reshape(-1)
        factor = size[0] / job.prior.shape[0]

        def features(ys: Tensor, xs: Tensor) -> Tensor:
            index = ys * width + xs
            known = _known(trimap, index)
            found = None if maps is None else maps(ys, xs)
            return assemble_features(colours(index), low(ys, xs), prior(ys, xs), known, found, factor)

        return features

    def _maps(self, job: RefineInput) -> np.ndarray | None:
        return line_maps(job.small, job.prior) if self.net.config.weighs else None


def _known(trimap: Tensor | None, index: Tensor) -> Tensor:
    """(..., 2): 1 where foreground or background is known."""
    if trimap is None:
        return torch.zeros(*index.shape, 2, device=index.device)
    found = trimap.index_select(0, index.flatten().to(trimap.device)).view(index.shape).to(index.device)
    return torch.stack([found == 255, found == 0], -1).float()


def line_maps(small: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """(h, w, 10) float32 at working size: smooth colours of foreground (3) and background (3), the guided filter's
    a (3) and b.

    small: (h, w, 3) in [0, 1]; prior: (h, w).
    """
    planes = torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(prior)[None, None]
    colours = [c[0].permute(1, 2, 0).numpy() for c in estimate_smooth_colours(*planes)]
    return np.concatenate([*colours, guided_coefficients(small, prior)], -1)


def read_low(level: PyramidLevel, device: torch.device) -> Read:
    """`fn(ys, xs)`: colours of the coarser picture of a step, enlarged bilinearly, (..., 3) in [0, 1]."""
    if level.low is None:
        return BilinearMaps(torch.from_numpy(level.small).to(device), level.size)
    return BilinearPicture(level.low, level.size)


class BilinearPicture(BilinearMaps):
    """A picture in its stored type, read like `BilinearMaps`: only what is read becomes float32."""

    def __init__(self, picture: Picture, size: tuple[int, int]) -> None:
        self.colours = PictureColours(picture)
        self.shape = torch.Size((picture.height, picture.width))
        self.step = (picture.height / size[0], picture.width / size[1])
        self.origin = (0.0, 0.0)

    def _take(self, index: Tensor) -> Tensor:
        return self.colours(index)


def load_ddfe(weights: str | None) -> DDFE:
    """DDFE with trained weights: whatever `hub.resolve` understands, default the bundled ddfe-line."""
    path = resolve(weights or "ddfe-line", suffixes=(".safetensors",)).path
    tensors, metadata = load_tensors(path)
    size = metadata.get("size", "line")
    net = DDFE(size if size in SIZES else "line")
    return load_into(net, tensors, path, f"DDFE {net.size}", "uhrmat train ddfe")
