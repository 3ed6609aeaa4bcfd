"""By which chunks a PNG says what its colours mean: as a profile for every use, and as chunks for PNGs made of it.

cICP comes before iCCP, that before sRGB, and that before gAMA and cHRM. Source: PNG Specification, third edition (W3C
2025), 4.3 and 11.3.2; Rec. ITU-T H.273 (code points); Rec. ITU-R BT.2100 (PQ and HLG) and Report BT.2408 (reference
white of 203 nits).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from uhrmat.media.colour import icc_space
from uhrmat.media.icc import REC709, Chromaticities, differs, is_plausible, make_grey_profile, make_profile

COLOUR_CHUNKS = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"mDCV", b"cLLI")
"""Chunks of colour, in the order in which they are written; all stand before the palette and the pixels."""
_SRGB_GAMMA, _GAMMA_SLACK = 45455, 700
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
"""By their code in H.273."""
_POWER = {4: 2.2, 5: 2.8, 8: 1.0}
_CAMERA, _SRGB_CURVE, _PQ, _HLG = (1, 6, 14, 15), 13, 16, 18
_SAMPLES = 1024
_WHITE_NITS = 203.0
_WHITE = {_PQ: 0.5807, _HLG: 0.75}


def colour_chunks(chunks: Mapping[bytes, bytes], icc: bytes | None, grey: bool) -> tuple[tuple[bytes, bytes], ...]:
    """The chunks that stay true of RGB in a PNG made of this one; `icc` is what iCCP unpacks to, or None.

    There are none for grey whose own curve has been replaced.
    """
    own = png_profile(chunks, icc, grey)
    if grey and icc_space(own) == "GRAY":
        return ()
    kept = (kind for kind in COLOUR_CHUNKS if kind in chunks and (kind != b"iCCP" or icc_space(icc) == "RGB"))
    return tuple((kind, chunks[kind]) for kind in kept)


def white_signal(chunks: tuple[tuple[bytes, bytes], ...]) -> float:
    """The signal of reference white under a PNG's colour chunks, as carried: below 1 for PQ and HLG.

    The profile of those two is flat above it (see `png_profile`), so that a conversion may find any signal for white.
    """
    body = dict(chunks).get(b"cICP", b"")
    return _WHITE.get(body[1], 1.0) if len(body) == 4 else 1.0


def png_profile(chunks: Mapping[bytes, bytes], icc: bytes | None, grey: bool) -> bytes | None:
    """The profile that the colour chunks amount to, `icc` being that of iCCP; None where they say sRGB or nothing.

    Where a profile cannot hold it all, above the reference white of PQ and HLG, light is cut off.
    """
    if b"cICP" in chunks and not grey:
        found = _of_code_points(chunks[b"cICP"])
        if found is not None:
            return found or None
    if icc is not None or b"sRGB" in chunks:
        return icc
    return _of_gamma(chunks, grey)


def _of_code_points(body: bytes) -> bytes | None:
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
        power = x ** (1 / 78.84375)
        light = (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)
        return np.minimum(light * 10000 / _WHITE_NITS, 1)
    if transfer == _HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(x <= 0.5, x * x / 3, (np.exp((x - c) / a) + b) / 12)
        white = (np.exp((0.75 - c) / a) + b) / 12
        return np.minimum((scene / white) ** 1.2, 1)
    return None


def _of_gamma(chunks: Mapping[bytes, bytes], grey: bool) -> bytes | None:
    """gAMA and cHRM: sRGB's curve and primaries stand in for the one that is missing."""
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
    found: Chromaticities = (rest[0], rest[1], rest[2], rest[3], rest[4], rest[5], white_x, white_y)
    if not is_plausible(found) or not differs(found, REC709):
        return None
    try:
        make_profile(found, gamma=1.0)
    except ValueError:
        return None
    return found
