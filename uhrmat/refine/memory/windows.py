"""What the sparse networks share as refiners: device, engine and cost, and the walk over a window's active pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from uhrmat.core.devices import on_device
from uhrmat.refine.memory.budget import cost_of
from uhrmat.refine.memory.parts import Box, Run
from uhrmat.sparse import ActiveSet, Engine, Feat, choose_engine, make_engine
from uhrmat.sparse.choose import EngineChoice

if TYPE_CHECKING:
    from uhrmat.refine.refiner import RefineInput

Net = TypeVar("Net", bound=nn.Module)
Read = Callable[[Tensor, Tensor], Tensor]
"""Features (..., C) at the picture's coordinates (ys, xs)."""
Predict = Callable[[Engine, Feat], Feat]
"""One channel at the active pixels from their features."""


class SparseRefiner(Generic[Net]):
    """A network on active sets. engine: see `sparse.ENGINES`; notes: on its choice, for the user; dtype: of the
    arithmetic; reach: of its receptive field, pixels; kind: of the network, in the table of costs; cost: its memory."""

    def __init__(self, net: Net, reach: int, kind: str, engine: str, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device = dtype, torch.device(device)
        chosen = choose_engine(self.device, dtype) if engine == "auto" else EngineChoice(engine)
        self.engine, self.notes = chosen.name, [chosen.note] if chosen.note else []
        self.net = net.to(self.device).eval()
        self.reach = reach
        self.cost = cost_of(device, self.engine, dtype, kind)

    def finish(self, job: RefineInput, alpha: np.ndarray) -> None:
        """What is done to the whole, in place, once every window is refined: nothing."""

    def on_windows(self, active: np.ndarray, alpha: np.ndarray, features: Read, answer: Predict, add: bool) -> Run:
        """See `on_windows`, with this network's engine."""
        return on_windows(self.engine, self.dtype, self.device, active, alpha, features, answer, add)


def on_windows(
    kind: str, dtype: torch.dtype, device: torch.device, active: np.ndarray, alpha: np.ndarray,
    features: Read, answer: Predict, add: bool,
) -> Run:  # fmt: skip
    """What refines `alpha` (H, W) in place at the pixels of `active` (H, W) bool inside a window.

    kind: of engine, see `sparse.ENGINES`; add: the answer is a change, and not alpha itself.
    """

    @torch.inference_mode()
    def run(window: Box) -> None:
        inside = ActiveSet.from_mask(active[window])
        if not inside.count:
            return
        top, left = window[0].start, window[1].start
        with on_device(device):
            engine = make_engine(kind, inside, dtype, device)
            seen = engine.sample(lambda ys, xs: features(ys + top, xs + left))
            engine.scatter(answer(engine, seen), alpha[window], add=add)

    return run


def whole(size: tuple[int, int]) -> Box:
    """The window that is all of a picture of (H, W) pixels."""
    return slice(0, size[0]), slice(0, size[1])
