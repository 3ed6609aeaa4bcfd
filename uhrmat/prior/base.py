"""What every prior answers, and the small copies it works on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

SHORT_SIDE = 768
"""Working size of a prior that does not say otherwise: pixels on the short side."""
WORTH = 1.5
"""Pictures of up to this times the working size are not worth a small copy, unless a size is asked for."""


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
class SmallHints:
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

    def __call__(self, small: np.ndarray, hints: SmallHints) -> PriorResult: ...


@runtime_checkable
class Recurrent(Protocol):
    """A prior that remembers the frames before: its first frame comes after a `reset`."""

    def reset(self) -> None:
        """Forgets the frames before."""


def working_shape(height: int, width: int, short_side: int | None = None) -> tuple[int, int]:
    """Size of the small copy: `short_side` on the short side, never larger than the picture, never below one pixel.

    None is SHORT_SIDE; a picture of up to WORTH times that stays as it is.
    """
    short = min(height, width)
    if short_side is None:
        short_side = short if short <= WORTH * SHORT_SIDE else SHORT_SIDE
    scale = min(1.0, short_side / short)
    return max(1, round(height * scale)), max(1, round(width * scale))


def constrained(alpha: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """The alpha (h, w) with 0 and 1 where a trimap of the same size, if there is one, knows it."""
    if trimap is None:
        return alpha
    return np.where(trimap == 128, alpha, trimap > 128).astype(np.float32)
