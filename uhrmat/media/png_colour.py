"""The colour chunks of a PNG: as a profile for conversions, and as chunks for PNGs that are made of it.

cICP takes precedence over iCCP, that over sRGB, and that over gAMA and cHRM. Sources: PNG Specification, third edition
(https://www.w3.org/TR/png-3/), 4.3 and 11.3.2; Rec. ITU-T H.273 (code points, https://www.itu.int/rec/T-REC-H.273);
Rec. ITU-R BT.2100 (PQ and HLG) and Report ITU-R BT.2408 (reference white of 203 cd/m²).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from uhrmat.media.colour import icc_space
from uhrmat.media.icc import REC709, Chromaticities, differs, is_plausible, make_grey_profile, make_profile
from uhrmat.media.transfer import HLG_WHITE, PQ_PEAK_NITS, WHITE_NITS, hlg_to_light, pq_to_light

COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
"""Colour chunks in the order in which they are written, before the palette and the pixels."""
_SRGB_GAMMA, _GAMMA_SLACK = 45455, 700
"""gAMA of sRGB, and how far one may be off and still mean sRGB, in 1/100000: a tolerance of 1.5 %."""
_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
PRIMARIES: dict[int, Chromaticities] = {
    1: REC709,
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, *_C),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.314, 0.351),
    12: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06, *_D65),
}
"""Chromaticities by their code in H.273."""
_POWER = {4: 2.2, 5: 2.8, 8: 1.0}
_CAMERA, _SRGB_CURVE, _PQ, _HLG = (1, 6, 14, 15), 13, 16, 18
_SAMPLES = 1024
"""Samples of a profile's curve."""
_HLG_GAMMA = 1.2
"""The system gamma of HLG on a display of 1000 cd/m² (BT.2100)."""
_WHITE = {_PQ: 0.5807, _HLG: HLG_WHITE}
"""The signal of reference white."""


def colour_chunks(chunks: Mapping[bytes, bytes], icc: bytes | None, grey: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The colour chunks that hold for an RGB PNG made of this one.

    Args:
        chunks: The first chunk of each kind of the file.
        icc: The profile in iCCP, or None.
        grey: The file is grey.

    Returns:
        Kind and data of each chunk; none for grey with a profile of its own, whose curve is replaced on reading.
    """
    own = png_profile(chunks, icc, grey)
    if grey and icc_space(own) == "GRAY":
        return ()
    kept = (kind for kind in COLOUR_CHUNKS if kind in chunks and (kind != b"iCCP" or icc_space(icc) == "RGB"))
    return tuple((kind, chunks[kind]) for kind in kept)


def white_signal(chunks: tuple[tuple[bytes, bytes], ...]) -> float:
    """The signal of reference white under a PNG's `colour_chunks`: below 1 for PQ and HLG.

    The profile of those two is flat above it (see `png_profile`), so that a conversion may give any signal for white.
    """
    body = dict(chunks).get(b"cICP", b"")
    return _WHITE.get(body[1], 1.0) if len(body) == 4 else 1.0


def png_profile(chunks: Mapping[bytes, bytes], icc: bytes | None, grey: bool) -> bytes | None:
    """The profile that is equal to a PNG's colour chunks.

    Light above the reference white of PQ and HLG, which a profile cannot hold, is clipped.

    Args:
        chunks: The first chunk of each kind of the file.
        icc: The profile in iCCP, or None.
        grey: The file is grey.

    Returns:
        None where the chunks mean sRGB or are missing.
    """
    if b"cICP" in chunks and not grey:
        profile = _code_point_profile(chunks[b"cICP"])
        if profile is not None:
            return profile or None
    if icc is not None or b"sRGB" in chunks:
        return icc
    return _gamma_profile(chunks, grey)


def _code_point_profile(body: bytes) -> bytes | None:
    """A profile, b"" for sRGB itself, None for code points that are unknown."""
    if len(body) != 4:
        return None
    primaries, transfer = PRIMARIES.get(body[0]), body[1]
    if primaries is None:
        return None
    if transfer == _SRGB_CURVE:
        return b"" if primaries == REC709 else make_profile(primaries, curve=_srgb_curve())
    if transfer in _POWER:
        return make_profile(primaries, gamma=_POWER[transfer])
    curve = _curve(transfer)
    return None if curve is None else make_profile(primaries, curve=curve)


def _srgb_curve() -> npt.NDArray[np.float64]:
    x = np.linspace(0, 1, _SAMPLES)
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def _curve(transfer: int) -> npt.NDArray[np.float64] | None:
    """Light from 0 to 1 for signals from 0 to 1."""
    x = np.linspace(0, 1, _SAMPLES)
    if transfer in _CAMERA:
        return np.where(x < 0.081, x / 4.5, ((x + 0.099) / 1.099) ** (1 / 0.45))
    if transfer == _PQ:
        return np.asarray(np.minimum(pq_to_light(x) * PQ_PEAK_NITS / WHITE_NITS, 1))
    if transfer == _HLG:
        return np.asarray(np.minimum((hlg_to_light(x) / hlg_to_light(np.float64(HLG_WHITE))) ** _HLG_GAMMA, 1))
    return None


def _gamma_profile(chunks: Mapping[bytes, bytes], grey: bool) -> bytes | None:
    """The profile of gAMA and cHRM; sRGB's curve or primaries replace the one that is missing."""
    stated = _gamma(chunks)
    primaries = None if grey else _primaries(chunks)
    if stated is None and primaries is None:
        return None
    srgb_curve = stated is None or abs(stated - _SRGB_GAMMA) <= _GAMMA_SLACK
    if grey:
        return None if srgb_curve or stated is None else make_grey_profile(100000 / stated)
    if srgb_curve:
        return None if primaries is None else make_profile(primaries, curve=_srgb_curve())
    assert stated is not None
    return make_profile(primaries or REC709, gamma=100000 / stated)


def _gamma(chunks: Mapping[bytes, bytes]) -> int | None:
    """The exponent of encoding in hundred thousandths; None where there is none or it is absurd."""
    body = chunks.get(b"gAMA", b"")
    if len(body) != 4:
        return None
    (value,) = struct.unpack(">I", body)
    return int(value) if 10000 <= value <= 1000000 else None


def _primaries(chunks: Mapping[bytes, bytes]) -> Chromaticities | None:
    """Of cHRM; None for sRGB's own and for such as span no colours."""
    body = chunks.get(b"cHRM", b"")
    if len(body) != 32:
        return None
    white_x, white_y, *rest = (number / 100000 for number in struct.unpack(">8I", body))
    own: Chromaticities = (rest[0], rest[1], rest[2], rest[3], rest[4], rest[5], white_x, white_y)
    if not is_plausible(own) or not differs(own, REC709):
        return None
    try:
        make_profile(own, gamma=1.0)
    except ValueError:
        return None
    return own
