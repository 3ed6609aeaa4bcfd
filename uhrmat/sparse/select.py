"""Choice of an engine by name and device."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.errors import InputError
from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.dense import DenseEngine
from uhrmat.sparse.engine import Engine
from uhrmat.sparse.spconv_engine import SpconvEngine
from uhrmat.sparse.tiles import TilesEngine

ENGINES = ("auto", "dense", "tiles", "spconv")


def make_engine(
    name: str,
    mask_or_active: Tensor | np.ndarray | ActiveSet,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Engine:
    """An engine over one picture. name: one of ENGINES; "auto" asks `choose_engine`; mask: (H, W), non-zero = active.

    Raises InputError for an unknown name, a mask of another shape, and for `spconv` where it cannot run.
    """
    if name not in ENGINES:
        raise InputError(f'There is no engine "{name}".', f"Choose one of {', '.join(ENGINES)}.")
    if name == "auto":
        from uhrmat.sparse.choose import choose_engine

        name = choose_engine(device, dtype).name
    if name == "dense":
        mask = mask_or_active.mask() if isinstance(mask_or_active, ActiveSet) else mask_or_active
        return DenseEngine(torch.as_tensor(mask).to(device), dtype)
    active = mask_or_active if isinstance(mask_or_active, ActiveSet) else ActiveSet.from_mask(mask_or_active)
    if name == "spconv":
        return SpconvEngine(active, dtype, device)
    return TilesEngine(active, dtype, device=device)
