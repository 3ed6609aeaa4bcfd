"""Which figures are printed under which name: region, scale and variant belong to every number."""

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
_TITLES = {"sad": "SAD", "mse": "MSE", "mad": "MAD", "grad": "Grad", "conn": "Conn", "dtssd": "dtSSD"}


@dataclass(frozen=True)
class Protocol:
    """A set of conventions. `scale` multiplies each figure; `region` is what it is usually quoted for.

    `first_frame`: whether a clip's mean dtSSD counts its first frame as 0, as RVM's script does, or leaves it out.
    """

    name: str
    region: str
    scale: MappingProxyType[str, float]
    first_frame: bool = False

    def title(self, name: str) -> str:
        """Column header with the scale: `SAD /1e3`, `MSE ×1e3`."""
        factor = self.scale[name]
        if factor == 1:
            return _TITLES[name]
        sign, size = ("×", factor) if factor > 1 else ("/", 1 / factor)
        return f"{_TITLES[name]} {sign}1e{round(np.log10(size))}"


def _scales(sad: float, mse: float, mad: float, grad: float, conn: float, dtssd: float) -> MappingProxyType[str, float]:
    return MappingProxyType(dict(zip(NAMES, (sad, mse, mad, grad, conn, dtssd), strict=True)))


_PUBLISHED = _scales(1e-3, 1e3, 1e3, 1e-3, 1e-3, 1e2)
PROTOCOLS = MappingProxyType(
    {
        # Rhemann et al. 2009 and everyone who quotes Composition-1k or Transparent-460.
        "alphamatting": Protocol("alphamatting", "unknown", _PUBLISHED),
        # RobustVideoMatting, SparseMat's tables. Grad without min-max normalisation, as in RVM's script for UHR.
        "rvm": Protocol("rvm", "whole", _PUBLISHED, first_frame=True),
        "raw": Protocol("raw", "whole", _scales(1, 1, 1, 1, 1, 1)),
    }
)
ALIASES = MappingProxyType({"video": "rvm"})


def get_protocol(name: str) -> Protocol:
    """The protocol of that name: alphamatting, rvm (also called video) or raw. Raises InputError for another."""
    try:
        return PROTOCOLS[ALIASES.get(name, name)]
    except KeyError:
        known = ", ".join([*PROTOCOLS, *ALIASES])
        raise InputError(f"There is no protocol '{name}'.", f"Choose one of: {known}.") from None


@dataclass(frozen=True)
class Scores:
    """Figures scaled as `protocol` says, over `pixels` pixels of `region` (whole, unknown, mask); None: not measured.
    Over a region without pixels there are none."""

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
        """What was measured, by name."""
        return {name: value for name in NAMES if (value := getattr(self, name)) is not None}

    @property
    def header(self) -> dict[str, str]:
        """Name → title with scale, for what was measured."""
        protocol = get_protocol(self.protocol)
        return {name: protocol.title(name) for name in self.values}

    def as_dict(self) -> dict[str, object]:
        """Everything that a reader needs to compare the figures: protocol, region, pixels, scale, values."""
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
    """All measures of one picture.

    pred, truth: (H, W) of uint8, uint16 or float in [0, 1]. region: None for the whole picture, a bool mask, or a
    trimap, of which the unknown pixels count; an empty one has no figures. `conn=False` leaves out Conn, the slowest.
    Raises InputError for sizes, dtypes or ranges that cannot be compared.
    """
    return _score(pred, truth, region, get_protocol(protocol), conn, None)


class ClipScores:
    """Measures of a clip, frame by frame in order, with dtSSD; holds one frame's error, whatever the clip's length."""

    def __init__(self, *, protocol: str = "rvm", conn: bool = True) -> None:
        self._protocol, self._conn, self._temporal = get_protocol(protocol), conn, TemporalError()

    def push(self, pred: Array, truth: Array, region: Array | None = None) -> Scores:
        """The scores of the next frame; `dtssd` is against the last one (first frame: 0 or None, by protocol)."""
        return _score(pred, truth, region, self._protocol, self._conn, self._temporal)


def mean_scores(scores: Sequence[Scores]) -> Scores:
    """The mean of each figure over the scores that have it, and the sum of pixels; protocol and region must agree.

    The figures are those of any of the scores: what was measured nowhere stays None.
    """
    if len({(s.protocol, s.region) for s in scores}) != 1:
        raise InputError("There is no mean of no scores, or of scores of different protocols or regions.")
    means: dict[str, float | None] = {}
    for name in NAMES:
        there = [value for s in scores if (value := getattr(s, name)) is not None]
        means[name] = float(np.mean(there)) if there else None
    first = scores[0]
    return Scores(first.protocol, first.region, sum(s.pixels for s in scores), **means)


def _score(
    pred: Array, truth: Array, region: Array | None, protocol: Protocol, conn: bool, temporal: TemporalError | None
) -> Scores:
    same_size(pred, truth)
    p, g, mask = as_unit(pred), as_unit(truth), as_region(region, truth.shape)
    sums = differences(p, g, mask)
    change = _temporal(temporal, p, g, mask, protocol)
    if not sums.pixels:
        return Scores(protocol.name, _region_name(region), 0)
    figures: dict[str, float | None] = {
        "sad": sums.absolute,
        "mse": sums.squared / sums.pixels,
        "mad": sums.absolute / sums.pixels,
        "grad": gradient_error(p, g, mask),
        "conn": connectivity_error(p, g, mask) if conn else None,
        "dtssd": change,
    }
    scaled = {name: None if value is None else value * protocol.scale[name] for name, value in figures.items()}
    return Scores(protocol.name, _region_name(region), sums.pixels, **scaled)


def _temporal(
    temporal: TemporalError | None, pred: Floats, truth: Floats, mask: Mask | None, protocol: Protocol
) -> float | None:
    value = None if temporal is None else temporal.push(pred, truth, mask)
    return 0.0 if value is None and temporal is not None and protocol.first_frame else value


def _region_name(region: Array | None) -> str:
    if region is None:
        return "whole"
    return "mask" if region.dtype == np.bool_ else "unknown"
