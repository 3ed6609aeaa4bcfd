"""One refinement of one picture, from the mask to the alpha, in steps that can be timed alone; and pictures for it."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import Tensor

from uhrmat.media import Picture
from uhrmat.media.resample import area_average
from uhrmat.prior.base import working_shape
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.features import ColourLineFeatures, PictureColours, context_maps
from uhrmat.refine.shm.network import SHM
from uhrmat.sparse import ActiveSet, Engine, Feat, make_engine
from uhrmat.train.synth import Scene, render_scene

BAND = 32
"""Width in pixels of the bands of active pixels: a strand of hair with the refiner's margin on both sides."""
SHARE = 0.06
"""Of unknown pixels in a rendered scene: widened for the refiner, about 0.6 million of 3840 x 2160 are active."""


def bands(height: int, width: int, active: int) -> np.ndarray:
    """(height, width) bool: wavy bands of BAND pixels from top to bottom, side by side; `active` pixels, rounded up."""
    rows = -(-active // BAND)
    count = max(1, -(-rows // height))
    pitch = width // count
    if pitch < BAND + 2:
        raise ValueError(f"{active} active pixels do not fit {width} x {height} in bands of {BAND}.")
    mask = np.zeros((height, width), bool)
    y = np.arange(height)
    sway = np.rint(np.sin(y / 40) * min(24, (pitch - BAND - 2) / 2)).astype(int)
    for number in range(count):
        here = y[: min(height, rows - number * height)]
        left = number * pitch + (pitch - BAND) // 2 + sway[: len(here)]
        mask[here[:, None], left[:, None] + np.arange(BAND)] = True
    return mask


def synthetic(mask: np.ndarray) -> RefineInput:
    """Noise as picture; `mask` (H, W) bool as unknown region and as active pixels, its share of each small pixel as
    prior: for times, not for mattes."""
    rng = np.random.default_rng(0)
    picture = Picture.from_array(rng.integers(0, 256, (*mask.shape, 3), np.uint8))
    shape = working_shape(*mask.shape)
    prior = area_average(mask.view(np.uint8), shape)
    trimap = mask.view(np.uint8) * np.uint8(128)
    return RefineInput(picture, downsample_picture(picture, shape), prior, trimap, mask)


def hair(height: int, width: int) -> Scene:
    """A rendered scene with exact alpha; its subject is made smaller until about SHARE of the trimap is unknown."""
    size = 0.7
    while True:
        result = render_scene(7, height, width, kind="hair", unknown_share=SHARE, size=size)
        share = float((result.trimap == 128).mean())
        if share < 1.2 * SHARE or size < 0.2:
            return result
        size *= max(0.3, 0.9 * float(np.sqrt(SHARE / share)))


class Shot:
    """The steps of `SHMRefiner.refine` on a picture that is already where it is needed.

    net: on the CPU, in fp32; engine: see `sparse.ENGINES`. `alpha`: (H, W) float32 on `device`, what is written.
    """

    def __init__(self, inputs: RefineInput, net: SHM, engine: str, dtype: torch.dtype, device: torch.device) -> None:
        self.inputs, self.engine, self.dtype, self.device = inputs, engine, dtype, device
        self.net = copy.deepcopy(net).to(device).eval()
        # The dense engine computes with the weights as they are; the others convert them layer by layer.
        kind = dtype if engine == "dense" else torch.float32
        self.net.to(kind)
        maps = (context_maps(x)[None] for x in (inputs.small, inputs.prior[..., None]))
        self.small, self.prior = (x.to(device, kind) for x in maps)
        self.alpha = torch.zeros(inputs.size, device=device)
        self.features = self._features()

    def geometry(self) -> Engine:
        """The active set and an engine on it."""
        return make_engine(self.engine, ActiveSet.from_mask(self.inputs.active), self.dtype, self.device)

    def sample(self, engine: Engine) -> Feat:
        return engine.sample(self._look)

    def network(self, engine: Engine, x: Feat) -> Feat:
        result = self.net(engine, x, self.small, self.prior)
        assert isinstance(result, Feat)
        return result

    def scatter(self, engine: Engine, result: Feat) -> None:
        engine.scatter(result, self.alpha, add=True)

    def __call__(self) -> Tensor:
        """All steps; returns `alpha`."""
        engine = self.geometry()
        self.scatter(engine, self.network(engine, self.sample(engine)))
        return self.alpha

    def _look(self, ys: Tensor, xs: Tensor) -> Tensor:
        inputs = self.net.config.inputs
        if not ys.numel():
            return torch.zeros((*ys.shape, inputs), device=ys.device)
        return self.features(ys, xs)[..., :inputs]

    def _features(self) -> ColourLineFeatures:
        inputs = self.inputs
        colours = PictureColours(inputs.picture)
        colours.rows = colours.rows.to(self.device)
        features = ColourLineFeatures(
            colours, inputs.size, inputs.small, inputs.prior, inputs.trimap, None, self.device
        )
        features.baseline = self.alpha
        if features.trimap is not None:
            features.trimap = features.trimap.to(self.device)
        return features
