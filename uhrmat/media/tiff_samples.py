"""Converts a TIFF's samples to grey or RGB and alpha in a stored type of `Picture`.

Compression does not matter here: tifffile, with imagecodecs, gives the same samples for all.
Source: TIFF 6.0 (https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf), sections 8
(PhotometricInterpretation), 18 (ExtraSamples) and 21 (YCbCr).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.media.colour import convert_to_srgb
from uhrmat.media.limits import MAX_CHANNELS, check_count
from uhrmat.media.picture import check_finite
from uhrmat.media.raster import pillow_array
from uhrmat.media.source import Array, Decoded, damaged_error, unsupported_error

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, MASK, CMYK, YCBCR = range(7)
GREY = (WHITE_IS_ZERO, BLACK_IS_ZERO, MASK)
_CHANNELS = {WHITE_IS_ZERO: 1, BLACK_IS_ZERO: 1, RGB: 3, PALETTE: 1, MASK: 1, CMYK: 4, YCBCR: 3}
_CODECS = frozenset((1, 2, 3, 4, 5, 7, 8, 32773, 32946, 50000))
"""none, CCITT run lengths and fax 3 and 4, LZW, JPEG, deflate, PackBits, old deflate, Zstandard."""
_JPEG = 7
_PREDICTORS = (1, 2, 3)
_ASSOCIATED, _UNASSOCIATED = 1, 2
_INK_SET, _YCBCR_COEFFICIENTS, _REFERENCE_BLACK_WHITE = 332, 529, 532
_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The meaning of a page's samples.

    Attributes:
        photometric: The tag PhotometricInterpretation.
        bits: Of one stored sample.
        dtype: The type of the result: "uint8", "uint16" or "float32".
        colour: Number of channels before the extra samples.
        alpha: Index of the alpha channel, or None.
        premultiplied: The alpha is associated.
        table: A palette (entries, 3), or None.
    """

    photometric: int
    bits: int
    dtype: str
    colour: int
    alpha: int | None
    premultiplied: bool
    table: Array | None = None

    @property
    def grey(self) -> bool:
        """Whether the picture is grey."""
        return self.photometric in GREY


def read_layout(path: Path, page: Any) -> Layout:
    """The layout of a page; `InputError` for colour models, sample types and compressions that are not read."""
    photometric, bits = int(page.photometric), page.bitspersample
    check_count(path, int(page.samplesperpixel), MAX_CHANNELS, "channels")
    _check_readable(path, page, photometric)
    kinds = tuple(int(kind) for kind in page.extrasamples)
    colour = _CHANNELS[photometric]
    extra = int(page.samplesperpixel) - colour
    if extra < 0 or (extra and int(page.compression) == _JPEG and photometric == YCBCR):
        raise unsupported_error(path, f"a TIFF of {page.samplesperpixel} channels in {_name(page.photometric)}")
    if extra and not kinds:
        kinds = (_UNASSOCIATED,)
    extra_alpha = next((n for n, kind in enumerate(kinds[:extra]) if kind in (_ASSOCIATED, _UNASSOCIATED)), None)
    alpha = None if extra_alpha is None or photometric == CMYK else colour + extra_alpha
    premultiplied = alpha is not None and extra_alpha is not None and kinds[extra_alpha] == _ASSOCIATED
    table = _palette(path, page) if photometric == PALETTE else None
    dtype = str(page.dtype)
    held = "float32" if dtype.startswith("float") else "uint16" if dtype == "uint16" else "uint8"
    if table is not None:
        held = str(table.dtype)
    return Layout(
        photometric=photometric,
        bits=int(bits),
        dtype=held,
        colour=colour,
        alpha=alpha,
        premultiplied=premultiplied,
        table=table,
    )


def _check_readable(path: Path, page: Any, photometric: int) -> None:
    dtype, bits, codec = str(page.dtype), page.bitspersample, int(page.compression)
    if photometric not in _CHANNELS:
        raise unsupported_error(path, f"a TIFF in the colour model {_name(page.photometric)}")
    if dtype not in ("bool", "uint8", "uint16", "float16", "float32", "float64") or not isinstance(bits, int):
        raise unsupported_error(path, f"a TIFF of {bits}-bit samples of the type {page.dtype}")
    if codec not in _CODECS:
        raise unsupported_error(path, f"a TIFF with {_name(page.compression)} compression")
    if int(page.predictor) not in _PREDICTORS:
        raise unsupported_error(path, f"a TIFF with the predictor {_name(page.predictor)}")
    if bits < 8 and int(page.predictor) != 1:
        raise unsupported_error(path, f"a TIFF of {bits}-bit samples with a predictor")
    if page.imagedepth != 1 or page.jpegheader is not None:
        raise unsupported_error(path, "a TIFF of a volume or a microscope slide")
    if codec == _JPEG and bits != 8:
        raise unsupported_error(path, f"a TIFF with JPEG compression of {bits} bits")
    if photometric == CMYK and (dtype != "uint8" or page.tags.valueof(_INK_SET, 1) != 1):
        raise unsupported_error(path, "a TIFF of CMYK with more than 8 bits or of other inks")
    if photometric == PALETTE and not dtype.startswith(("bool", "uint")):
        raise unsupported_error(path, f"a palette TIFF of samples of the type {page.dtype}")
    if photometric == YCBCR and (page.planarconfig != 1 if codec == _JPEG else page.is_subsampled):
        raise unsupported_error(path, "a TIFF of subsampled YCbCr without JPEG compression or in separate planes")
    if photometric == YCBCR and (dtype != "uint8" or bits != 8):
        raise unsupported_error(path, f"a YCbCr TIFF of {bits}-bit samples of the type {page.dtype}")


