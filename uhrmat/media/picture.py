"""What a picture is in memory: its pixels as decoded, once, and what the file said about them."""

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


@dataclass(frozen=True)
class ExrFrame:
    """What an EXR says about where its pixels stand; carried into the EXR files that are made of it.

    Windows are left, top, right and bottom, inclusive, as in the file. `data` is what the picture's array covers: the
    display window, or more where the file has overscan and that was asked for.
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
    """What a file says about its pixels, after orientation.

    `bit_depth` is 8, 16 or 32 as stored: 16 with dtype "float32" is a half float. `icc` describes RGB or is None.
    `exif` is a bare TIFF blob with its orientation reset; `orientation` is the one already applied. `linear` marks
    scene-linear values (EXR, float TIFF without a profile that says otherwise); everything else is display-referred.
    `chromaticities` are those of scene-linear RGB, None where they are Rec. 709's. `png_colour` are the chunks by which
    a PNG says its colours, for those that are made of it. `exr` says where an EXR's pixels stand.
    `premultiplied`: the file's colour is stored times its alpha. `notes` are lines for the user about what was read
    otherwise than it is stored, or not at all.
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
    """RGB pixels (H, W, 3) in their stored type, uint8, uint16 or float32, and the file's own alpha (H, W) or None.

    Colour is exactly what the file holds: straight for PNG, premultiplied where EXR and TIFF store it so.
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
        """A region as float32 (h, w, 3) in [0, 1], display-referred: what networks see.

        Linear pictures go to sRGB's primaries and curve and are clipped. Only the region is copied.
        """
        region = self.pixels[y0:y1, x0:x1]
        if self.info.linear:
            return linear_to_display(region, self.info.chromaticities)
        if region.dtype == np.float32:
            return np.clip(region, 0.0, 1.0)
        scale = np.float32(FULL_SCALE[region.dtype.name])
        return np.divide(region, scale, dtype=np.float32)

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], *, linear: bool = False, icc: bytes | None = None) -> Picture:
        """A picture from (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) uint8, uint16 or floats.

        Floats are display-referred in [0, 1], or scene-linear and unbounded above with `linear`. RGB order, not BGR.
        Raises `InputError` for any other shape, type or range.
        """
        pixels, alpha = split_channels(_checked(np.asarray(array), linear))
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


def _checked(array: npt.NDArray[Any], linear: bool) -> npt.NDArray[Any]:
    """The array in one of the three stored types, or `InputError`."""
    if array.ndim not in (2, 3) or 0 in array.shape or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise InputError(f"An array of shape {array.shape} is no picture.", "Give (H, W), (H, W, 3) or (H, W, 4).")
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind != "f":
        raise InputError(f"A picture of type {array.dtype} is not supported.", "Give uint8, uint16 or float32.")
    array = array.astype(np.float32, copy=False)
    check_finite(array, "The array")
    if not linear and (array.min() < -1e-3 or array.max() > 1 + 1e-3):
        spread = f"{array.min():.4g} to {array.max():.4g}"
        raise InputError(
            f"A float picture must lie in [0, 1], this one spans {spread}.", "Scale it, or pass linear=True."
        )
    return array


def split_channels(array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """(H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4) as contiguous (H, W, 3) RGB and alpha or None."""
    if array.ndim == 2:
        array = array[..., None]
    channels = array.shape[2]
    colour = array[..., : 1 if channels < 3 else 3]
    alpha = np.ascontiguousarray(array[..., -1]) if channels in (2, 4) else None
    if colour.shape[2] == 1:
        colour = np.broadcast_to(colour, (*array.shape[:2], 3))
    return np.ascontiguousarray(colour), alpha


def check_finite(pixels: npt.NDArray[Any], name: str) -> None:
    """Raise `InputError` when float pixels hold NaN or infinity. Looks at 64 rows at a time to stay small."""
    bad = sum(int(np.count_nonzero(~np.isfinite(pixels[y : y + 64]))) for y in range(0, len(pixels), 64))
    if bad:
        raise InputError(
            f"{name} holds {bad} values that are not numbers (NaN or infinite).",
            "Replace them first, for example with 'oiiotool IN --fixnan box3 -o OUT'.",
        )
