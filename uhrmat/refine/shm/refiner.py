"""SHM as a refiner: colour-line features in, a residual (or alpha) out, window by window where memory is short."""

from __future__ import annotations

import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.features import INPUT_VERSION, ColourLineFeatures, PictureColours, context_maps
from uhrmat.refine.memory.tiling import RefineWindow
from uhrmat.refine.planes import Plane
from uhrmat.refine.resident.window import window_refiner
from uhrmat.refine.shm.network import SHM, SIZES, VARIANTS, receptive_radius
from uhrmat.refine.shm.resident import site_features
from uhrmat.refine.sparse_refiner import Predict, SparseRefiner, full_window, restore_mean
from uhrmat.refine.weights import load_network
from uhrmat.sparse import Engine, Feat


class SHMRefiner(SparseRefiner[SHM]):
    """The sparse high-resolution module with trained weights, of any size.

    Args:
        weights: See `load_shm`.
        engine: One of `sparse.ENGINES`.
        dtype: Of the arithmetic.
        device: Like "cpu" or "cuda:0".

    Raises:
        WeightsError: The weights are missing or are those of another network.
    """

    def __init__(self, weights: str | None, engine: str, dtype: torch.dtype, device: str) -> None:
        net = load_shm(weights)
        super().__init__(net, receptive_radius(net.config), net.size, engine, dtype, device)
        self.name = f"shm-{net.size}"

    def refine(self, inputs: RefineInput, alpha: Plane) -> None:
        """See `base.Refiner.refine`."""
        self.prepare(inputs, alpha)(full_window(inputs.size))
        self.finish(inputs, alpha)

    def finish(self, inputs: RefineInput, alpha: Plane) -> None:
        """Restores the prior's means, see `prior_mean.restore_prior_mean`."""
        restore_mean(inputs, alpha)

    @torch.inference_mode()
    def prepare(self, inputs: RefineInput, alpha: Plane) -> RefineWindow:
        """Makes colour maps and the gates of Masked-SE, once for all windows; see `base.TileableRefiner.prepare`."""
        if isinstance(alpha, Tensor):
            return self._prepare_resident(inputs, alpha)
        features = ColourLineFeatures(
            PictureColours(inputs.picture), inputs.size, inputs.small, inputs.prior, inputs.trimap, alpha, self.device,
            self.net.config.line,
        )  # fmt: skip
        config = self.net.config

        def read(ys: Tensor, xs: Tensor) -> Tensor:
            return features(ys, xs)[..., : config.inputs]

        predict = self._predictor(inputs, features.network_weight)
        return self.window_refiner(inputs.active, alpha, read, predict, add=config.residual)

    def _prepare_resident(self, inputs: RefineInput, alpha: Tensor) -> RefineWindow:
        """`prepare` for a picture that lies on the device."""
        features, weight = site_features(inputs, self.net.config)
        predict, add = self._predictor(inputs, weight), self.net.config.residual
        return window_refiner(inputs, alpha, features, predict, add, self.engine, self.dtype)

    def _predictor(self, inputs: RefineInput, weight: float) -> Predict:
        """The network with the gates of a picture; its residual times `weight`."""
        small, prior = (context_maps(x)[None].to(self.device) for x in (inputs.small, inputs.prior[..., None]))
        gates, residual = self.net.gates(small, prior), self.net.config.residual

        def predict(engine: Engine, x: Feat) -> Feat:
            output = self.net.forward_with_gates(engine, x, gates)
            assert isinstance(output, Feat)
            return Feat(output.data * weight, 0) if residual else output

        return predict


def load_shm(weights: str | None) -> SHM:
    """Load SHM with trained weights.

    Args:
        weights: What `hub.resolve` understands; None takes the bundled shm-lite.

    Raises:
        WeightsError: The weights are missing, are those of another network, or were trained on other inputs.
    """

    def build(size: str | None) -> SHM:
        return SHM(size if size in SIZES | VARIANTS else "lite")

    return load_network(weights, "shm-lite", build, INPUT_VERSION, "SHM", "uhrmat train shm")
