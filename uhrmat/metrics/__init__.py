"""SAD, MSE, MAD, Grad, Conn and dtSSD of alpha mattes, over the whole picture or a region, with protocol and scale.

`score` measures a picture, `ClipScores` a clip frame by frame; both return `Scores`. The measures themselves, unscaled,
are `differences`, `gradient_error`, `connectivity_error` and `TemporalError`. All but the search for connected
components works in strips.
"""

from uhrmat.metrics.arrays import as_unit, unknown_region
from uhrmat.metrics.connectivity import connectivity_error
from uhrmat.metrics.pixels import differences, gradient_error
from uhrmat.metrics.protocol import (
    NAMES,
    PROTOCOLS,
    ClipScores,
    Protocol,
    Scores,
    get_protocol,
    mean_scores,
    score,
)
from uhrmat.metrics.temporal import TemporalError

__all__ = [
    "NAMES",
    "PROTOCOLS",
    "ClipScores",
    "Protocol",
    "Scores",
    "TemporalError",
    "as_unit",
    "connectivity_error",
    "differences",
    "get_protocol",
    "gradient_error",
    "mean_scores",
    "score",
    "unknown_region",
]
