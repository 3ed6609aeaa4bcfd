"""The low-resolution alpha of a key frame whose hint is a trimap, a whole one or a few strokes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from uhrmat.hints.scribbles import are_scribbles
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.prefetch import downsample_known

Method = Callable[[np.ndarray, LowResHints], PriorResult]


def solve_key_trimap(picture: np.ndarray, trimap: np.ndarray, method: Method) -> np.ndarray:
    """Solve the alpha of a key frame.

    Where the trimap leaves most of the frame unknown, thin strokes are kept when it is downsampled, and the prior is
    the one that solves scribbles coarse to fine, whichever affinity prior `method` is.

    Args:
        picture: (h, w, 3) float32 RGB in [0, 1], the frame at low resolution.
        trimap: (H, W) uint8 {0, 128, 255} of the frame.
        method: the prior.

    Returns:
        (h, w) float32 in [0, 1].
    """
    if are_scribbles(trimap) and isinstance(method, AffinityPrior):
        method = method.called(CLOSED_FORM_KNN)
    return method(picture, LowResHints(downsample_known(trimap, (picture.shape[0], picture.shape[1])))).alpha
