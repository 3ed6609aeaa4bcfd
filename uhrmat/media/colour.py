"""Transfer curves and ICC profiles.

sRGB curve: IEC 61966-2-1 (https://webstore.iec.ch/publication/6169). A profile is kept as its bytes. A picture that
has to leave its colour space to become RGB (CMYK, grey with a profile of its own) is converted to sRGB by LittleCMS
through Pillow; see `icc` for conversions between RGB profiles.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media.icc import Chromaticities, matrix_to_rec709

FloatArray = npt.NDArray[np.float32]


def srgb_encode(linear: npt.NDArray[Any]) -> FloatArray:
    """Encode scene-linear values of any shape by the sRGB curve, clipped to [0, 1]."""
    x = np.clip(linear, 0.0, 1.0, dtype=np.float32)
    root = np.power(x, np.float32(1 / 2.4))
    curve = root + np.float32(0.055) * (root - np.float32(1.0))  # so written, 1 stays exactly 1
    return np.asarray(np.where(x <= np.float32(0.0031308), x * np.float32(12.92), curve))


def srgb_decode(encoded: npt.NDArray[Any]) -> FloatArray:
    """Decode sRGB values in [0, 1] of any shape to scene-linear ones."""
    x = np.asarray(encoded, np.float32)
    curve = np.power((x + np.float32(0.055)) / np.float32(1.055), np.float32(2.4))
    return np.where(x <= np.float32(0.04045), x / np.float32(12.92), curve).astype(np.float32, copy=False)


def linear_to_display(linear: npt.NDArray[Any], chromaticities: Chromaticities | None = None) -> FloatArray:
    """Convert scene-linear RGB to display-referred sRGB, clipped to [0, 1].

    Args:
        linear: (..., 3).
        chromaticities: Of its primaries and white; None: those of Rec. 709.
    """
    if chromaticities is None:
        return srgb_encode(linear)
    return srgb_encode(np.asarray(linear, np.float32) @ matrix_to_rec709(chromaticities).T)


def icc_space(icc: bytes | None) -> str:
    """The profile's colour space, such as "RGB", "GRAY" or "CMYK"; "" when there is no profile or it is damaged."""
    if icc is None or len(icc) < 128 or icc[36:40] != b"acsp":
        return ""
    return icc[16:20].decode("ascii", "replace").strip()


def rgb_icc(icc: bytes | None) -> bytes | None:
    """The profile itself if it describes RGB, else None: another space's profile would mislabel an RGB file."""
    return icc if icc_space(icc) == "RGB" else None


def grey_icc(icc: bytes | None) -> bytes | None:
    """The profile itself if it describes grey, else None."""
    return icc if icc_space(icc) == "GRAY" else None


def convert_to_srgb(image: Any, icc: bytes | None) -> Any:
    """Convert a Pillow image (CMYK or L) to RGB in sRGB, by its profile where that is usable."""
    from PIL import ImageCms

    if icc is not None:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass  # a damaged profile is no reason to refuse the picture: Pillow's plain conversion follows
    return image.convert("RGB")


def grey_to_srgb(grey: npt.NDArray[Any], icc: bytes | None) -> npt.NDArray[Any]:
    """Re-encode grey with a grey profile by the sRGB curve.

    The profile is sampled at 256 levels and interpolated, so that steps of 16 bits and floats are kept.

    Args:
        grey: (H, W) or (H, W, 3) of any stored type.
        icc: A profile; for any but a grey one `grey` is returned unchanged.
    """
    if icc_space(icc) != "GRAY":
        return grey
    from PIL import Image

    ramp = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    levels = np.asarray(convert_to_srgb(ramp, icc))[0, :, 1].astype(np.float64)
    if grey.dtype.kind == "f":
        return np.asarray(np.interp(grey, np.linspace(0, 1, 256), levels / 255), np.float32)
    top = np.iinfo(grey.dtype).max
    encoded = np.interp(np.linspace(0, 255, top + 1), np.arange(256), levels) * (top / 255)
    return np.asarray(np.rint(encoded).astype(grey.dtype)[grey])
