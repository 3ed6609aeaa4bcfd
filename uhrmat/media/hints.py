"""Trimaps and masks in any usual coding, as one: uint8 {0, 128, 255} and float32 [0, 1]."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from uhrmat.errors import InputError
from uhrmat.media.files import PathLike
from uhrmat.media.picture import FULL_SCALE
from uhrmat.media.read import MAX_PIXELS, decode_upright, open_source
from uhrmat.media.source import Array, Decoded

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255
_LOSSY_SLACK = 16
_GREY_SLACK = 12

Trimap = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]


def normalise_trimap(values: Array, slack: int = 0) -> Trimap:
    """Any single-channel coding (H, W) as uint8 {0, 128, 255}.

    0 is background, the top of the range foreground, everything between unknown. Integers up to 2 are the labels
    0, 1, 2. 16-bit values count by their upper byte, unless they are 8-bit values in a 16-bit file. Floats are 0..1 or
    0..255. `slack` widens both ends by so many of 255 levels (lossy files ring).
    """
    if values.dtype.kind == "f":
        scale = 1.0 if float(values.max()) > 1.0 else 255.0
        levels = np.rint(np.clip(values * np.float32(scale), 0, 255)).astype(np.uint8)
    elif values.dtype == np.uint16 and int(values.max()) > 255:
        levels = (values >> 8).astype(np.uint8)
    else:
        levels = values.astype(np.uint8, copy=False)
    if values.dtype.kind != "f" and int(levels.max()) <= 2 and slack == 0:
        return np.array([BACKGROUND, UNKNOWN, FOREGROUND], np.uint8)[levels]
    table = np.full(256, UNKNOWN, np.uint8)
    table[: slack + 1] = BACKGROUND
    table[255 - slack :] = FOREGROUND
    return table[levels]


def resize_trimap(trimap: Trimap, size: tuple[int, int]) -> Trimap:
    """A {0, 128, 255} trimap at (height, width). A pixel stays known only where all it is made from agrees."""
    import cv2

    height, width = size
    shrinks = height < trimap.shape[0] or width < trimap.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    out = np.full(size, UNKNOWN, np.uint8)
    for value in (BACKGROUND, FOREGROUND):
        share = cv2.resize((trimap == value).astype(np.float32), (width, height), interpolation=method)
        out[share > 1 - 1e-4] = value
    return out


def _single_channel(file: Path, decoded: Decoded) -> Array:
    """Grey values (H, W): the alpha channel if that is what varies, else the colour, which must be grey."""
    pixels, alpha = decoded
    if pixels.ndim == 3:
        pixels = _grey(file, pixels)
    if alpha is None or alpha.min() == alpha.max():
        return pixels
    if pixels.min() == pixels.max():
        return alpha
    top = FULL_SCALE[alpha.dtype.name]
    product = pixels.astype(np.float64) * (alpha / top)
    return product.astype(np.float32) if pixels.dtype.kind == "f" else np.rint(product).astype(pixels.dtype)


def _grey(file: Path, pixels: Array) -> Array:
    slack = _GREY_SLACK * FULL_SCALE[pixels.dtype.name] / 255
    for y in range(0, len(pixels), 256):
        strip = pixels[y : y + 256]
        spread = strip.max(axis=2).astype(np.float64) - strip.min(axis=2)
        if spread.max() > slack:
            raise InputError(
                f"'{file}' is coloured, but a trimap or mask must be grey.",
                "Use black for background, white for foreground, grey for unknown; or is it the wrong file?",
            )
    return np.ascontiguousarray(pixels[..., 1])


def _refuse_size(kind: str, file: Path, have: tuple[int, int], want: tuple[int, int], cure: str) -> InputError:
    turned = " It would fit turned by 90 degrees: it may lack the picture's rotation tag." if have == want[::-1] else ""
    return InputError(
        f"The {kind} '{file}' is {have[1]}x{have[0]}, but the picture is {want[1]}x{want[0]}.",
        f"Export it at the picture's size{cure}.{turned}",
    )


def read_trimap(
    path: PathLike, size: tuple[int, int] | None = None, resize: bool = False, max_pixels: int = MAX_PIXELS
) -> Trimap:
    """A trimap as uint8 (H, W) of exactly {0, 128, 255}.

    `size` is the picture's (height, width): another size is refused with `InputError`, or resampled with `resize`.
    See `normalise_trimap` for the codings; grey, RGB, palette, 16-bit, float and alpha-carrying files are read.
    """
    file, source = open_source(path, max_pixels)
    values = _single_channel(file, decode_upright(file, source))
    trimap = normalise_trimap(values, _LOSSY_SLACK if source.lossy else 0)
    if size is None or trimap.shape == tuple(size):
        return trimap
    if not resize:
        raise _refuse_size("trimap", file, (trimap.shape[0], trimap.shape[1]), size, ", or pass --resize-trimap")
    return resize_trimap(trimap, size)


def read_mask(
    path: PathLike, size: tuple[int, int] | None = None, resize: bool = True, max_pixels: int = MAX_PIXELS
) -> FloatArray:
    """A mask or coarse alpha as float32 (H, W) in [0, 1]; integer files of 0 and 1 count as binary.

    A mask of another size than `size` (height, width) is resampled, unless `resize` is off: then `InputError`.
    """
    file, source = open_source(path, max_pixels)
    values = _single_channel(file, decode_upright(file, source))
    mask = _unit(values)
    if size is None or mask.shape == tuple(size):
        return mask
    if not resize:
        raise _refuse_size("mask", file, (mask.shape[0], mask.shape[1]), size, "")
    return _resize_mask(mask, size)


def _unit(values: Array) -> FloatArray:
    top = float(values.max())
    if values.dtype.kind == "f":
        scale = 255.0 if top > 1.0 else 1.0
    elif top <= 1:
        scale = 1.0
    else:
        scale = 255.0 if top <= 255 else 65535.0
    return np.clip(np.divide(values, np.float32(scale), dtype=np.float32), 0.0, 1.0)


def _resize_mask(mask: FloatArray, size: tuple[int, int]) -> FloatArray:
    import cv2

    shrinks = size[0] < mask.shape[0] or size[1] < mask.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    resized = cv2.resize(mask, (size[1], size[0]), interpolation=method)
    return np.asarray(resized, np.float32).reshape(size)
