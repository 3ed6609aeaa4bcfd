"""Networks' alphas made into mattes: a coarse alpha becomes a trimap as a mask does, and the affinity prior solves it.

A network at 256 to 1024 pixels knows where the subject is, but its edge is soft, and a cluttered background stays
faintly above zero: all of that would be active. So its alpha is thresholded with hysteresis, small parts and holes are
removed, a band around the edge and what the network is unsure of become unknown, and `closed-form+knn` solves those.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.coding import BACKGROUND, FOREGROUND, UNKNOWN
from uhrmat.media.distance import distance_to_edge


@dataclass(frozen=True, kw_only=True)
class CoarseParams:
    """Parameters of the trimap that is made from a network's alpha. All may be changed.

    `seed`, `grow` and `least_part` were chosen on photographs of dev/validation with three networks, `band` is that of
    the way before; see docs/research/no-hints.md.

    Attributes:
        seed: a part is the subject's only if the network's alpha reaches this somewhere in it.
        grow: the part extends as far as the alpha is at least this.
        least_part: parts smaller than this share of the largest are removed.
        least_hole: holes smaller than this share of the subject become unknown instead of background.
        certain: alphas up to this far from 0 or 1 are taken as certain.
        band: half the width of the unknown band around the edge, as a share of the short side.
        reach: how far from the edge uncertain pixels are unknown, as a share of the short side; farther outside they
            are background, farther inside foreground.
    """

    seed: float = 0.6
    grow: float = 0.5
    least_part: float = 0.02
    least_hole: float = 0.003
    certain: float = 0.1
    band: float = 0.015
    reach: float = 0.03


COARSE_DEFAULTS = CoarseParams()


def subject_region(alpha: np.ndarray, params: CoarseParams = COARSE_DEFAULTS) -> np.ndarray:
    """Threshold a network's alpha with hysteresis and remove small parts and holes.

    Args:
        alpha: (h, w) float32 in [0, 1].
        params: thresholds.

    Returns:
        (h, w) bool, nowhere True where no pixel reaches `params.seed`.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats((alpha >= params.grow).astype(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[alpha >= params.seed])] = True
    keep[0] = False
    if not keep.any():
        return np.zeros(alpha.shape, bool)
    keep &= area >= params.least_part * area[keep].max()
    region = keep[labels]
    _, labels, stats, _ = cv2.connectedComponentsWithStats((~region).astype(np.uint8), connectivity=4)
    small = stats[:, cv2.CC_STAT_AREA] < params.least_hole * region.sum()
    small[0] = False
    return np.asarray(region | small[labels])


def trimap_from_coarse(alpha: np.ndarray, params: CoarseParams = COARSE_DEFAULTS) -> np.ndarray:
    """Make a trimap from a network's alpha.

    Args:
        alpha: (h, w) float32 in [0, 1].
        params: thresholds and widths.

    Returns:
        (h, w) uint8 {0, 128, 255}; background everywhere where there is no subject.
    """
    region = subject_region(alpha, params)
    trimap = np.full(alpha.shape, BACKGROUND, np.uint8)
    if not region.any():
        return trimap
    short = min(alpha.shape)
    band, reach = max(2.0, params.band * short), max(2.0, params.reach * short)
    outside, inside = distance_to_edge(~region), distance_to_edge(region)
    trimap[(outside <= band) | ((outside <= reach) & (alpha > params.certain))] = UNKNOWN
    deep = (inside > reach) & (alpha >= params.grow)  # not the small holes that were filled
    trimap[deep | ((inside > band) & (alpha >= 1 - params.certain))] = FOREGROUND
    return trimap
