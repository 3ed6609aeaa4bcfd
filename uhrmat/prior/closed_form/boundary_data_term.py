"""A distance-based data term from the trimap's boundary: alpha 0 near the known background, 1 away from it.

People and programs draw a trimap around its subject. So what is unknown and not just beside the known background is
more likely the subject's, unless the colours say otherwise. This decides parts that no affinity reaches, such as a flag
wholly inside the unknown region before a background as dark. Our own, not from a paper; docs/research/prior.md has the
measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.media.distance import distance_to_edge
from uhrmat.sparsity.spatial import dilate


@dataclass(frozen=True, kw_only=True)
class BoundaryDataTermParams:
    """Parameters of the data term from the trimap's boundary. It is added to a matrix whose diagonal is about 1.

    Chosen with `python -m benchmarks.quality low` on photographs and `uhr` on composites (docs/research/prior.md):
    weights of 3e-5 and 7e-5, inner shares of 0.4 to 0.8 and a linear ramp were within 3 %. They may be changed.

    Attributes:
        weight: of the data term on a pixel. A smooth region passes on what it knows about 150 pixels against it.
            1e-4 was worse on composites.
        one_sided_weight: the same where no foreground is known, times the square of the distance from which on the
            whole weight counts, pixels: a smooth region then gets the same alpha at any size.
        one_sided_quantile: share of the unknown pixels that are nearer to the background than that distance. At half
            of the distance the weight is 0.
        inner_share: share of the unknown band's width, from the background, from which on the whole weight pulls to 1.
            At half of it the weight is 0, nearer to the background it pulls to 0.
        band_widths: widths of the band, in sides of a square as large as all that is not background. Up to the first
            the trimap is drawn around the subject and the weight is whole; from the second on the trimap is a few
            strokes and the weight is 0.
        far_shares: shares of unknown pixels far from either side. Up to the first they are gaps and loose ends and the
            weight is whole; from the second on a part of the background was left unknown and the weight is 0. The far
            pixels themselves have no data term.
    """

    weight: float = 4.5e-5
    one_sided_weight: float = 0.4
    one_sided_quantile: float = 0.9
    inner_share: float = 0.5
    band_widths: tuple[float, float] = (0.25, 0.4)
    far_shares: tuple[float, float] = (0.35, 0.45)


BOUNDARY_DEFAULTS = BoundaryDataTermParams()


def boundary_data_term(
    trimap: np.ndarray, params: BoundaryDataTermParams = BOUNDARY_DEFAULTS
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and target alphas for the unknown pixels of a trimap.

    Args:
        trimap: (h, w) uint8 {0, 128, 255} with n unknown pixels.
        params: weights and the shapes of trimaps for which they count.

    Returns:
        (n,) float64 weights, and (n,) float64 targets: 0 beside the known background, 1 away from it. The weights are 0
        where no background is known, and fall to 0 where the trimap is not drawn around anything.
    """
    unknown, front = trimap == 128, trimap == 255
    rim = front & dilate(unknown, 3)
    if not (trimap == 0).any():
        nothing = np.zeros(int(unknown.sum()))
        return nothing, nothing
    if not rim.any():
        return _one_sided(trimap, unknown, params)
    from_back, from_front = distance_to_edge(trimap != 0), distance_to_edge(~front)
    width = float(np.median(from_back[rim]))
    inside = np.minimum(1, from_back[unknown] / (params.inner_share * width))
    far = (from_front[unknown] > width) & (inside == 1)
    share = width / float(np.sqrt(np.count_nonzero(trimap)))
    drawn = np.interp(share, params.band_widths, (1, 0)) * np.interp(far.mean(), params.far_shares, (1, 0))
    weight = params.weight * drawn * (2 * inside - 1) ** 2
    return np.where(far, 0, weight), (inside > 0.5).astype(np.float64)


def _one_sided(
    trimap: np.ndarray, unknown: np.ndarray, params: BoundaryDataTermParams
) -> tuple[np.ndarray, np.ndarray]:
    """Where no foreground touches the unknown region (lace, glass, a feather), this term alone pulls to 1."""
    from_back = distance_to_edge(trimap != 0)[unknown]
    deep = np.quantile(from_back, params.one_sided_quantile)
    inside = np.minimum(1, from_back / deep)
    return params.one_sided_weight / deep**2 * (2 * inside - 1) ** 2, (inside > 0.5).astype(np.float64)
