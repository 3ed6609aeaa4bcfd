"""From a stream's numbers to RGB and back: matrices and ranges as published, applied exactly, rounded once.

ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance), SMPTE 240M and FCC differ in two luma weights. The
conversion is one affine map per direction, done by OpenCV in one pass with rounding. swscale was measured against it
(4:4:4, random colours): up to one 8-bit level off on 10 bits, four codes the other way, and four times slower at 4K.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.media.video.types import UNSPECIFIED, Array, ColourTags

_WEIGHTS = {
    "bt601": (0.299, 0.114),
    "bt709": (0.2126, 0.0722),
    "bt2020": (0.2627, 0.0593),
    "smpte240m": (0.212, 0.087),
    "fcc": (0.30, 0.11),
}
"""Luma weights of red and blue."""

_MATRICES = {0: "rgb", 1: "bt709", 4: "fcc", 5: "bt601", 6: "bt601", 7: "smpte240m", 9: "bt2020"}
_LIMITED, _FULL = 1, 2
_BT2020 = 9
_GREY_LIMITED = ("h264", "hevc", "vp9", "vp8", "av1", "prores", "mpeg4", "mpeg2video")
HD_LONG, HD_SHORT = 1280, 720


def guess_matrix(width: int, height: int) -> str:
    """What an untagged picture most likely uses: BT.709 from 1280 × 720 on, whichever side is up, else BT.601."""
    return "bt709" if max(width, height) >= HD_LONG or min(width, height) >= HD_SHORT else "bt601"


def read_tags(
    path: Path, size: tuple[int, int], pixel_format: str, codec: str, codes: tuple[int, int, int, int]
) -> ColourTags:
    """The tags of a stream from its H.273 codes (matrix, range, primaries, transfer), guessed where they are silent.

    Raises `InputError` for matrices that are no plain matrix (YCgCo, constant luminance, ICtCp).
    """
    matrix_code, range_code, primaries, transfer = codes
    guessed = []
    is_rgb = _is_rgb(pixel_format)
    matrix = "rgb" if is_rgb else _MATRICES.get(matrix_code, "")
    if not is_rgb and matrix_code in (0, UNSPECIFIED, 3):
        matrix = guess_matrix(*size)
        guessed.append("matrix")
    if not matrix:
        raise InputError(
            f"'{path}' uses the colour matrix {matrix_code} of H.273, which is not supported.",
            "Convert it to BT.709 or BT.2020 (non-constant luminance) first.",
        )
    span = {_LIMITED: "limited", _FULL: "full"}.get(range_code, "")
    if not span or is_rgb:
        span = "full" if is_rgb or _full_by_nature(pixel_format, codec) else "limited"
        guessed += [] if is_rgb else ["range"]
    return ColourTags(
        matrix=matrix,
        range=span,
        primaries=primaries,
        transfer=transfer,
        matrix_code=matrix_code,
        guessed=tuple(guessed),
    )


def _is_rgb(pixel_format: str) -> bool:
    return pixel_format.startswith(("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "x2", "bayer"))


def _full_by_nature(pixel_format: str, codec: str) -> bool:
    grey = pixel_format.startswith(("gray", "ya", "mono"))
    return pixel_format.startswith("yuvj") or codec == "mjpeg" or (grey and codec not in _GREY_LIMITED)


def _scales(span: str, bits: int) -> tuple[float, float, float, float]:
    """Luma offset and scale, chroma offset and scale, in codes of that depth for Y in [0, 1] and C in [-0.5, 0.5]."""
    unit = float(2 ** (bits - 8))
    if span == "full":
        top = float(2**bits - 1)
        return 0.0, top, 128 * unit, top
    return 16 * unit, 219 * unit, 128 * unit, 224 * unit


def _forward(matrix: str) -> npt.NDArray[np.float64]:
    red, blue = _WEIGHTS[matrix]
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, ([0, 0, 1] - luma) / (2 * (1 - blue)), ([1, 0, 0] - luma) / (2 * (1 - red))])


def rgb_to_codes(matrix: str, span: str, bits: int, top: float) -> npt.NDArray[np.float64]:
    """(3, 4): from RGB in [0, top] to YCbCr codes of `bits`."""
    y0, ys, c0, cs = _scales(span, bits)
    scale = np.array([ys, cs, cs])
    return np.column_stack([_forward(matrix) * scale[:, None] / top, [y0, c0, c0]])


def codes_to_rgb(matrix: str, span: str, bits: int, top: float) -> npt.NDArray[np.float64]:
    """(3, 4): from YCbCr codes of `bits` to RGB in [0, top], the inverse of `rgb_to_codes`."""
    back = rgb_to_codes(matrix, span, bits, top)
    inverse = np.linalg.inv(back[:, :3])
    return np.column_stack([inverse, -inverse @ back[:, 3]])


def grey_codes(values: Array, span: str, bits: int) -> Array:
    """[0, 1] as luma codes: 0 is black (16 at 8 bits when limited) and 1 white (235). uint8, or uint16 above 8 bits."""
    offset, scale, _, _ = _scales(span, bits)
    codes = np.clip(values, 0.0, 1.0) * np.float32(scale)
    codes += np.float32(offset + 0.5)
    return np.asarray(codes.astype(np.uint8 if bits == 8 else np.uint16))


def grey_values(span: str, bits: int, top: float) -> tuple[float, float]:
    """Scale and offset that bring luma codes to [0, top]."""
    offset, scale, _, _ = _scales(span, bits)
    return top / scale, -offset * top / scale


def output_tags(info_tags: ColourTags | None, size: tuple[int, int], *, rgb: bool, limited: bool) -> ColourTags:
    """The tags of a file made from a clip with `info_tags` (None for stills, which are sRGB and become BT.709).

    Matrix, range, primaries and transfer are the source's. A guess is applied again, unstated. An `rgb` file keeps
    primaries and transfer; one made from an RGB source is BT.709, or BT.2020 with its primaries. `limited` forces it.
    """
    source = info_tags or ColourTags(matrix="rgb", range="full", primaries=1, transfer=1, matrix_code=0)
    span = "limited" if limited else source.range
    if rgb:
        return ColourTags(
            matrix="rgb", range="full", primaries=source.primaries, transfer=source.transfer, matrix_code=0
        )
    if source.matrix != "rgb":
        matrix = guess_matrix(*size) if "matrix" in source.guessed else source.matrix
        return ColourTags(
            matrix=matrix,
            range=span,
            primaries=source.primaries,
            transfer=source.transfer,
            matrix_code=source.matrix_code,
            guessed=source.guessed,
        )
    wide = source.primaries == _BT2020
    return ColourTags(
        matrix="bt2020" if wide else "bt709",
        range="limited",
        primaries=source.primaries,
        transfer=source.transfer,
        matrix_code=_BT2020 if wide else 1,
    )


def range_code(tags: ColourTags) -> int:
    """The range as FFmpeg numbers it: 1 limited, 2 full."""
    return _FULL if tags.range == "full" else _LIMITED
