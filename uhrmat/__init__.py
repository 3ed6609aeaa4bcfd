"""uhrmat: alpha mattes of ultra-high-resolution photographs and clips.

    import uhrmat

    with uhrmat.MattingPipeline() as pipeline:
        result = pipeline("photo.jpg", trimap="photo_trimap.png")
        result.save("out")  # photo_alpha.png, photo_foreground.png
        for frame in pipeline.video("clip.mp4", mask="first_frame.png"):
            frame.alpha, frame.foreground

    result = uhrmat.matte("photo.jpg", mask="mask.png")  # one call, one pipeline

Importing the package loads no torch: the classes below are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from uhrmat._version import __version__
from uhrmat.core.errors import InputError, MemoryBudgetError, OutputError, UhrmatError, WeightsError

if TYPE_CHECKING:  # they load torch
    from uhrmat.api.paint import paint
    from uhrmat.api.pipeline import MattingPipeline, Progress, matte
    from uhrmat.api.result import MattingResult
    from uhrmat.pipeline import MattingStats
    from uhrmat.video.iterate import MattedClip, MattedFrame

__all__ = [
    "InputError",
    "MattedClip",
    "MattedFrame",
    "MattingPipeline",
    "MattingResult",
    "MattingStats",
    "MemoryBudgetError",
    "OutputError",
    "Progress",
    "UhrmatError",
    "WeightsError",
    "__version__",
    "matte",
    "paint",
]

_LAZY = {
    "MattedClip": "uhrmat.video.iterate",
    "MattedFrame": "uhrmat.video.iterate",
    "MattingPipeline": "uhrmat.api.pipeline",
    "MattingResult": "uhrmat.api.result",
    "MattingStats": "uhrmat.pipeline",
    "Progress": "uhrmat.api.pipeline",
    "matte": "uhrmat.api.pipeline",
    "paint": "uhrmat.api.paint",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'uhrmat' has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
