"""uhrmat: alpha mattes of ultra high resolution pictures, computed only where the matte is open.

    from uhrmat import MattingPipeline
    result = MattingPipeline().matte("photo.jpg", trimap="trimap.png")
    result.alpha, result.foreground, result.stats

Importing the package loads no torch: `MattingPipeline` and its result types are fetched when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from uhrmat._version import __version__
from uhrmat.core.errors import InputError, MemoryBudgetError, OutputError, UhrmatError, WeightsError

if TYPE_CHECKING:
    from uhrmat.pipeline import MattingStats
    from uhrmat.pipeline import StillPipeline as MattingPipeline
    from uhrmat.pipeline import StillResult as MattingResult

__all__ = [
    "InputError",
    "MattingPipeline",
    "MattingResult",
    "MattingStats",
    "MemoryBudgetError",
    "OutputError",
    "UhrmatError",
    "WeightsError",
    "__version__",
]

_LAZY = {
    "MattingPipeline": ("uhrmat.pipeline", "StillPipeline"),
    "MattingResult": ("uhrmat.pipeline", "StillResult"),
    "MattingStats": ("uhrmat.pipeline", "MattingStats"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'uhrmat' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
