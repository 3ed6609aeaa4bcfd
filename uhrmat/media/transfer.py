"""Transfer functions of HDR signals, as published in Rec. ITU-R BT.2100 (https://www.itu.int/rec/R-REC-BT.2100)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Float64 = npt.NDArray[np.float64]

PQ_PEAK_NITS = 10000.0
"""Luminance of the PQ signal 1 in cd/m²."""
WHITE_NITS = 203.0
"""Luminance of HDR's reference white in cd/m² (Report ITU-R BT.2408)."""
HLG_WHITE = 0.75
"""The HLG signal of reference white (Report ITU-R BT.2408)."""


def pq_to_light(signal: Float64) -> Float64:
    """The PQ EOTF: signals in [0, 1] of any shape to luminance in units of `PQ_PEAK_NITS`."""
    power = signal ** (1 / 78.84375)
    light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
    return np.asarray(light)


def hlg_to_light(signal: Float64 | np.float64) -> Float64:
    """The inverse OETF of HLG: signals in [0, 1] of any shape to scene light in [0, 1]."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.asarray(np.where(signal <= 0.5, signal * signal / 3, (np.exp((signal - c) / a) + b) / 12))
