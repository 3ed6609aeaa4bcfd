"""One window of a picture on the device: sites, features, network, alpha."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.devices import on_device
from uhrmat.refine.base import RefineInput
from uhrmat.refine.memory.tiling import Box, RefineWindow
from uhrmat.refine.resident.picture import Sites, flat_pixels
from uhrmat.sparse import Engine, Feat
from uhrmat.sparse.resident import TILE, MaskLevels, ResidentActive, ResidentPair
from uhrmat.sparse.resident_tiles import ResidentTilesEngine
from uhrmat.sparse.select import build_engine

SiteFeatures = Callable[[Sites], tuple[Tensor, Tensor | None]]
"""(S, C) float32 inputs of the network at the sites, and (S,) what its output is added to, or None: alpha itself."""


def whole_sites(inputs: RefineInput) -> Sites:
    """Sites of all active pixels of a picture; made once."""
    kept: dict[str, Any] = inputs.__dict__
    if "_sites" not in kept:
        if "_pair" in kept:
            _make_pair(*kept["_pair"])
        else:
            kept["_sites"] = Sites.of_window(ResidentActive(_mask_levels(inputs)), inputs.size)
    sites: Sites = kept["_sites"]
    return sites


def tile_counts(inputs: RefineInput) -> np.ndarray:
    """Active pixels in every tile of a picture, (rows, columns); read once, and the host waits for them."""
    return _mask_levels(inputs).counts[0]


def _mask_levels(inputs: RefineInput) -> MaskLevels:
    kept: dict[str, Any] = inputs.__dict__
    if "_levels" not in kept:
        beside = kept["_pair"][1].active if "_pair" in kept else None
        kept["_levels"] = MaskLevels(inputs.active, inputs.levels, beside)
    levels: MaskLevels = kept["_levels"]
    return levels


def _make_pair(one: RefineInput, other: RefineInput) -> None:
    sites = Sites.of_pair(ResidentPair(_mask_levels(one)), one.size)
    one.__dict__["_sites"], other.__dict__["_sites"] = sites


def share_geometry(inputs: RefineInput, level: RefineInput) -> None:
    """Let a picture and its last pyramid level make what is kept of their active pixels together.

    Args:
        inputs: The picture.
        level: Of the same size; its active pixels may be fewer.
    """
    if level.active is not inputs.active:
        level.__dict__["_pair"] = level, inputs
        inputs.__dict__["_pair"] = level, inputs
        return
    whole_sites(inputs)
    level.__dict__.update({name: inputs.__dict__[name] for name in ("_levels", "_sites")})


def window_refiner(
    inputs: RefineInput, alpha: Tensor, features: SiteFeatures, predict: Callable[[Engine, Feat], Feat],
    weight: float | None, engine: str, dtype: torch.dtype,
) -> RefineWindow:  # fmt: skip
    """The function that refines `alpha` in place at the active pixels of a window.

    Args:
        inputs: The picture, on a device.
        alpha: (H, W) float32 of `picture.new_plane`.
        features: Inputs of the network.
        predict: Runs the network.
        weight: Of the prediction, which is added to alpha; None where it replaces alpha.
        engine: Name of the engine.
        dtype: Of its arithmetic.
    """

    @torch.inference_mode()
    def refine(window: Box) -> None:
        with on_device(alpha.device):
            sites = _sites(inputs, window)
            if not sites.active.count:
                return
            values, start = features(sites)
            output, flat = _run(sites, values, predict, engine, dtype), flat_pixels(alpha)
            if weight is None:
                result = output.float()
            else:
                base = flat.index_select(0, sites.index) if start is None else start
                result = torch.add(base, output, alpha=weight)
            flat.index_copy_(0, sites.index, result)

    return refine


def _sites(inputs: RefineInput, window: Box) -> Sites:
    size, counts = inputs.size, tile_counts(inputs)
    cells = tuple(slice(axis.start // TILE, -(-axis.stop // TILE)) for axis in window)
    if counts[cells].sum(dtype=np.float64) == counts.sum(dtype=np.float64):
        return whole_sites(inputs)
    active = ResidentActive(MaskLevels(inputs.active[window], inputs.levels))
    return Sites.of_window(active, size, window[0].start, window[1].start)


def _run(
    sites: Sites, values: Tensor, predict: Callable[[Engine, Feat], Feat], name: str, dtype: torch.dtype
) -> Tensor:  # fmt: skip
    """(S,): the network's output at the sites from its inputs (S, C)."""
    active, device = sites.active, values.device
    if name == "tiles":
        tiles = ResidentTilesEngine(active, dtype, device)
        return predict(tiles, tiles.wrap(values)).data[:, 0]
    # Other engines number sites in their own order: `numbers` holds the row of each pixel of the window.
    rows = active.levels[0].numbers[1:, 1:]
    other = build_engine(name, active, dtype, device)
    x = other.sample(lambda ys, xs: values[rows[ys, xs].long()])
    plane = torch.zeros(active.height, active.width, device=device)
    other.scatter(predict(other, x), plane)
    level = active.levels[0]
    offset = torch.arange(level.tile, device=device)
    ys = ((level.ys * level.tile)[:, None] + offset).clamp(max=active.height - 1)
    xs = ((level.xs * level.tile)[:, None] + offset).clamp(max=active.width - 1)
    return plane[ys[:, :, None], xs[:, None]].flatten()
