"""Trimaps, masks and mattes from files and arrays: read as data, sample by sample, and brought to the picture's size.

What their values mean is decided in `media.coding`, for arrays and files alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.media.coding import (
    BACKGROUND,
    FOREGROUND,
    KNOWN,
    UNKNOWN,
    FloatArray,
    Trimap,
    normalise_mask,
    normalise_trimap,
)
from uhrmat.media.picture import FULL_SCALE
from uhrmat.media.read import MAX_PIXELS, decode_upright, open_source
from uhrmat.media.source import Array

ArrayOrPath = npt.NDArray[Any] | PathLike
PROPORTIONS = 0.03
"""By how much the proportions of a hint and its picture may differ, as a share."""
_GREY_SLACK = 12 / 255
"""By how much the channels of a grey picture may differ after JPEG, as a share of full scale."""
_PAINTED = 0.95
"""Share of the visible pixels from which on black, white and half are a hint that was painted."""
_MIDDLE = 0.5


def read_trimap(
    source: ArrayOrPath, size: tuple[int, int] | None = None, resize: bool = False, max_pixels: int = MAX_PIXELS,
    notes: list[str] | None = None,
) -> Trimap:  # fmt: skip
    """A trimap as uint8 (H, W) of exactly {0, 128, 255}; see `coding.normalise_trimap` for the codings.

    Args:
        source: an array or the path of a grey, RGB, palette, 16-bit, float or alpha-carrying file.
        size: the picture's (height, width). Another size is refused, or resampled with `resize`.
        notes: gets a line for what was taken on trust.
    """
    values, lossy, name = _values(source, "trimap", max_pixels, notes)
    trimap = normalise_trimap(values, lossy=lossy, name=name, notes=notes)
    if check_hint_size(name, "trimap", trimap.shape, size, resize, notes):
        return trimap
    assert size is not None
    return resize_trimap(trimap, size)


def read_mask(
    source: ArrayOrPath, size: tuple[int, int] | None = None, resize: bool = False, max_pixels: int = MAX_PIXELS,
    notes: list[str] | None = None,
) -> FloatArray:  # fmt: skip
    """A mask or coarse alpha as float32 (H, W) in [0, 1]; see `coding.normalise_mask` for the codings.

    A mask of another size than `size` (height, width) is resampled where it has the same proportions, or with `resize`;
    else `InputError`. Other arguments as for `read_trimap`.
    """
    values, lossy, name = _values(source, "mask", max_pixels, notes)
    mask = normalise_mask(values, lossy=lossy, name=name, notes=notes)
    if check_hint_size(name, "mask", mask.shape, size, resize, notes):
        return mask
    assert size is not None
    return resize_mask(mask, size)


def read_matte(
    source: ArrayOrPath, max_pixels: int = MAX_PIXELS, notes: list[str] | None = None, name: str = "alpha"
) -> FloatArray:
    """A matte that was made elsewhere, as float32 (H, W) in [0, 1], in a mask's codings but every value as it is."""
    values, lossy, named = _values(source, name, max_pixels, notes)
    return normalise_mask(values, lossy=lossy, exact=True, name=named, notes=notes)


def read_alpha(path: PathLike, max_pixels: int = MAX_PIXELS) -> FloatArray:
    """The alpha in a matte's file as float32 (H, W), full scale 1, whatever the values happen to be."""
    file, source = open_source(path, max_pixels)
    values = single_channel(f"'{file}'", *decode_upright(file, source), paint=False)
    return np.divide(values, np.float32(FULL_SCALE[values.dtype.name]), dtype=np.float32)


def check_hint_size(
    name: str, kind: str, have: Sequence[int], size: tuple[int, int] | None, resize: bool = False,
    notes: list[str] | None = None, picture: str = "the picture",
) -> bool:  # fmt: skip
    """Whether a hint of size `have` (H, W) is of the picture's `size`; False where it is to be resampled, with a note.

    A trimap must have the picture's size, other hints its proportions; with `resize` trimaps and masks may have any.
    Raises InputError for what does not fit, and always for a hint that lies on its side.
    """
    if size is None or tuple(have) == tuple(size):
        return True
    shown, wanted = (f"{width}x{height}" for height, width in (have[:2], size))
    what = f"{name} is {shown}, but {picture} is {wanted}."
    scalable = kind in ("trimap", "mask")
    turned = (have[0] > have[1]) != (size[0] > size[1]) and have[0] != have[1] and size[0] != size[1]
    if turned and (_alike(have[::-1], size) or resize):
        raise InputError(
            what,
            "It would fit if it were turned by 90°: it lies on its side, as when a program passes over the "
            "photograph's rotation tag (EXIF). Turn it, or export it from the upright photograph.",
        )
    same = _alike(have, size)
    if not (resize and scalable) and (kind == "trimap" or not same):
        size_cure = "Export it at the photograph's size, or scale it with --resize-trimap."
        raise InputError(what, size_cure if scalable else "Export it in the photograph's proportions.")
    if notes is not None and kind != "alpha":
        bent = "" if same else ", which changes its proportions"
        notes.append(f"the {kind} is {shown} and was scaled to the picture's {wanted}{bent}")
    return False


