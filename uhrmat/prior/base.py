"""What a prior takes and returns, and the working size.

A prior estimates a low-resolution alpha: what is foreground. A refiner then computes how much, at full resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from uhrmat.core.errors import UhrmatError
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.subject import SubjectMask


@dataclass(frozen=True, kw_only=True)
class WorkingSizeParams:
    """Working size of priors that name none of their own.

    Attributes:
        short_side: pixels on the short side of the downsampled picture. `--working-size` replaces it. 768 lost
            nothing against 1024, and 512 was worse, with `closed-form+knn` on composites of 5 to 9 megapixels
            (`python -m benchmarks.quality uhr`, docs/research/prior.md). Time and memory of affinity priors grow with
            its square.
        keep_up_to: pictures of up to this many times `short_side` are not downsampled unless a size is given. Not
            tuned.
    """

    short_side: int = 768
    keep_up_to: float = 1.5


WORKING_SIZE = WorkingSizeParams()


@dataclass(frozen=True)
class PriorResult:
    """What a prior returns.

    Attributes:
        alpha: (h, w) float32 in [0, 1] at working size.
        name: of the prior.
        notes: lines for the user.
        confidence: that there is a subject, in [0, 1], of a network that was given no hint; else None.
        trimap: (h, w) uint8 {0, 128, 255}, the one that was solved where that is not the hints'; else None.
        screen: RGB in [0, 1] of a chroma key's screen, whose spill is to be removed from the foreground (`despill`).
    """

    alpha: np.ndarray
    name: str
    notes: list[str] = field(default_factory=list)
    screen: tuple[float, ...] | None = None
    confidence: float | None = None
    trimap: np.ndarray | None = None


@dataclass(frozen=True)
class LowResHints:
    """The hints of a picture at working size. None is a hint that was not given.

    Attributes:
        trimap: (h, w) uint8 {0, 128, 255}.
        mask: (h, w) float32 in [0, 1].
        plate: (h, w, 3) float32 in [0, 1], the scene without its subject.
        key: the screen's colour, see `hints.key_colour.parse_key`.
        alpha: (h, w) float32 in [0, 1], a matte made elsewhere.
        prompts: points, boxes and strokes, in pixels of the small copy.
        subject: what a network has marked, of any size, see `hints.read.Hints`.
        band: half the width in pixels of the trimap's unknown band, where that may be widened (`hints.widen`), else 0.
    """

    trimap: np.ndarray | None = None
    mask: np.ndarray | None = None
    plate: np.ndarray | None = None
    key: str | None = None
    alpha: np.ndarray | None = None
    prompts: Prompts | None = None
    subject: SubjectMask | None = None
    band: float = 0.0


class PriorMethod(Protocol):
    """A prior: it estimates the low-resolution alpha of a picture.

    Attributes:
        name: of the prior.
        working_size: pixels on the short side of the picture that it takes, None for that of `WORKING_SIZE`. A size
            that the user names goes before it.
    """

    name: str
    working_size: int | None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        """Estimate the alpha of a picture.

        Args:
            small: (h, w, 3) float32 in [0, 1], the downsampled picture, display-referred.
            hints: at the same size.

        Raises:
            InputError: a hint that the prior needs is missing.
        """
        ...


@runtime_checkable
class RecurrentPrior(Protocol):
    """A prior that keeps state from frame to frame."""

    def reset(self) -> None:
        """Forget the frames before: the next one is the first of a shot."""


@runtime_checkable
class SolvingPrior(Protocol):
    """A prior that solves a system by a solver (`closed_form.problem.Solver`)."""

    def with_solver(self, wrap: Callable[[Any], Any]) -> PriorMethod:
        """A copy of the prior whose solver is `wrap(solver)`."""
        ...


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


def require_finite(result: PriorResult) -> PriorResult:
    """Return a prior's result. Raises UhrmatError where its alpha holds NaN or infinity."""
    if np.isfinite(result.alpha).all():
        return result
    what = f"The prior {result.name} returned values that are not finite (NaN or infinity)."
    raise UhrmatError(what, "If it is a network: its weights or its normalisation are wrong. Use another one.")


def constrain_alpha(alpha: np.ndarray, trimap: np.ndarray | None) -> np.ndarray:
    """Set an alpha to 0 and 1 where a trimap knows it.

    Args:
        alpha: (h, w) float32 in [0, 1].
        trimap: (h, w) uint8 {0, 128, 255}, or None, which leaves the alpha as it is.

    Returns:
        (h, w) float32 in [0, 1].
    """
    if trimap is None:
        return alpha
    return np.where(trimap == 128, alpha, trimap > 128).astype(np.float32)
