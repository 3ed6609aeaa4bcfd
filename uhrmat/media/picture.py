"""A picture in memory: its pixels as decoded, and what the file states about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.media.colour import linear_to_display
from uhrmat.media.icc import Chromaticities

FloatArray = npt.NDArray[np.float32]
FULL_SCALE = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}
"""The value that means 1, by stored type."""
_FLOAT_SLACK = 1e-3
"""How far a display-referred float array may leave [0, 1] by rounding; clipped when it is used."""


@dataclass(frozen=True)
class ExrFrame:
    """The windows and pixel aspect of an EXR, which are written into the EXR files made of it.

    Attributes:
        display: Display window: left, top, right and bottom, inclusive, as in the file.
        data: The window that the picture's array covers: the display window, or more if overscan was read.
        pixel_aspect: A pixel's width over its height.
    """

    display: tuple[int, int, int, int]
    data: tuple[int, int, int, int]
    pixel_aspect: float = 1.0

    @property
    def shown(self) -> tuple[slice, slice]:
        """Rows and columns of the array that lie within the display window."""
        left, top = self.display[0] - self.data[0], self.display[1] - self.data[1]
        height, width = self.display[3] - self.display[1] + 1, self.display[2] - self.display[0] + 1
        return slice(top, top + height), slice(left, left + width)


@dataclass(frozen=True, kw_only=True)
class PictureInfo:
    """What a file states about its pixels, after orientation.

    Attributes:
        path: The file; None for an array.
        width: Columns, after orientation.
        height: Rows, after orientation.
        dtype: "uint8", "uint16" or "float32".
        bit_depth: 8, 16 or 32 as stored; 16 with "float32" is a half float.
        icc: An RGB profile, or None: sRGB.
        exif: A TIFF blob without JPEG's marker, its orientation reset.
        orientation: The EXIF orientation that has been applied, 1 to 8.
        linear: Values are scene-linear (EXR; float TIFF unless its profile has a curve), else display-referred.
        has_alpha: The file has an alpha channel.
        premultiplied: The file stores colour multiplied by alpha.
        notes: Lines for the user about what was read otherwise than it is stored, or not at all.
        chromaticities: Of scene-linear RGB; None: those of Rec. 709.
        png_colour: The colour chunks of a PNG (kind, data), for PNGs that are made of it.
        exr: The windows and pixel aspect of an EXR.
    """

    path: Path | None
    width: int
    height: int
    dtype: str
    bit_depth: int
    icc: bytes | None = None
    exif: bytes | None = None
    orientation: int = 1
    linear: bool = False
    has_alpha: bool = False
    premultiplied: bool = False
    notes: tuple[str, ...] = ()
    chromaticities: Chromaticities | None = None
    png_colour: tuple[tuple[bytes, bytes], ...] = ()
    exr: ExrFrame | None = None


@dataclass
class Picture:
    """Pixels as stored, and what the file states about them.

    Attributes:
        pixels: (H, W, 3) RGB, uint8, uint16 or float32, exactly as stored: premultiplied where the file is.
        alpha: The file's own alpha (H, W) in the same type, or None.
        info: What the file states.
    """

    pixels: npt.NDArray[Any]
    alpha: npt.NDArray[Any] | None
    info: PictureInfo

    @property
    def height(self) -> int:
        """Rows."""
        return self.info.height

    @property
    def width(self) -> int:
        """Columns."""
        return self.info.width

    def to_float(self, y0: int = 0, y1: int | None = None, x0: int = 0, x1: int | None = None) -> FloatArray:
        """A region as display-referred float32 (h, w, 3) in [0, 1], as networks take it.

        Linear pictures are converted to sRGB's primaries and curve, and clipped. Only the region is copied.

        Args:
            y0: First row.
            y1: Row after the last; None: the end.
            x0: First column.
            x1: Column after the last; None: the end.
        """
        region = self.pixels[y0:y1, x0:x1]
        if self.info.linear:
            return linear_to_display(region, self.info.chromaticities)
        if region.dtype == np.float32:
            return np.asarray(np.clip(region, 0.0, 1.0))
        scale = np.float32(FULL_SCALE[region.dtype.name])
        return np.asarray(np.divide(region, scale, dtype=np.float32))

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], *, linear: bool = False, icc: bytes | None = None) -> Picture:
        """A picture from an array.

        Args:
            array: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, uint16 or floats; RGB order, not BGR. Floats are
                display-referred in [0, 1], or with `linear` scene-linear and unbounded above.
            linear: The values are scene-linear.
            icc: An RGB profile; None: sRGB.

        Raises:
            InputError: The array has another shape, type or range.
        """
        pixels, alpha = split_channels(_check_array(np.asarray(array), linear))
        height, width = pixels.shape[:2]
        depth = 8 * pixels.dtype.itemsize
        info = PictureInfo(
            path=None,
            width=width,
            height=height,
            dtype=pixels.dtype.name,
            bit_depth=depth,
            icc=icc,
            exif=None,
            orientation=1,
            linear=linear,
            has_alpha=alpha is not None,
        )
        return cls(pixels, alpha, info)


def _check_array(array: npt.NDArray[Any], linear: bool) -> npt.NDArray[Any]:
    """The array in one of the three stored types, or `InputError`."""
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"An array of shape {array.shape} is no picture.", "Give (H, W), (H, W, 3) or (H, W, 4).")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind != "f":
        raise InputError(f"A picture of type {array.dtype} is not supported.", "Give uint8, uint16 or float32.")
    array = array.astype(np.float32, copy=False)
    check_finite(array, "The array")
    if not linear and (array.min() < -_FLOAT_SLACK or array.max() > 1 + _FLOAT_SLACK):
        spread = f"{array.min():.4g} to {array.max():.4g}"
        raise InputError(
            f"A float picture must lie in [0, 1], this one spans {spread}.", "Scale it, or pass linear=True."
        )
    return array


def split_channels(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Split (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) into contiguous (H, W, 3) RGB and alpha or None."""
    if array.ndim == 2:
        array = array[..., None]
    channels = array.shape[2]
    colour = array[..., : 1 if channels < 3 else 3]
    alpha = np.ascontiguousarray(array[..., -1]) if channels in (2, 4) else None
    if colour.shape[2] == 1:
        colour = np.broadcast_to(colour, (*array.shape[:2], 3))
    return np.ascontiguousarray(colour), alpha


def check_finite(pixels: npt.NDArray[Any], name: str) -> None:
    """Raise `InputError` where float pixels hold NaN or infinity; checks 64 rows at a time to save memory."""
    bad = sum(int(np.count_nonzero(~np.isfinite(pixels[y : y + 64]))) for y in range(0, len(pixels), 64))
    if bad:
        raise InputError(
            f"{name} holds {bad} values that are not numbers (NaN or infinite).",
            "Replace them first, for example with 'oiiotool IN --fixnan box3 -o OUT'.",
        )
