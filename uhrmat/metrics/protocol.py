"""Protocols: region and scale with which papers state their scores, and scores of pictures and clips by them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.metrics.arrays import Array, Floats, Mask, as_region, as_unit, same_size
from uhrmat.metrics.connectivity import connectivity_error
from uhrmat.metrics.pixels import differences, gradient_error
from uhrmat.metrics.temporal import TemporalError

NAMES = ("sad", "mse", "mad", "grad", "conn", "dtssd")
"""Names of the scores, in the order of tables."""
_TITLES = {"sad": "SAD", "mse": "MSE", "mad": "MAD", "grad": "Grad", "conn": "Conn", "dtssd": "dtSSD"}


@dataclass(frozen=True)
class Protocol:
    """Conventions of a benchmark.

    Attributes:
        name: Of the protocol.
        region: "whole" or "unknown", the region for which its scores are usually stated.
        scale: Factor on each score, by name.
        first_frame: Whether a clip's mean dtSSD counts its first frame as 0, else it is left out.
    """

    name: str
    region: str
    scale: MappingProxyType[str, float]
    first_frame: bool = False

    def title(self, name: str) -> str:
        """Column header of a score with its scale, like `SAD /1e3` or `MSE ×1e3`."""
        factor = self.scale[name]
        if factor == 1:
            return _TITLES[name]
        sign, size = ("×", factor) if factor > 1 else ("/", 1 / factor)
        return f"{_TITLES[name]} {sign}1e{round(np.log10(size))}"


def _scales(sad: float, mse: float, mad: float, grad: float, conn: float, dtssd: float) -> MappingProxyType[str, float]:
    return MappingProxyType(dict(zip(NAMES, (sad, mse, mad, grad, conn, dtssd), strict=True)))


_PUBLISHED = _scales(1e-3, 1e3, 1e3, 1e-3, 1e-3, 1e2)
"""Scales of published tables: SAD, Grad and Conn in thousands, MSE and MAD in thousandths, dtSSD in hundredths."""
PROTOCOLS = MappingProxyType(
    {
        # Rhemann et al., CVPR 2009 (see `pixels`), and tables on Composition-1k and Transparent-460.
        "alphamatting": Protocol("alphamatting", "unknown", _PUBLISHED),
        # Lin, Yang, Saleemi, Sengupta: "Robust High-Resolution Video Matting with Temporal Guidance", WACV 2022,
        # https://arxiv.org/abs/2108.11515, and SparseMat's tables. Like its script for ultra-high resolution, Grad
        # without min-max normalisation, and dtSSD 0 for the first frame.
        "rvm": Protocol("rvm", "whole", _PUBLISHED, first_frame=True),
        "raw": Protocol("raw", "whole", _scales(1, 1, 1, 1, 1, 1)),
    }
)
"""Protocols by name; "raw" scales nothing."""
ALIASES = MappingProxyType({"video": "rvm"})


def get_protocol(name: str) -> Protocol:
    """Look up a protocol.

    Args:
        name: "alphamatting", "rvm" (also "video") or "raw".

    Raises:
        InputError: There is no protocol of that name.
    """
    try:
        return PROTOCOLS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join([*PROTOCOLS, *ALIASES])
        raise InputError(f"There is no protocol '{name}'.", f"Choose one of: {known}.") from None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores of a picture or a frame, or their mean. A score that was not measured is None.

    Attributes:
        protocol: Name of the protocol, whose scales are applied.
        region: "whole", "unknown" or "mask".
        pixels: Number of pixels in the region; where it is 0, nothing was measured.
        sad: Sum of absolute differences.
        mse: Mean squared error.
        mad: Mean absolute difference.
        grad: Gradient error, see `pixels.gradient_error`.
        conn: Connectivity error, see `connectivity.connectivity_error`.
        dtssd: Temporal error, see `temporal.TemporalError`.
    """

    protocol: str
    region: str
    pixels: int
    sad: float | None = None
    mse: float | None = None
    mad: float | None = None
    grad: float | None = None
    conn: float | None = None
    dtssd: float | None = None

    @property
    def values(self) -> dict[str, float]:
        """Measured scores by name."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    @property
    def header(self) -> dict[str, str]:
        """Titles with scale of the measured scores, by name."""
        protocol = get_protocol(self.protocol)
        return {name: protocol.title(name) for name in self.values}

    def as_dict(self) -> dict[str, object]:
        """As JSON takes it: protocol, region, pixels, scale and the measured scores."""
        scale = get_protocol(self.protocol).scale
        return {
            "protocol": self.protocol,
            "region": self.region,
            "pixels": self.pixels,
            "scale": {name: scale[name] for name in self.values},
            **self.values,
        }


def score(
    pred: Array, truth: Array, region: Array | None = None, *, protocol: str = "alphamatting", conn: bool = True
) -> Scores:
    """Measure one picture.

    Args:
        pred: (H, W) uint8, uint16, bool or float in [0, 1].
        truth: The same, the ground truth.
        region: (H, W) bool mask, a trimap, whose unknown pixels count, or None for the whole picture. Over an empty
            region nothing is measured.
        protocol: See `get_protocol`.
        conn: Whether Conn, the slowest, is measured.

    Raises:
        InputError: Sizes, types or ranges that cannot be compared, or an unknown protocol.
    """
    return _score(pred, truth, region, get_protocol(protocol), conn, None)


class ClipScores:
    """Scores of a clip's frames, with dtSSD. It keeps the error of one frame.

    Args:
        protocol: See `get_protocol`.
        conn: Whether Conn, the slowest, is measured.
    """

    def __init__(self, *, protocol: str = "rvm", conn: bool = True) -> None:
        self._protocol, self._conn, self._temporal = get_protocol(protocol), conn, TemporalError()

    def push(self, pred: Array, truth: Array, region: Array | None = None) -> Scores:
        """Measure the next frame; arguments and errors as `score`.

        Returns:
            Its scores; `dtssd` is against the last frame, for the first one 0 or None as the protocol says.
        """
        return _score(pred, truth, region, self._protocol, self._conn, self._temporal)


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """Mean of each score over those that have it, and the sum of pixels.

    Args:
        scores: Of one protocol and region, at least one.

    Raises:
        InputError: No scores, or protocols or regions differ.
    """
    if len({(s.protocol, s.region) for s in scores}) != 1:
        raise InputError("A mean needs at least one score, and all of one protocol and region.")
    means: dict[str, float | None] = {}
    for name in NAMES:
        values = [value for s in scores if (value := getattr(s, name)) is not None]
        means[name] = float(np.mean(values)) if values else None
    first = scores[0]
    pixels = sum(s.pixels for s in scores)
    return Scores(protocol=first.protocol, region=first.region, pixels=pixels, **means)


def _score(
    pred: Array, truth: Array, region: Array | None, protocol: Protocol, conn: bool, temporal: TemporalError | None
) -> Scores:
    same_size(pred, truth)
    p, g, mask = as_unit(pred), as_unit(truth), as_region(region, truth.shape)
    sums = differences(p, g, mask)
    change = _temporal(temporal, p, g, mask, protocol)
    if not sums.pixels:
        return Scores(protocol=protocol.name, region=_region_name(region), pixels=0)
    figures: dict[str, float | None] = {
        "sad": sums.absolute,
        "mse": sums.squared / sums.pixels,
        "mad": sums.absolute / sums.pixels,
        "grad": gradient_error(p, g, mask),
        "conn": connectivity_error(p, g, mask) if conn else None,
        "dtssd": change,
    }
    scaled = {name: None if value is None else value * protocol.scale[name] for name, value in figures.items()}
    return Scores(protocol=protocol.name, region=_region_name(region), pixels=sums.pixels, **scaled)


def _temporal(
    temporal: TemporalError | None, pred: Floats, truth: Floats, mask: Mask | None, protocol: Protocol
) -> float | None:
    value = None if temporal is None else temporal.push(pred, truth, mask)
    return 0.0 if value is None and temporal is not None and protocol.first_frame else value


def _region_name(region: Array | None) -> str:
    if region is None:
        return "whole"
    return "mask" if region.dtype == np.bool_ else "unknown"