def _alike(have: Sequence[int], size: Sequence[int]) -> bool:
    return 0 not in have and abs(have[1] * size[0] / (have[0] * size[1]) - 1) <= PROPORTIONS


def _values(source: ArrayOrPath, kind: str, max_pixels: int, notes: list[str] | None) -> tuple[Array, bool, str]:
    """One channel of values (H, W), whether they come from a lossy file, and the hint's name for errors.

    notes: takes lines for the user about the file.
    """
    if isinstance(source, np.ndarray):
        name = f"The {kind}"
        pixels, alpha = _split(source, name)
        return single_channel(name, pixels, alpha), False, name
    try:
        path = Path(source)
    except TypeError:
        what = f"A {type(source).__name__} is no {kind}."
        raise InputError(what, "Give a path or a numpy array, for example np.asarray(…).") from None
    file, header = open_source(path, max_pixels)
    name = f"The {kind} '{file}'"
    decoded = decode_upright(file, header)
    if notes is not None:
        notes += header.notes
    return single_channel(name, *decoded), header.lossy, name


def _split(array: Array, name: str) -> tuple[Array, Array | None]:
    """An array's colour, (H, W) or (H, W, 3), and alpha."""
    if array.ndim == 3 and array.shape[2] in (1, 2, 3, 4):
        channels = array.shape[2]
        alpha = array[..., -1] if channels in (2, 4) else None
        return (array[..., 0] if channels < 3 else array[..., :3]), alpha
    if array.ndim != 2:
        raise InputError(f"{name} is an array of shape {array.shape}.", "Give height × width values.")
    return array, None


def single_channel(name: str, pixels: Array, alpha: Array | None, *, paint: bool = True) -> Array:
    """The values (H, W) that a picture used as data holds.

    Its grey values, unless its alpha channel says more: that of a cut-out (colours behind an alpha that is not opaque
    everywhere) is its mask. Where grey values that are black, white or half are painted on a transparent ground
    (`paint`), the ground is black. Raises InputError for an opaque coloured picture.
    """
    grey = pixels if pixels.ndim == 2 else _grey(pixels)
    if alpha is None or _opaque(alpha):
        if grey is None:
            raise InputError(
                f"{name} is coloured, but a trimap, mask or alpha must be grey.",
                "Use black for background, white for foreground, grey for unknown, or give a file with an alpha "
                "channel; or is it the wrong file?",
            )
        return grey
    if grey is None:
        return alpha
    if alpha.min() == alpha.max():
        return alpha if grey.min() == grey.max() and grey.max() > 0 else grey
    if grey.min() == grey.max() or not paint or not _painted(grey, alpha):
        return alpha
    product = grey.astype(np.float64) * (alpha / _top(alpha))
    return product.astype(np.float32) if grey.dtype.kind == "f" else np.rint(product).astype(grey.dtype)


def _opaque(alpha: Array) -> bool:
    return bool(alpha.min() >= _top(alpha))


def _top(values: Array) -> float:
    """Full scale of a channel as it is stored."""
    if values.dtype.kind in "iu":
        return float(np.iinfo(values.dtype).max)
    return 255.0 if values.dtype.kind == "f" and values.size and values.max() > 1.5 else 1.0


def _grey(pixels: Array) -> Array | None:
    """The one channel of (H, W, 3) whose channels are alike, up to what JPEG makes of grey; None of a coloured one."""
    slack = _GREY_SLACK * _top(pixels)
    for y in range(0, len(pixels), 256):
        strip = pixels[y : y + 256]
        spread = strip.max(axis=2).astype(np.float64) - strip.min(axis=2)
        if spread.max(initial=0) > slack:
            return None
    return np.ascontiguousarray(pixels[..., 1])


def _painted(grey: Array, alpha: Array) -> bool:
    """Whether what is seen is black, white or half: a hint drawn on a transparent ground, not a grey photograph's
    cut-out."""
    seen = grey[alpha > 0].astype(np.float32) / np.float32(_top(grey))
    flat = (seen <= KNOWN) | (seen >= 1 - KNOWN) | (np.abs(seen - _MIDDLE) <= KNOWN / 2)
    return bool(flat.mean() >= _PAINTED)


def resize_trimap(trimap: Trimap, size: tuple[int, int]) -> Trimap:
    """A {0, 128, 255} trimap at (height, width). A pixel stays known only where all it is made from agrees."""
    from uhrmat.media.resample import resize  # loads cv2

    out = np.full(size, UNKNOWN, np.uint8)
    for value in (BACKGROUND, FOREGROUND):
        share = resize((trimap == value).astype(np.float32), size)
        out[share > 1 - 1e-4] = value
    return out


def resize_mask(mask: FloatArray, size: tuple[int, int]) -> FloatArray:
    """A mask (h, w) in [0, 1] at (height, width)."""
    from uhrmat.media.resample import resize  # loads cv2

    return np.asarray(resize(mask, size), np.float32).reshape(size)
