"""Writes alpha and colour: atomically, rounded, strip by strip, with the input's colour profile.

Files with alpha state whether their colour is premultiplied: in the PNG text or EXR attribute `uhrmat:alpha`, or in
TIFF's ExtraSamples.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import OutputError
from uhrmat.core.files import PathLike, atomic_write
from uhrmat.media.convert import pack_rgba, quantise, to_integer, to_linear
from uhrmat.media.exif import PREFIX
from uhrmat.media.exif_clean import clean_exif
from uhrmat.media.exr import ALPHA_ATTRIBUTE, write_exr
from uhrmat.media.icc import Chromaticities
from uhrmat.media.picture import PictureInfo
from uhrmat.media.png import open_png
from uhrmat.media.strips import MakeRows
from uhrmat.media.tiff import write_tiff

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

ALPHA_SUFFIX = {"png": ".png", "png16": ".png", "tiff": ".tif", "exr": ".exr"}
"""Extensions of the alpha formats: 8-bit PNG, 16-bit PNG, 16-bit TIFF, half or float EXR."""
COLOUR_SUFFIX = {"png": ".png", "png16": ".png", "tiff": ".tif", "exr": ".exr", "webp": ".webp"}
"""Extensions of the colour formats: 8-bit PNG, 16-bit PNG, TIFF in the picture's depth, EXR, lossless 8-bit WebP."""
COLOUR_BITS = {"png": 8, "png16": 16}
"""Bits of the formats that do not follow the picture's depth."""

JPEG_QUALITY = 92
"""libjpeg's quality, 1 to 100; chroma is not subsampled."""
_EXIF_LIMIT = 65000
"""Bytes of the largest EXIF blob that is written: a JPEG segment holds 65533."""
_JPEG_MAX_SIDE = 65535
_WEBP_MAX_SIDE = 16383
_PILLOW_OPTIONS: dict[str, dict[str, Any]] = {
    "jpeg": {"quality": JPEG_QUALITY, "subsampling": 0},
    "webp": {"lossless": True, "exact": True},
}
_KINDS = {
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".exr": "exr",
    ".webp": "webp",
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
}


def write_alpha(
    path: PathLike, alpha: FloatArray, fmt: str = "png", *, exr_float: bool = False, info: PictureInfo | None = None
) -> None:
    """Write alpha as one grey channel.

    Args:
        path: The file; its extension must fit the format.
        alpha: (H, W) float32 in [0, 1].
        fmt: "png" (8 bits), "png16", "tiff" (16 bits) or "exr" (channel Y).
        exr_float: Write float in EXR, else half.
        info: Of the picture, whose windows EXR takes over.

    Raises:
        OutputError: The format is unknown, the extension does not fit, or the file cannot be written.
    """
    if fmt not in ALPHA_SUFFIX:
        raise OutputError(f"There is no alpha format '{fmt}'.", f"Choose one of {', '.join(ALPHA_SUFFIX)}.")
    if _kind(path) != fmt.removesuffix("16"):
        raise OutputError(
            f"An alpha of format {fmt} cannot be named '{Path(path).name}'.",
            f"Give it the extension {ALPHA_SUFFIX[fmt]}.",
        )
    bits = 8 if fmt == "png" else 16
    if fmt == "exr":
        frame = None if info is None else info.exr
        write_exr(path, np.clip(alpha, 0.0, 1.0).astype(np.float32 if exr_float else np.float16), frame=frame)
        return
    alpha = _crop_to_display(alpha, info)
    height, width = alpha.shape
    if fmt == "tiff":
        write_tiff(path, lambda y0, y1: quantise(alpha[y0:y1], bits), (height, width), bits)
    else:
        with open_png(path, width, height, 1, bits) as png:
            png.write_from(lambda y0, y1: quantise(alpha[y0:y1], bits), height)


def write_rgba(
    path: PathLike,
    rgb: Array,
    alpha: FloatArray,
    info: PictureInfo,
    premultiply: bool = False,
    *,
    bits: int | None = None,
    exr_float: bool | None = None,
    keep_hidden: bool = False,
    keep_metadata: bool = False,
) -> None:
    """Write colour and alpha as PNG, TIFF, WebP (lossless, 8 bits) or EXR (linear), by the extension.

    Straight colour is kept exactly wherever the file's alpha is above 0, and is 0 elsewhere, so that the removed
    background cannot be restored. 16 bits stay 16 bits; linear floats become 16-bit sRGB except in EXR. The EXIF of
    `info` is written to PNG and WebP without thumbnail and maker notes.

    Args:
        path: The file.
        rgb: (H, W, 3) in a stored type.
        alpha: (H, W) float32 in [0, 1].
        info: Of the picture that `rgb` comes from: profile, transfer, EXIF, windows.
        premultiply: Multiply colour by the alpha that the file holds, rounded.
        bits: 8 or 16 in PNG and TIFF; None: as the picture.
        exr_float: Write float in EXR, else half; None: half for 8-bit and half pictures.
        keep_hidden: Keep straight colour where alpha is 0.
        keep_metadata: Keep GPS, serial numbers and names in EXIF (see `clean_exif`).

    Raises:
        OutputError: The extension is not written, or the file cannot be written.
    """
    kind = _kind(path)
    bits = _depth(kind, info, bits)
    if rgb.shape[:2] != alpha.shape:
        raise ValueError(f"rgb {rgb.shape} and alpha {alpha.shape} differ in size")
    meaning = "premultiplied" if premultiply else "straight"
    if kind == "exr":
        single = _wants_float(info) if exr_float is None else exr_float
        pixels = _linear_rgba(rgb, alpha, info, premultiply, keep_hidden, single)
        write_exr(path, pixels, {ALPHA_ATTRIBUTE: meaning}, info.exr, _chromaticities(info))
        return
    rgb, alpha = _crop_to_display(rgb, info), _crop_to_display(alpha, info)

    def strip(y0: int, y1: int) -> Array:
        colour, opacity = _integer(rgb[y0:y1], info, bits), quantise(alpha[y0:y1], bits)
        return pack_rgba(colour, opacity, premultiply=premultiply, keep_hidden=keep_hidden)

    _write_integer(path, kind, strip, (*alpha.shape, 4), bits, _clean_info(info, keep_metadata), meaning)


