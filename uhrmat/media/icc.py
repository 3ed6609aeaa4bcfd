"""ICC profiles: making them, and converting by LittleCMS through imagecodecs, its only wrapper for 16 bits and floats.

Sources: ICC.1:2022 (profile version 4.4, https://www.color.org/specification/ICC.1-2022-05.pdf); primaries and white
of Rec. ITU-R BT.709 (https://www.itu.int/rec/R-REC-BT.709).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Chromaticities = tuple[float, float, float, float, float, float, float, float]
"""x and y of red, green, blue and white, in EXR's order."""

REC709: Chromaticities = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
_DATE = slice(24, 36)
"""The bytes of a profile that hold its date, which are set to 1 January 2000."""
_FIXED_DATE = b"\x07\xd0\x00\x01\x00\x01\x00\x00\x00\x00\x00\x00"
_GRID = 6
"""Levels of each channel at which a profile is compared with sRGB: 216 colours."""
_ROWS = 64
"""Rows that are converted at once."""
_SAME_CHROMATICITIES = 0.002
"""Chromaticities count as equal up to this difference: profiles store them rounded and adapted to D50."""
_LEAST_VOLUME = 1e-6
"""The least determinant of a matrix of primaries that span colours."""


def make_profile(chromaticities: Chromaticities, gamma: float | None = None, curve: Array | None = None) -> bytes:
    """Make an RGB profile. It is dated 1 January 2000, so that the same input gives the same bytes.

    Args:
        chromaticities: Of primaries and white.
        gamma: The exponent of a power as transfer curve.
        curve: Instead of it, samples of light in [0, 1] at equally spaced signals from 0 to 1.

    Raises:
        ValueError: The primaries span no colours.
    """
    import imagecodecs

    *primaries, white_x, white_y = chromaticities
    triples = [number for n in range(0, 6, 2) for number in (primaries[n], primaries[n + 1], 1.0)]
    try:
        icc = bytes(
            imagecodecs.cms_profile(
                "rgb",
                whitepoint=(white_x, white_y, 1.0),
                primaries=triples,
                transferfunction=None if curve is None else np.asarray(curve, np.float32),
                gamma=gamma,
            )
        )
    except Exception as error:  # the binding's own class, and ValueError
        raise ValueError(f"no profile has the chromaticities {chromaticities}") from error
    return icc[: _DATE.start] + _FIXED_DATE + icc[_DATE.stop :]


def make_grey_profile(gamma: float) -> bytes:
    """Make a grey profile whose transfer curve is a power."""
    import imagecodecs

    icc = bytes(imagecodecs.cms_profile("gray", whitepoint=(*REC709[6:], 1.0), gamma=gamma))
    return icc[: _DATE.start] + _FIXED_DATE + icc[_DATE.stop :]


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """LittleCMS's sRGB profile, with the fixed date."""
    import imagecodecs

    icc = bytes(imagecodecs.cms_profile("srgb"))
    return icc[: _DATE.start] + _FIXED_DATE + icc[_DATE.stop :]


@lru_cache(maxsize=1)
def _linear_rec709() -> bytes:
    return make_profile(REC709, gamma=1.0)


def convert(pixels: Array, icc: bytes | None, to: bytes | None, dtype: str | None = None) -> Array:
    """Convert RGB from one profile to another, relative colorimetric.

    Args:
        pixels: (H, W, 3) uint8, uint16, or float32 in [0, 1].
        icc: Their profile; None: sRGB.
        to: The profile of the result; None: sRGB.
        dtype: The type of the result; by default that of `pixels`.

    Raises:
        InputError: A profile is not usable.
    """
    import imagecodecs

    result_type = np.dtype(dtype or pixels.dtype)
    deep = np.float32 if max(result_type.itemsize, pixels.dtype.itemsize) > 1 else np.uint8
    top = np.float32(1 if result_type.kind == "f" or deep is np.uint8 else np.iinfo(result_type).max)
    out = np.empty(pixels.shape, result_type)
    source, target = icc or srgb_profile(), to or srgb_profile()
    try:
        for y in range(0, len(pixels), _ROWS):  # in floats: its integers of 16 bits are a thousandth off
            converted = imagecodecs.cms_transform(
                _as(pixels[y : y + _ROWS], deep), source, target, colorspace="rgb", outcolorspace="rgb",
                outdtype=np.dtype(deep).name,
            )  # fmt: skip
            out[y : y + _ROWS] = converted if top == 1 else np.rint(np.clip(converted * top, 0, top))
    except Exception as error:  # the binding's own class
        raise InputError(
            "The picture's colour profile cannot be used.", "Convert the picture to sRGB in an image editor first."
        ) from error
    return out


