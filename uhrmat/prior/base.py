"""What every prior answers, and the small copies it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np


@dataclass(frozen=True, kw_only=True)
class WorkingSizeParams:
    """Working size of priors that name none of their own.

    Attributes:
        short_side: pixels on the short side of the downsampled picture. `--working-size` replaces it. 768 lost nothing
            against 1024, and 512 was worse, with `closed-form+knn` on composites of 5 to 9 megapixels
            (`python -m benchmarks.quality uhr`, docs/quality.md). Time and memory of affinity priors grow with its
            square.
        keep_up_to: pictures of up to this many times `short_side` are not downsampled unless a size is given. Not
            tuned.
    """

    short_side: int = 768
    keep_up_to: float = 1.5


WORKING_SIZE = WorkingSizeParams()


@dataclass(frozen=True)
class PriorResult:
    """alpha: (h, w) float32 in [0, 1] at working size; name: of the method; notes: lines for the user; context: what a
    network has seen beside its alpha, for refiners that know it; screen: the colour (3 values in [0, 1]) of which the
    foreground is to be freed, see `despill`.
    """

    alpha: np.ndarray
    name: str
    notes: list[str] = field(default_factory=list)
    context: Any = None
    screen: tuple[float, ...] | None = None


@dataclass(frozen=True)
class LowResHints:
    """What the user said, at working size; None is what was not said.

    trimap: (h, w) uint8 {0, 128, 255}; mask: (h, w) float32 in [0, 1]; plate: (h, w, 3) float32, the scene without its
    subject, in [0, 1]; key: the screen's colour, see `key.parse_key`; alpha: (h, w) float32 in [0, 1].
    """

    trimap: np.ndarray | None = None
    mask: np.ndarray | None = None
    plate: np.ndarray | None = None
    key: str | None = None
    alpha: np.ndarray | None = None


class PriorMethod(Protocol):
    """A prior: what it is called, and the short side of the small copy it wants where the user names none.

    Asked with the small picture (h, w, 3) float32 in [0, 1], display-referred, and the hints at the same size. Raises
    InputError where a hint that it needs is missing.
    """

    name: str
    side: int | None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult: ...


@runtime_checkable
class RecurrentPrior(Protocol):
    """A prior that remembers the frames before: its first frame comes after a `reset`."""

    def reset(self) -> None:
        """Forgets the frames before."""


def working_shape(
    height: int, width: int, short_side: int | None = None, params: WorkingSizeParams = WORKING_SIZE
) -> tuple[int, int]:
    """Shape of the downsampled picture that a prior works on, in the picture's proportions.

    Args:
        height: of the picture, pixels.
        width: of the picture, pixels.
        short_side: working size, pixels on the short side; None for that of `params`.
        params: working size where none is given.

    Returns:
        (h, w), never larger than the picture, at least 1 each.
    """
    short = min(height, width)
    if short_side is None:
        short_side = short if short <= params.keep_up_to * params.short_side else params.short_side
    scale = min(1.0, short_side / short)
    return max(1, round(height * scale)), max(1, round(width * scale))


def constrain_alpha(alpha: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """The alpha (h, w) with 0 and 1 where a trimap of the same size, if there is one, knows it."""
    if trimap is None:
        return alpha
    return np.where(trimap == 128, alpha, trimap > 128).astype(np.float32)
