"""Results out: atomic, rounded and never truncated, strip by strip, with the input's profile where colour goes out.

What a file with alpha holds is written into it: PNG text `uhrmat:alpha`, an EXR attribute of that name, TIFF's
ExtraSamples.
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
"""Alpha formats and the extension each is given: 8-bit PNG, 16-bit PNG, 16-bit TIFF, half or float EXR."""
COLOUR_SUFFIX = {"png": ".png", "png16": ".png", "tiff": ".tif", "exr": ".exr", "webp": ".webp"}
"""Formats of files with colour: 8-bit PNG, 16-bit PNG, TIFF in the picture's depth, EXR, lossless WebP (8 bits)."""
COLOUR_BITS = {"png": 8, "png16": 16}
"""Of the formats that do not follow the picture's depth."""

JPEG_QUALITY = 92
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
    """Write alpha, float32 (H, W) in [0, 1], as one grey channel. `info` is of the picture, whose windows EXR takes on.

    `fmt`: "png" 8 bits, "png16", "tiff" (16 bits: what compositors read without a float's doubt about its range) or
    "exr" (channel Y, half, or float with `exr_float`). `OutputError` unless the extension fits the format.
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
    alpha = _shown(alpha, info)
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
    """Write colour (H, W, 3) in its stored type with alpha, float32 (H, W) in [0, 1]: PNG, TIFF, WebP or EXR.

    Straight: RGB is kept exactly wherever alpha is above 0 in the file, and 0 where it is not, so that the removed
    background cannot be brought back (`keep_hidden` keeps it). `premultiply`: RGB times the alpha that the file
    holds, rounded. 16-bit stays 16-bit, linear floats become 16-bit sRGB except in EXR, which is linear; there 8-bit
    and half input is written as half, the rest as float, unless `exr_float` says. WebP is lossless and 8-bit. `bits`:
    8 or 16 in PNG and TIFF, whatever the picture has. The EXIF of `info` goes along in PNG and WebP without thumbnail
    and maker notes; GPS, serial numbers and names only with `keep_metadata` (see `clean_exif`).
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
    rgb, alpha = _shown(rgb, info), _shown(alpha, info)

    def strip(y0: int, y1: int) -> Array:
        colour, opacity = _integer(rgb[y0:y1], info, bits), quantise(alpha[y0:y1], bits)
        return pack_rgba(colour, opacity, premultiply=premultiply, keep_hidden=keep_hidden)

    _write_integer(path, kind, strip, (*alpha.shape, 4), bits, _cleaned(info, keep_metadata), meaning)


def write_rgb(
    path: PathLike,
    rgb: Array,
    info: PictureInfo,
    *,
    bits: int | None = None,
    exr_float: bool | None = None,
    keep_metadata: bool = False,
) -> None:
    """Write colour (H, W, 3) in its stored type: JPEG (quality 92, 4:4:4), PNG, TIFF, WebP (lossless) or EXR (linear).

    Depths and EXIF as for `write_rgba`; JPEG and WebP are 8-bit.
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
    rgb = _shown(rgb, info)

    def strip(y0: int, y1: int) -> Array:
        return _integer(rgb[y0:y1], info, bits)

    _write_integer(path, kind, strip, rgb.shape, bits, _cleaned(info, keep_metadata), None)


def _depth(kind: str, info: PictureInfo, asked: int | None) -> int:
    """Bits of each sample: 8 where the format holds no more, else what was asked for, else the picture's."""
    if kind in ("jpeg", "webp"):
        return 8
    return asked or (8 if info.dtype == "uint8" else 16)


def _cleaned(info: PictureInfo, keep_metadata: bool) -> PictureInfo:
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
    """Of the linear light that is written: a linear picture's own, else Rec. 709's, which is what None means."""
    return info.chromaticities if info.linear else None


def _shown(array: Array, info: PictureInfo | None) -> Array:
    """What lies within the display window: formats other than EXR hold no more."""
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
    if info.exif and len(info.exif) < 65000:
        options["exif"] = PREFIX + info.exif
    with atomic_write(path) as temporary:
        image.save(temporary, kind, **options)