def _as(rows: Array, dtype: type) -> Array:
    """Rows as they are, or as floats in [0, 1]."""
    if dtype is np.uint8 or rows.dtype.kind == "f":
        return np.ascontiguousarray(rows, dtype)
    return rows / np.float32(np.iinfo(rows.dtype).max)


def linear_rec709(pixels: Array, icc: bytes) -> FloatArray:
    """Convert RGB (H, W, 3) with a profile to scene-linear float32 of Rec. 709, below 0 outside its gamut."""
    return convert(pixels, icc, _linear_rec709(), "float32")


@lru_cache(maxsize=64)
def is_usable(icc: bytes) -> bool:
    """Whether LittleCMS can convert RGB from the profile."""
    try:
        convert(np.zeros((1, 1, 3), np.uint8), icc, None)
    except InputError:
        return False
    return True


@lru_cache(maxsize=64)
def is_srgb(icc: bytes | None) -> bool:
    """Whether a profile is equal to sRGB to one step of 8 bits on a grid of colours; None and unusable ones are."""
    if icc is None:
        return True
    steps = np.linspace(0, 255, _GRID).astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_GRID, -1, 3)
    try:
        return int(np.abs(convert(grid, icc, None).astype(int) - grid).max()) <= 1
    except InputError:
        return True  # nothing else is known of it


@lru_cache(maxsize=64)
def is_linear(icc: bytes) -> bool:
    """Whether the transfer curve of an RGB or grey profile is linear, to 1 % of full scale."""
    import imagecodecs

    ramp = np.linspace(0, 1, 33, dtype=np.float32)
    space = icc[16:20].decode("latin-1").strip().lower()
    samples = np.repeat(ramp[None, :, None], 3, axis=2) if space == "rgb" else ramp[None]
    try:
        light = imagecodecs.cms_transform(
            samples, icc, _linear_rec709(), colorspace=space, outcolorspace="rgb", outdtype="float32"
        )
    except Exception:  # the binding's own class, for a profile that cannot be used
        return True
    return bool(np.abs(np.asarray(light)[0, :, 1] - ramp).max() < 0.01)


@lru_cache(maxsize=8)
def matrix_to_rec709(chromaticities: Chromaticities) -> FloatArray:
    """The (3, 3) matrix from linear RGB of some primaries to Rec. 709, whites adapted (Bradford): `rgb @ matrix.T`."""
    matrix = np.linalg.inv(_to_xyz(REC709)) @ _adapt_white(chromaticities[6:], REC709[6:]) @ _to_xyz(chromaticities)
    return matrix.astype(np.float32)


def chromaticities_of(icc: bytes) -> Chromaticities | None:
    """The chromaticities of a linear profile, its white taken as D65.

    None where they are Rec. 709's or span no colours.
    """
    light = linear_rec709(np.eye(3, dtype=np.float32)[None], icc)[0].astype(np.float64)
    xyz = light @ _to_xyz(REC709).T
    if not np.isfinite(xyz).all() or (np.abs(xyz.sum(axis=1)) < 1e-6).any() or abs(np.linalg.det(xyz)) < 1e-9:
        return None
    points = [float(n) for row in xyz for n in (row[:2] / row.sum()).round(5)]
    own = (points[0], points[1], points[2], points[3], points[4], points[5], REC709[6], REC709[7])
    return own if differs(own, REC709) else None


def differs(one: Chromaticities, other: Chromaticities) -> bool:
    """Whether two sets of chromaticities differ by more than rounding."""
    return any(abs(a - b) > _SAME_CHROMATICITIES for a, b in zip(one, other, strict=True))


def is_plausible(chromaticities: Chromaticities) -> bool:
    """Whether primaries and white span colours at all."""
    if not np.isfinite(chromaticities).all() or min(chromaticities[1::2]) == 0:
        return False
    try:
        matrix = _to_xyz(chromaticities)
    except np.linalg.LinAlgError:
        return False
    return bool(np.isfinite(matrix).all() and abs(np.linalg.det(matrix)) > _LEAST_VOLUME)


def _to_xyz(chromaticities: Chromaticities) -> Array:
    """The (3, 3) matrix from linear RGB of these primaries to XYZ."""
    columns = np.array([_xyz(*chromaticities[n : n + 2]) for n in (0, 2, 4)]).T
    scale = np.linalg.solve(columns, _xyz(*chromaticities[6:]))
    return np.asarray(columns * scale)


def _xyz(x: float, y: float) -> Array:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapt_white(white: tuple[float, ...], to: tuple[float, ...]) -> Array:
    """The (3, 3) matrix in XYZ that adapts one white to another by the Bradford transform."""
    cone = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gains = (cone @ _xyz(*to)) / (cone @ _xyz(*white))
    return np.asarray(np.linalg.inv(cone) @ np.diag(gains) @ cone)
