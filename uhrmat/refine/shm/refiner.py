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

        weight = features.network_weight if config.residual else 1.0
        predict = self._predictor(inputs, weight)
        return self.window_refiner(inputs.active, alpha, read, predict, add=config.residual)

    def _prepare_resident(self, inputs: RefineInput, alpha: Tensor) -> RefineWindow:
        """`prepare` for a picture that lies on the device."""
        features, weight = site_features(inputs, self.net.config)
        return window_refiner(inputs, alpha, features, self._predictor(inputs), weight, self.engine, self.dtype)

    def _predictor(self, inputs: RefineInput, weight: float = 1.0) -> Predict:
        """The network with the gates of a picture; its output times `weight`."""
        maps = [inputs.small, inputs.prior[..., None]]
        tensors = [x if isinstance(x, Tensor) else torch.from_numpy(x) for x in maps]
        if tensors[0].shape[:2] == tensors[1].shape[:2]:
            tensors = [torch.cat(tensors, -1)]
        context = torch.cat([context_maps(x) for x in tensors])[None].to(self.device)
        gates = self.net.gates(context[:, :3], context[:, 3:])

        def predict(engine: Engine, x: Feat) -> Feat:
            output = self.net.forward_with_gates(engine, x, gates)
            assert isinstance(output, Feat)
            return output if weight == 1 else Feat(output.data * weight, 0)

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