def _name(value: Any) -> str:
    """A tag's value by its name in the specification, or as a number."""
    return str(getattr(value, "name", value))


def _palette(path: Path, page: Any) -> Array:
    """(entries, 3) uint8 where that holds every entry, else uint16."""
    if page.colormap is None:
        raise damaged_error(path, "TIFF")
    table = np.ascontiguousarray(np.asarray(page.colormap).T.astype(np.uint16))
    if table.ndim != 2 or table.shape[1] != 3 or len(table) < 1 << int(page.bitspersample):
        raise damaged_error(path, "TIFF")
    if int(table.max()) <= 255:
        return table.astype(np.uint8)  # the specification requires 16 bits; such files exist
    high = table >> 8
    if np.array_equal(high * 257, table) or np.array_equal(high << 8, table):
        return high.astype(np.uint8)
    return table


def interpret(path: Path, page: Any, pixels: Array, meaning: Layout, icc: bytes | None) -> Decoded:
    """Convert samples (H, W) or (H, W, C) to grey (H, W) or RGB (H, W, 3), and alpha (H, W) or None."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    alpha = None
    if meaning.alpha is not None:
        alpha = _scale_samples(np.ascontiguousarray(pixels[..., meaning.alpha]), meaning.bits, str(path))
    if meaning.table is not None:
        return meaning.table[pixels[..., 0].astype(np.intp if meaning.bits > 8 else np.uint8)], alpha
    colour = pixels[..., 0] if meaning.colour == 1 else pixels[..., : meaning.colour]
    colour = _scale_samples(np.ascontiguousarray(colour), meaning.bits, str(path))
    if meaning.photometric == WHITE_IS_ZERO:
        colour = np.float32(1) - colour if colour.dtype.kind == "f" else np.invert(colour)
    elif meaning.photometric == CMYK:
        colour = _cmyk(colour, icc)
    elif meaning.photometric == YCBCR and int(page.compression) != _JPEG:  # libjpeg has converted those
        colour = _ycbcr(colour, page)
    return colour, alpha


def _scale_samples(samples: Array, bits: int, name: str) -> Array:
    """Scale samples of any depth to the whole range of uint8 or uint16, or convert them to float32."""
    if samples.dtype.kind == "f":
        samples = samples.astype(np.float32, copy=False)
        check_finite(samples, f"'{name}'")
        return samples
    if samples.dtype == np.bool_:
        return samples.astype(np.uint8) * np.uint8(255)
    samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
    if bits in (8, 16):
        return samples
    top, levels = np.iinfo(samples.dtype).max, (1 << bits) - 1
    table = np.rint(np.arange(levels + 1) * (top / levels)).astype(samples.dtype)
    return np.asarray(table[samples])


def _cmyk(inks: Array, icc: bytes | None) -> Array:
    from PIL import Image

    image = Image.frombuffer("CMYK", (inks.shape[1], inks.shape[0]), inks, "raw", "CMYK", 0, 1)
    return pillow_array(convert_to_srgb(image, icc))


def _ycbcr(samples: Array, page: Any) -> Array:
    """Convert (H, W, 3) uint8 YCbCr to RGB in place, by the page's own coefficients."""
    top, middle = 255.0, 128.0
    red, green, blue = _rationals(page.tags.valueof(_YCBCR_COEFFICIENTS), (0.299, 0.587, 0.114))
    levels = _rationals(page.tags.valueof(_REFERENCE_BLACK_WHITE), (0, top, middle, top, middle, top))
    low = np.array(levels[::2], np.float32)
    span = np.array(levels[1::2], np.float32) - low
    if green <= 0 or (span <= 0).any():
        raise InputError(
            "The TIFF states YCbCr coefficients that no colour comes from.", "Save it as RGB in PNG or TIFF first."
        )
    scale = np.array([top, top - middle, top - middle], np.float32) / span
    for y in range(0, len(samples), _ROWS):
        luma, cb, cr = np.moveaxis((samples[y : y + _ROWS] - low) * scale, -1, 0)
        r, b = luma + cr * np.float32(2 - 2 * red), luma + cb * np.float32(2 - 2 * blue)
        g = (luma - np.float32(red) * r - np.float32(blue) * b) / np.float32(green)
        samples[y : y + _ROWS] = np.rint(np.stack([r, g, b], axis=-1).clip(0, top))
    return samples


def _rationals(value: Any, default: tuple[float, ...]) -> tuple[float, ...]:
    """A tag of fractions, numerators and denominators in turn, as numbers; the default where it is absent or odd."""
    numbers: npt.NDArray[np.float64] = np.asarray(value if value is not None else (), np.float64).reshape(-1)
    if len(numbers) == len(default):
        return tuple(float(n) for n in numbers)
    if len(numbers) != 2 * len(default) or (numbers[1::2] == 0).any():
        return default
    return tuple(float(n) for n in numbers[::2] / numbers[1::2])