def write_rgb(
    path: PathLike,
    rgb: Array,
    info: PictureInfo,
    *,
    bits: int | None = None,
    exr_float: bool | None = None,
    keep_metadata: bool = False,
) -> None:
    """Write colour (H, W, 3) as JPEG (quality 92, 4:4:4), PNG, TIFF, WebP (lossless) or EXR (linear), by the extension.

    Arguments and errors as for `write_rgba`; JPEG and WebP have 8 bits.
    """
    kind = _kind(path)
    bits = _depth(kind, info, bits)
    if kind == "exr":
        dtype = np.float32 if (_wants_float(info) if exr_float is None else exr_float) else np.float16
        out = np.empty(rgb.shape, dtype)
        for y in range(0, len(rgb), 64):
            out[y : y + 64] = to_linear(rgb[y : y + 64], info.linear, info.icc)
        write_exr(path, out, None, info.exr, _chromaticities(info))
        return
    rgb = _crop_to_display(rgb, info)

    def strip(y0: int, y1: int) -> Array:
        return _integer(rgb[y0:y1], info, bits)

    _write_integer(path, kind, strip, rgb.shape, bits, _clean_info(info, keep_metadata), None)


def _depth(kind: str, info: PictureInfo, bits: int | None) -> int:
    """Bits of a sample: 8 where the format holds no more, else `bits`, else the picture's."""
    if kind in ("jpeg", "webp"):
        return 8
    return bits or (8 if info.dtype == "uint8" else 16)


def _clean_info(info: PictureInfo, keep_metadata: bool) -> PictureInfo:
    """`info` with the EXIF that may be written."""
    return replace(info, exif=clean_exif(info.exif, keep_metadata))


def _kind(path: PathLike) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _KINDS:
        raise OutputError(f"'{Path(path).name}' has an extension that is not written.", f"Use {', '.join(_KINDS)}.")
    return _KINDS[suffix]


def _wants_float(info: PictureInfo) -> bool:
    """Half holds 11 bits: enough for 8-bit and half sources, too little for the others."""
    return info.bit_depth == 32 or info.dtype == "uint16"


def _chromaticities(info: PictureInfo) -> Chromaticities | None:
    """Of the linear light that is written: a linear picture's own, else None, which means Rec. 709's."""
    return info.chromaticities if info.linear else None


def _crop_to_display(array: Array, info: PictureInfo | None) -> Array:
    """The part of an array within the display window: formats other than EXR hold no more."""
    if info is None or info.exr is None or info.exr.data == info.exr.display:
        return array
    return array[info.exr.shown]


def _integer(rgb: Array, info: PictureInfo, bits: int) -> Array:
    return to_integer(rgb, info.linear, bits, info.chromaticities)


def _linear_rgba(
    rgb: Array, alpha: FloatArray, info: PictureInfo, premultiply: bool, hidden: bool, single: bool
) -> Array:
    out = np.empty((*alpha.shape, 4), np.float32 if single else np.float16)
    for y in range(0, len(rgb), 64):
        part = out[y : y + 64]
        part[..., 3] = np.clip(alpha[y : y + 64], 0.0, 1.0)
        opacity = part[..., 3:].astype(np.float32)
        colour = to_linear(rgb[y : y + 64], info.linear, info.icc)
        factor = opacity if premultiply else np.float32(1.0) if hidden else (opacity > 0)
        part[..., :3] = colour * factor
    return out


def _write_integer(
    path: PathLike,
    kind: str,
    strip: MakeRows,
    shape: tuple[int, ...],
    bits: int,
    info: PictureInfo,
    meaning: str | None,
) -> None:
    height, width, channels = shape
    if kind == "png":
        text = {"Software": "uhrmat"} | ({ALPHA_ATTRIBUTE: meaning} if meaning else {})
        with open_png(path, width, height, channels, bits, info.icc, text, info.exif, info.png_colour) as png:
            png.write_from(strip, height)
    elif kind == "tiff":
        write_tiff(path, strip, shape, bits, info.icc, meaning == "premultiplied")
    else:
        _write_pillow(path, kind, strip(0, height), info)


def _write_pillow(path: PathLike, kind: str, pixels: Array, info: PictureInfo) -> None:
    """JPEG and WebP through Pillow, which alone of the encoders at hand takes profile and EXIF with the pixels."""
    from PIL import Image

    limit = _JPEG_MAX_SIDE if kind == "jpeg" else _WEBP_MAX_SIDE
    if kind == "jpeg" and pixels.shape[2] == 4:
        raise OutputError("JPEG cannot hold alpha.", "Choose PNG, TIFF, WebP or EXR.")
    if max(pixels.shape) > limit:
        raise OutputError(f"{kind.upper()} holds at most {limit} pixels a side.", "Choose PNG or TIFF.")
    image = Image.fromarray(np.ascontiguousarray(pixels))
    options: dict[str, Any] = dict(_PILLOW_OPTIONS[kind])
    if info.icc:
        options["icc_profile"] = info.icc
    if info.exif and len(info.exif) < _EXIF_LIMIT:
        options["exif"] = PREFIX + info.exif
    with atomic_write(path) as temporary:
        image.save(temporary, kind, **options)
