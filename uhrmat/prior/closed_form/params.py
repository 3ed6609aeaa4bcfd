"""Parameters of the affinity priors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uhrmat.prior.closed_form.boundary_data_term import BOUNDARY_DEFAULTS, BoundaryDataTermParams
from uhrmat.prior.closed_form.coarse_to_fine import COARSE_TO_FINE, CoarseToFineParams
from uhrmat.prior.closed_form.knn_affinities import KNN_DEFAULTS, KnnParams


@dataclass(frozen=True, kw_only=True)
class ClosedFormParams:
    """Parameters of the affinity priors. All may be changed; another value changes every matte made from a trimap.

    Those marked K are of `closed-form+knn` alone and were chosen with `python -m benchmarks.quality low` on
    photographs and `uhr` on composites, see docs/research/prior.md. The weights of the bundled refiners were trained
    behind this prior, so measure the finished alpha too.

    Attributes:
        knn_steps: K. Pairs of the weight of the non-local affinities, against the Laplacian's own of about 1, and the
            difference of alpha at which an affinity falls to a quarter (`reweighted_laplacian`). The system is solved
            once for each pair, starting from the solution before: strong and all alike at first, so that alpha reaches
            what only like pixels know, then weaker and robust.
        leak: K. Alphas up to this far from 0 and 1 become 0 and 1 and the rest is stretched between them: affinities
            between foreground and background of one colour leak that much. In [0, 0.5). Going from 0.02 to 0.03 and
            0.04 took 1 and 2 % off the SAD on composites; a larger one cuts off faint hair.
        opaque_quantile: K. Where the trimap knows one side only, the result is stretched until this quantile of the
            unknown pixels is opaque.
        faintest: K. But never by more than 1 / `faintest`.
        knn: K. Parameters of the non-local affinities.
        boundary: K. Parameters of the data term from the trimap's boundary.
        estimate_weight: K. Of the data term that draws alpha to `Start.estimate`, against a matrix whose diagonal is
            about 1.
        coarse_to_fine: K. How trimaps that leave most of the picture unknown are solved.
        tolerance: relative residual at which the conjugate gradient solver stops. PyMatting's default of 1e-7 is more
            than 8 bits of alpha can show. Not tuned.
        rough_tolerance: K. The same of all solutions but the last, which only decide the affinities' weights. Not
            tuned.
        max_steps: steps of the solver before it gives up; twice as many with Jacobi's preconditioner.
        preconditioner: pairs of the discard threshold of the incomplete Cholesky factor and the shifts that are tried
            with it, in order until one succeeds. PyMatting's threshold of 1e-4 takes longer than it saves. Changes the
            time, not the result.
        preconditioner_diagonal: K. What is added to the factored matrix's diagonal in place of the affinities, whose
            Laplacian has a diagonal of about 1 times their weight. Changes the time, not the result.
        margin: known pixels around the unknown ones that the solved bounding box holds, pixels. At least 2, the reach
            of the Laplacian's 3 × 3 windows.
        kernel_radius: of lkm, pixels; less in small pictures. PyMatting's default.
        known_weight: of lkm, weight that holds known pixels at their alpha. PyMatting's default.
    """

    knn_steps: tuple[tuple[float, float], ...] = ((0.03, np.inf), (0.024, 0.1), (0.018, 0.06))
    leak: float = 0.04
    opaque_quantile: float = 0.99
    faintest: float = 0.05
    knn: KnnParams = KNN_DEFAULTS
    boundary: BoundaryDataTermParams = BOUNDARY_DEFAULTS
    estimate_weight: float = 1e-2
    coarse_to_fine: CoarseToFineParams = COARSE_TO_FINE
    tolerance: float = 1e-5
    rough_tolerance: float = 1e-4
    max_steps: int = 2000
    preconditioner: tuple[tuple[float, tuple[float, ...]], ...] = ((2e-3, (1e-4, 1e-3, 1e-2)), (1e-2, (1e-1, 1.0)))
    preconditioner_diagonal: float = 0.01
    margin: int = 4
    kernel_radius: int = 10
    known_weight: float = 100.0


CLOSED_FORM_DEFAULTS = ClosedFormParams()
