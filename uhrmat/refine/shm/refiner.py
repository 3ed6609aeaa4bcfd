"""SHM as a refiner: colour-line features in, a residual (or alpha) out, window by window where memory is short."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uhrmat.refine.base import RefineInput
from uhrmat.refine.features import INPUT_VERSION, ColourLineFeatures, PictureColours, context_maps
from uhrmat.refine.memory.tiling import RefineWindow
from uhrmat.refine.prior_mean import restore_prior_mean
from uhrmat.refine.shm.network import SHM, SIZES, VARIANTS, receptive_radius
from uhrmat.refine.sparse_refiner import SparseRefiner, full_window
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

    def refine(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """See `base.Refiner.refine`."""
        self.prepare(inputs, alpha)(full_window(inputs.size))
        self.finish(inputs, alpha)

    def finish(self, inputs: RefineInput, alpha: np.ndarray) -> None:
        """Restores the prior's means, see `prior_mean.restore_prior_mean`."""
        restore_prior_mean(alpha, inputs.active, inputs.trimap, inputs.prior)

    @torch.inference_mode()
    def prepare(self, inputs: RefineInput, alpha: np.ndarray) -> RefineWindow:
        """Makes colour maps and the gates of Masked-SE, once for all windows; see `base.TileableRefiner.prepare`."""
        features = ColourLineFeatures(
            PictureColours(inputs.picture), inputs.size, inputs.small, inputs.prior, inputs.trimap, alpha, self.device,
            self.net.config.line,
        )  # fmt: skip
        small, prior = (context_maps(x)[None].to(self.device) for x in (inputs.small, inputs.prior[..., None]))
        gates, config = self.net.gates(small, prior), self.net.config

        def read(ys: Tensor, xs: Tensor) -> Tensor:
            return features(ys, xs)[..., : config.inputs]

        def predict(engine: Engine, x: Feat) -> Feat:
            output = self.net.forward_with_gates(engine, x, gates)
            assert isinstance(output, Feat)
            return Feat(output.data * features.network_weight, 0) if config.residual else output

        return self.window_refiner(inputs.active, alpha, read, predict, add=config.residual)


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
