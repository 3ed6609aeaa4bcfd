"""Scribbles solved coarse to fine: a pyramid of sizes, each of which solves only what the one before left in doubt.

A trimap of a few strokes leaves nearly every pixel unknown. Solved at once that costs minutes and gigabytes at the
usual working size, and similar colours leak across a large unknown region. On a copy of about a hundred rows it takes
a second; what is plainly one side there is known at the next size, and non-local affinities are sought only where
colours left a doubt. Solving closed-form matting from a coarser solution is in Levin et al., TPAMI 2008,
https://doi.org/10.1109/TPAMI.2007.1177; what stays unknown is chosen here (docs/research/prior.md, "Scribbles").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.hints.scribbles import downsample_scribbles
from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN
from uhrmat.media.resample import area_average, resize

SolveLevel = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, list[str]]]
"""Solves one size: picture (h, w, 3) and trimap (h, w) to alpha (h, w) and notes."""


@dataclass(frozen=True, kw_only=True)
class CoarseToFineParams:
    """Parameters of the pyramid of working sizes. Chosen on photographs with mattes by simulated strokes.

    Attributes:
        coarsest: least short side of the smallest size, pixels; sizes are halved while they stay above it. 96 and 128
            were equally good, 192 was worse.
        certain: an alpha up to this far from 0 or 1 is known at the next size, in [0, 0.5). A larger one is faster and
            keeps similar colours from leaking, but takes away what is faintly transparent over a wide area. 0.2 to 0.4
            were within 2 %, 0.05 was a third worse.
        kernel: diameter of the disc by which the rest is dilated, pixels of the next size, odd: hair and the subject's
            outline lie in it. 5 to 13 were within 3 %.
        opaque_quantile: where one side only is known, the coarsest alpha is stretched until this quantile of its
            unknown pixels is opaque. As `ClosedFormParams.opaque_quantile`.
        faintest: but never by more than 1 / `faintest`.
        one_sided_contrast: after that, alphas up to this far from 0 and 1 become 0 and 1 and the rest is stretched
            between them: near the only strokes there are, all is of their side. In [0, 0.5). Not tuned.
    """

    coarsest: int = 96
    certain: float = 0.3
    kernel: int = 9
    opaque_quantile: float = 0.99
    faintest: float = 0.05
    one_sided_contrast: float = 0.25


COARSE_TO_FINE = CoarseToFineParams()


def solve_coarse_to_fine(
    image: np.ndarray, trimap: np.ndarray, solve_level: SolveLevel, params: CoarseToFineParams = COARSE_TO_FINE
) -> tuple[np.ndarray, list[str]]:
    """Alpha of a picture with scribbles.

    Args:
        image: (h, w, 3) float32 in [0, 1].
        trimap: (h, w) uint8 {0, 128, 255}, most of it unknown.
        solve_level: solves one size.
        params: of the pyramid.

    Returns:
        (h, w) float32 in [0, 1], exactly 0 and 1 at known pixels; and notes for the user.
    """
    shapes = level_shapes(trimap.shape, params.coarsest)
    notes: list[str] = []
    alpha: np.ndarray | None = None
    for shape in shapes:
        finest = shape == trimap.shape
        small, known = (image, trimap) if finest else (area_average(image, shape), downsample_scribbles(trimap, shape))
        if not finest and (known == UNKNOWN).all():  # too thin a stroke for this size
            continue
        constraint = known if alpha is None else constrain(alpha, known, params)
        if (constraint == UNKNOWN).any():
            alpha, said = solve_level(small, constraint)
            notes += [note for note in said if note not in notes]
        else:
            alpha = (constraint == FOREGROUND).astype(np.float32)
        if not finest and len(np.unique(known[known != UNKNOWN])) == 1:
            alpha = _stretch(alpha, constraint == UNKNOWN, params)
    assert alpha is not None  # the finest size is always solved
    return alpha, notes


def level_shapes(shape: tuple[int, ...], coarsest: int) -> list[tuple[int, int]]:
    """Sizes (h, w) of the pyramid, the smallest first and `shape` last; short sides are halved down to `coarsest`."""
    height, width = shape[:2]
    shapes = [(height, width)]
    while min(shapes[-1]) >= 2 * coarsest:
        shapes.append((round(shapes[-1][0] / 2), round(shapes[-1][1] / 2)))
    return shapes[::-1]


def constrain(alpha: np.ndarray, known: np.ndarray, params: CoarseToFineParams = COARSE_TO_FINE) -> np.ndarray:
    """The trimap of one size, made of the strokes and of what the size before is certain of.

    Args:
        alpha: (h', w') float32 in [0, 1] of the size before.
        known: (h, w) uint8 {0, 128, 255}, the strokes.
        params: what is certain, and how far around the rest it is not.

    Returns:
        (h, w) uint8 {0, 128, 255}.
    """
    upsampled = resize(alpha, (known.shape[0], known.shape[1]))
    doubtful = (upsampled > params.certain) & (upsampled < 1 - params.certain)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (params.kernel, params.kernel))
    unknown = cv2.dilate(doubtful.astype(np.uint8), disc) > 0
    certain = np.where(upsampled > 0.5, FOREGROUND, BACKGROUND)
    return np.where(known != UNKNOWN, known, np.where(unknown, UNKNOWN, certain)).astype(np.uint8)


def _stretch(alpha: np.ndarray, unknown: np.ndarray, params: CoarseToFineParams) -> np.ndarray:
    """Stretch an alpha that one side alone decided, until its most opaque unknown pixels are opaque."""
    if not unknown.any():
        return alpha
    opaque = float(np.quantile(alpha[unknown], params.opaque_quantile))
    stretched = alpha / max(params.faintest, opaque)
    contrast = params.one_sided_contrast
    return np.clip((stretched - contrast) / (1 - 2 * contrast), 0, 1).astype(np.float32)
