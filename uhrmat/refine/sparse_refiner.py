"""What refiners with a sparse network share: device, engine and memory cost, and the walk over a window's pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from uhrmat.core.devices import on_device
from uhrmat.refine.base import RefineInput
from uhrmat.refine.layers import freeze
from uhrmat.refine.memory.cost import cost_of
from uhrmat.refine.memory.tiling import Box, RefineWindow
from uhrmat.refine.planes import Plane
from uhrmat.refine.prior_mean import restore_prior_mean
from uhrmat.refine.resident import restore as resident
from uhrmat.refine.resident.window import whole_sites
from uhrmat.sparse import ActiveSet, Engine, Feat, choose_engine, make_engine
from uhrmat.sparse.active import LEVELS
from uhrmat.sparse.choose import EngineChoice
from uhrmat.sparse.engine import SampleFn

Net = TypeVar("Net", bound=nn.Module)
Predict = Callable[[Engine, Feat], Feat]
"""One channel at the active pixels from their features."""


class SparseRefiner(Generic[Net]):
    """A network on active sets, see `base.TileableRefiner`.

    Args:
        net: The network with its weights.
        reach: Radius of its receptive field, pixels.
        cost_key: Name of the network in the table of memory costs.
        engine: One of `sparse.ENGINES`.
        dtype: Of the arithmetic.
        device: Like "cpu" or "cuda:0".

    Attributes:
        levels: Levels of the active set that the network uses.
        notes: Lines for the user on the choice of the engine.
    """

    def __init__(self, net: Net, reach: int, cost_key: str, engine: str, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device = dtype, torch.device(device)
        choice = choose_engine(self.device, dtype) if engine == "auto" else EngineChoice(engine)
        self.engine, self.notes = choice.name, [choice.note] if choice.note else []
        self.net = net.to(self.device).eval()
        freeze(self.net, dtype)
        self.reach = reach
        self.cost = cost_of(device, self.engine, dtype, cost_key)

    name: str
    levels: int = LEVELS

    def refine(self, inputs: RefineInput, alpha: Plane) -> None:
        """See `base.Refiner.refine`."""
        raise NotImplementedError

    def finish(self, inputs: RefineInput, alpha: Plane) -> None:
        """Does nothing; see `base.TileableRefiner.finish`."""

    def window_refiner(
        self, active: np.ndarray, alpha: np.ndarray, features: SampleFn, predict: Predict, add: bool
    ) -> RefineWindow:
        """The function that refines `alpha` in place at the active pixels of a window.

        Args:
            active: (H, W) bool.
            alpha: (H, W) float32.
            features: Inputs of the network at the picture's coordinates (ys, xs).
            predict: Runs the network.
            add: Whether the prediction is added to alpha, else it replaces alpha.
        """

        @torch.inference_mode()
        def refine(window: Box) -> None:
            inside = ActiveSet.from_mask(active[window])
            if not inside.count:
                return
            top, left = window[0].start, window[1].start
            with on_device(self.device):
                engine = make_engine(self.engine, inside, self.dtype, self.device)
                x = engine.sample(lambda ys, xs: features(ys + top, xs + left))
                engine.scatter(predict(engine, x), alpha[window], add=add)

        return refine


def full_window(size: tuple[int, int]) -> Box:
    """The window that covers a picture of (H, W) pixels."""
    return slice(0, size[0]), slice(0, size[1])


def restore_mean(inputs: RefineInput, alpha: Plane) -> None:
    """`prior_mean.restore_prior_mean`, on the host or, for a picture that lies there, on the device."""
    if not isinstance(alpha, Tensor):
        restore_prior_mean(alpha, inputs.active, inputs.trimap, inputs.prior)
        return
    with torch.inference_mode(), on_device(alpha.device):
        resident.restore_prior_mean(alpha, whole_sites(inputs), inputs.trimap, inputs.prior)
