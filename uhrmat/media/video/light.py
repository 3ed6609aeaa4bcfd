"""From a stream's signal to scene-linear light, by its transfer and primaries, and what stills of it say of themselves.

1.0 is the reference white of HDR (Report ITU-R BT.2408: 203 cd/m² in PQ, the signal 0.75 in HLG), so that it lies where
the white of other footage does. HLG gives scene light by its inverse OETF, without a display's system gamma. BT.709
and the curves of its family are taken for sRGB's, as those of stills are.

Sources: Rec. ITU-T H.273 (code points), Rec. ITU-R BT.2100 (PQ, HLG), SMPTE ST 240, SMPTE ST 428-1.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import OutputError
from uhrmat.media.colour import srgb_decode
from uhrmat.media.icc import REC709, Chromaticities
from uhrmat.media.png_colour import PRIMARIES, png_profile
from uhrmat.media.transfer import HLG_WHITE, PQ_PEAK_NITS, WHITE_NITS, hlg_to_light, pq_to_light
from uhrmat.media.video.types import Array, ColourTags, FloatArray

_XYZ: Chromaticities = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1 / 3, 1 / 3)
_NAMED: dict[int, Chromaticities] = {
    8: (0.681, 0.319, 0.243, 0.692, 0.145, 0.049, 0.310, 0.316),
    10: _XYZ,
    22: (0.630, 0.340, 0.295, 0.605, 0.155, 0.077, 0.3127, 0.3290),
}
_LIKE_SRGB = (0, 1, 2, 3, 6, 11, 12, 13, 14, 15)
"""sRGB's curve itself, the BT.709 family, and what is not png_colour_of."""
_PLAIN_PRIMARIES = (0, 1, 2, 3)
_POWER = {4: 2.2, 5: 2.8, 8: 1.0}
_LOG = {9: 2.0, 10: 2.5}
_PQ, _HLG, _DCI, _SMPTE240M = 16, 18, 17, 7
_NAMES = {9: "logarithmic", 10: "logarithmic", _PQ: "PQ", _HLG: "HLG", 4: "gamma 2.2", 5: "gamma 2.8", _DCI: "DCI"}
_SMALL = (1, 5, 6, 7)
"""Primaries that stills need not state: those of BT.709 and of standard definition."""


def is_plain(tags: ColourTags | None) -> bool:
    """Whether the signal is read as sRGB, which stills are: nothing has to be stated or computed."""
    return tags is None or (tags.transfer in _LIKE_SRGB and tags.primaries in _PLAIN_PRIMARIES)


def check_known(tags: ColourTags | None) -> None:
    """Raises OutputError where it is not known what light a signal means."""
    if tags is None:
        return
    known = tags.transfer in (*_LIKE_SRGB, *_POWER, *_LOG, _PQ, _HLG, _DCI, _SMPTE240M)
    if not known or (tags.primaries not in _PLAIN_PRIMARIES and primaries_of(tags) is None):
        what = f"primaries {tags.primaries}" if known else f"transfer {tags.transfer}"
        raise OutputError(
            f"The clip has the {what} of H.273, so its light, which EXR holds, is not known.",
            "Choose another codec, or convert the clip to BT.709 or BT.2020 first.",
        )


def primaries_of(tags: ColourTags) -> Chromaticities | None:
    """Those that the tags state; None for Rec. 709's, for what is not stated and for what is not known."""
    primaries = PRIMARIES.get(tags.primaries) or _NAMED.get(tags.primaries)
    return None if primaries == REC709 else primaries


def to_scene_linear(rgb: Array, transfer: int) -> FloatArray:
    """A signal (H, W, 3), uint8, uint16 or floats in [0, 1], as scene-linear float32."""
    if rgb.dtype.kind == "f":
        return curve(np.clip(rgb, 0.0, 1.0), transfer)
    return _table(transfer, rgb.dtype.itemsize * 8)[rgb]


@lru_cache(maxsize=4)
def _table(transfer: int, bits: int) -> FloatArray:
    top = 2**bits - 1
    return curve(np.arange(top + 1) / top, transfer)


def curve(signal: npt.NDArray[np.floating], transfer: int) -> FloatArray:
    """Light for a signal in [0, 1] under an H.273 transfer that `check_known` lets pass."""
    x = np.asarray(signal, np.float64)
    if transfer == _PQ:
        light = pq_to_light(x) * (PQ_PEAK_NITS / WHITE_NITS)
    elif transfer == _HLG:
        light = hlg_to_light(x) / hlg_to_light(np.float64(HLG_WHITE))
    elif transfer in _LOG:
        light = np.where(x > 0, 10 ** (_LOG[transfer] * (x - 1)), 0.0)
    elif transfer in _POWER:
        light = x ** _POWER[transfer]
    elif transfer == _DCI:
        light = x**2.6 * (52.37 / 48)
    elif transfer == _SMPTE240M:
        light = np.where(x < 0.0912, x / 4, ((x + 0.1115) / 1.1115) ** (1 / 0.45))
    else:
        return srgb_decode(x)
    return np.asarray(light, np.float32)


def png_colour_of(tags: ColourTags | None) -> tuple[tuple[tuple[bytes, bytes], ...], bytes | None]:
    """The colour chunks of a PNG made of full-range RGB with these tags, and the profile that says the same, as far
    as one can; nothing where the signal is BT.709's, standard definition's, or not png_colour_of."""
    if tags is None or (tags.transfer in _LIKE_SRGB and tags.primaries in (*_PLAIN_PRIMARIES, *_SMALL)):
        return (), None
    primaries = 1 if tags.primaries in _PLAIN_PRIMARIES else tags.primaries
    transfer = 1 if tags.transfer in (0, 2, 3) else tags.transfer
    body = bytes((primaries, transfer, 0, 1))
    return ((b"cICP", body),), png_profile({b"cICP": body}, None, grey=False)


def light_note(tags: ColourTags | None) -> list[str]:
    """A note on EXR frames of a clip whose signal is not like sRGB's."""
    if tags is None or tags.transfer not in _NAMES:
        return []
    white = "; 1.0 is the reference white of BT.2408" if tags.transfer in (_PQ, _HLG) else ""
    return [f"the clip's {_NAMES[tags.transfer]} signal is scene-linear light in the EXR frames{white}"]
