"""What a network does for one picture: multiply-accumulates counted while it runs, on any engine; and its size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from uhrmat.refine.layers import SparseConv
from uhrmat.sparse import DenseEngine, Engine


class MacCounter:
    """macs: multiply-accumulates of the sparse convolutions so far."""

    macs = 0

    @property
    def gflops(self) -> float:
        """Thousand million operations: a multiply and an add each."""
        return 2 * self.macs / 1e9


@contextmanager
def count_macs(net: nn.Module) -> Iterator[MacCounter]:
    """Counts every sparse convolution that `net` runs in the block: the taps of each active site of its result.

    A transposed convolution of stride 2 has a quarter of its taps at a site. Activations and sums are left out.
    """
    counter = MacCounter()

    def count(module: nn.Module, inputs: tuple[Any, ...], result: Any) -> None:
        assert isinstance(module, SparseConv)
        taps = module.weight.numel() // (4 if module.kind == "inverse" else 1)
        counter.macs += taps * _sites(inputs[0], result.level)

    hooks = [layer.register_forward_hook(count) for layer in net.modules() if isinstance(layer, SparseConv)]
    try:
        yield counter
    finally:
        for hook in hooks:
            hook.remove()


def count_parameters(net: nn.Module) -> int:
    """Trained parameters of a network; those that `DDFE.merge_layers` has joined count once."""
    joined = getattr(net, "both", None)
    copies = 0 if joined is None else sum(p.numel() for p in joined.parameters())
    return sum(p.numel() for p in net.parameters()) - copies


def _sites(engine: Engine, level: int) -> int:
    """Active sites of a level."""
    if isinstance(engine, DenseEngine):
        return int(engine.mask(level).sum())
    active = engine.active  # type: ignore[attr-defined]
    return int(active.levels[level].mask.sum())
