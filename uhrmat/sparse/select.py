"""Engines by name. To add one, see "Add an engine" in ARCHITECTURE.md."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError
from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.dense import DenseEngine
from uhrmat.sparse.engine import Engine
from uhrmat.sparse.resident import ResidentActive
from uhrmat.sparse.resident_tiles import ResidentTilesEngine
from uhrmat.sparse.spconv_engine import SpconvEngine
from uhrmat.sparse.tiles import TilesEngine

ENGINES = ("auto", "dense", "tiles", "spconv")
"""Names of engines; "auto" stands for the one that `choose.choose_engine` measures to be faster."""


def build_engine(
    name: str,
    mask_or_active: Tensor | np.ndarray | ActiveSet | ResidentActive,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Engine:
    """Make an engine over one picture.

    Args:
        name: One of `ENGINES` but "auto".
        mask_or_active: The active set, or a mask (H, W) in which non-zero means active.
        dtype: Of features and arithmetic.
        device: Of features and arithmetic.

    Raises:
        InputError: An unknown name, a mask of another shape, or an engine that cannot run here.
    """
    if name not in ENGINES or name == "auto":
        raise InputError(f'There is no engine "{name}".', f"Choose one of {', '.join(ENGINES)}.")
    if name == "dense":
        given = mask_or_active
        mask = given.mask() if isinstance(given, (ActiveSet, ResidentActive)) else given
        return DenseEngine(torch.as_tensor(mask).to(device), dtype)
    if isinstance(mask_or_active, ResidentActive):
        if name == "tiles":
            return ResidentTilesEngine(mask_or_active, dtype, torch.device(device))
        return SpconvEngine(mask_or_active, dtype, device)
    active = mask_or_active if isinstance(mask_or_active, ActiveSet) else ActiveSet.from_mask(mask_or_active)
    if name == "spconv":
        return SpconvEngine(active, dtype, device)
    return TilesEngine(active, dtype, device=device)
