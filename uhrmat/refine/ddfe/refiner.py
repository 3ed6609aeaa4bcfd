"""DDFE as a refiner: a pyramid of levels, each refined window by window where memory is short."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uhrmat.media import Picture
from uhrmat.refine.base import RefineInput, RefineLevel
from uhrmat.refine.colour_line import estimate_smooth_colours
from uhrmat.refine.ddfe.network import DDFE, INPUT_VERSION, SIZES, assemble_features, receptive_radius
from uhrmat.refine.ddfe.resident import line_maps as resident_maps
from uhrmat.refine.ddfe.resident import site_features
from uhrmat.refine.features import BilinearMaps, PictureColours
from uhrmat.refine.guided_filter import guided_coefficients
from uhrmat.refine.memory.tiling import RefineWindow
from uhrmat.refine.planes import Plane
from uhrmat.refine.pyramid import PyramidLevel, refine_pyramid
from uhrmat.refine.resident.window import share_geometry, window_refiner
from uhrmat.refine.sparse_refiner import SparseRefiner, full_window, restore_mean
from uhrmat.refine.weights import load_network
from uhrmat.sparse.engine import SampleFn


class DDFERefiner(SparseRefiner[DDFE]):
    """The detail difference feature extractor with trained weights, applied as a pyramid.

    Args:
        weights: See `load_ddfe`.
        engine: One of `sparse.ENGINES`.
        dtype: Of the arithmetic.
        device: Like "cpu" or "cuda:0".

    Raises:
        WeightsError: The weights are missing or are those of another network.
    """

    name = "ddfe"
    levels = 1

    def __init__(self, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> None:
        net = load_ddfe(weights)
        super().__init__(net, receptive_radius(net.config), f"ddfe-{net.size}", engine, dtype, device)

    def refine(self, inputs: RefineInput, alpha: Plane) -> None:
        """See `base.Refiner.refine`."""

        def refine_level(level: RefineInput, level_alpha: Plane) -> None:
            self.prepare(level, level_alpha)(full_window(level.size))

        self.refine_pyramid(inputs, alpha, refine_level)

    def refine_pyramid(self, inputs: RefineInput, alpha: Plane, refine_level: RefineLevel) -> Plane:
        """All levels, then `prior_mean.restore_prior_mean`; see `base.PyramidRefiner.refine_pyramid`."""

        def refine_shared(level: RefineInput, level_alpha: Plane) -> None:
            if isinstance(level_alpha, Tensor) and level.size == inputs.size:
                share_geometry(inputs, level)
            refine_level(level, level_alpha)

        refined: Plane = refine_pyramid(inputs, alpha, refine_shared, self._maps(inputs))
        restore_mean(inputs, alpha)
        return refined

    @torch.inference_mode()
    def prepare(self, inputs: RefineInput, alpha: Plane) -> RefineWindow:
        """Does what the windows of one level share; see `base.TileableRefiner.prepare`."""
        level = inputs if isinstance(inputs, PyramidLevel) else _as_level(inputs, self._maps(inputs))
        if isinstance(alpha, Tensor):
            run, on = site_features(level), (self.engine, self.dtype)
            return window_refiner(level, alpha, run, lambda engine, x: self.net(engine, x)[0], 1.0, *on)
        features = self._features(level)
        return self.window_refiner(inputs.active, alpha, features, lambda engine, x: self.net(engine, x)[0], add=True)

    def _features(self, inputs: PyramidLevel) -> SampleFn:
        """The network's inputs at coordinates (ys, xs) of a level."""
        level, size, width = inputs, inputs.size, inputs.size[1]
        colours = PictureColours(inputs.picture)
        low = low_colours(level, self.device)
        prior = BilinearMaps(torch.from_numpy(inputs.prior)[..., None].to(self.device), size)
        maps = None if level.maps is None else BilinearMaps(torch.from_numpy(level.maps).to(self.device), size)
        trimap = None if inputs.trimap is None else torch.from_numpy(inputs.trimap).reshape(-1)
        factor = size[0] / inputs.prior.shape[0]

        def features(ys: Tensor, xs: Tensor) -> Tensor:
            index = ys * width + xs
            known = _known(trimap, index)
            line = None if maps is None else maps(ys, xs)
            return assemble_features(colours(index), low(ys, xs), prior(ys, xs), known, line, factor)

        return features

    @torch.inference_mode()
    def _maps(self, inputs: RefineInput) -> Plane | None:
        if not self.net.config.weighs:
            return None
        if isinstance(inputs.prior, Tensor):
            return resident_maps(inputs)
        return line_maps(inputs.small, inputs.prior)


def _as_level(inputs: RefineInput, maps: Plane | None) -> PyramidLevel:
    """A picture whose prior is at the working size, as a level."""
    return PyramidLevel(
        inputs.picture, inputs.small, inputs.prior, inputs.trimap, inputs.active, inputs.levels, maps=maps
    )  # fmt: skip


def _known(trimap: Tensor | None, index: Tensor) -> Tensor:
    """(..., 2): 1 where foreground or background is known."""
    if trimap is None:
        return torch.zeros(*index.shape, 2, device=index.device)
    values = trimap.index_select(0, index.flatten().to(trimap.device)).view(index.shape).to(index.device)
    return torch.stack([values == 255, values == 0], -1).float()


def line_maps(small: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Low-resolution maps that DDFE `line` sees.

    Args:
        small: Low-resolution picture, (h, w, 3) float32 in [0, 1].
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].

    Returns:
        (h, w, 10) float32: smooth colours F (3) and B (3), the guided filter's a (3) and b.
    """
    planes = torch.from_numpy(small).permute(2, 0, 1)[None], torch.from_numpy(prior)[None, None]
    colours = [c[0].permute(1, 2, 0).numpy() for c in estimate_smooth_colours(*planes)]
    return np.concatenate([*colours, guided_coefficients(small, prior)], -1)


def low_colours(level: PyramidLevel, device: torch.device) -> SampleFn:
    """Colours of the coarser picture of a level, upsampled bilinearly, as a function of coordinates.

    Returns:
        A function (ys, xs) -> (..., 3) float32 in [0, 1].
    """
    if level.low is None:
        return BilinearMaps(torch.from_numpy(level.small).to(device), level.size)
    return BilinearPicture(level.low, level.size)


class BilinearPicture(BilinearMaps):
    """A picture in its stored type, read like `BilinearMaps`: only the pixels that are read become float32."""

    def __init__(self, picture: Picture, size: tuple[int, int]) -> None:
        self.colours = PictureColours(picture)
        self.shape = torch.Size((picture.height, picture.width))
        self.step = (picture.height / size[0], picture.width / size[1])
        self.origin = (0.0, 0.0)

    def _take(self, index: Tensor) -> Tensor:
        return self.colours(index)


def load_ddfe(weights: str | None) -> DDFE:
    """Load DDFE with trained weights.

    Args:
        weights: What `hub.resolve` understands; None takes the bundled ddfe-line.

    Raises:
        WeightsError: The weights are missing, are those of another network, or were trained on other inputs.
    """

    def build(size: str | None) -> DDFE:
        return DDFE(size if size in SIZES else "line")

    return load_network(weights, "ddfe-line", build, INPUT_VERSION, "DDFE", "uhrmat train ddfe")
