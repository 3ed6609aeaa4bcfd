"""What callers have, as the pipeline takes it: NumPy arrays, PIL images, torch tensors, paths, and batches of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from uhrmat.core.errors import InputError
from uhrmat.hints.files import ArrayOrPath
from uhrmat.hints.prompts import Box, Point
from uhrmat.media import Picture

Array = npt.NDArray[Any]
PictureLike = Picture | Array | torch.Tensor | Image.Image | str | os.PathLike[str]
"""One picture: (H, W[, C]) arrays of uint8, uint16 or floats in [0, 1]; tensors (C, H, W) or (H, W[, C]); RGB order."""
HintLike = Array | torch.Tensor | Image.Image | str | os.PathLike[str]
"""One trimap, mask or matte: (H, W) in any of the codings of `media.coding`, or a file."""
PointsLike = Sequence[str | Sequence[float] | Point] | Array
"""Points of one picture, see `hints.prompts.parse_prompts`."""
BoxesLike = Sequence[str | Sequence[float] | Box] | Array
"""Boxes of one picture."""
_CHANNELS = (1, 3, 4)
_BATCH_DIMENSIONS = 4


def is_batch(image: Any) -> bool:
    """Whether `image` stands for several pictures: a list, a tuple, or an array or tensor of four dimensions."""
    return isinstance(image, (list, tuple)) or getattr(image, "ndim", 0) == _BATCH_DIMENSIONS


def split_hint(hint: Any, count: int, name: str, *, shared: bool = False) -> list[Any]:
    """Return one hint for each picture of a batch.

    Args:
        hint: None, or a batch of `count`.
        count: pictures of the batch.
        name: of the argument.
        shared: whether one hint may serve all pictures.

    Raises:
        InputError: where there are as many hints as pictures in no sense.
    """
    if hint is None:
        return [None] * count
    if shared and not is_batch(hint):
        return [hint] * count
    if not is_batch(hint):
        if getattr(hint, "ndim", 0) == _BATCH_DIMENSIONS - 1 and len(hint) == count:
            return list(hint)
        raise InputError(f"There are {count} pictures, but `{name}` is one.", f"Give a list of {count}.")
    if len(hint) != count:
        raise InputError(f"There are {count} pictures, but `{name}` has {len(hint)}.", "Give one for each.")
    return list(hint)


def to_picture(image: PictureLike) -> Picture | Path:
    """Return what `StillPipeline.matte` takes: a `Picture`, or the path of a file that is read there.

    Args:
        image: see `PictureLike`. A PIL image keeps its ICC profile; its pixels are taken as they are (an EXIF
            orientation that has not been applied is ignored). A tensor of three dimensions is (C, H, W) where its first
            has 1, 3 or 4 entries, else (H, W, C); half precision becomes float32.

    Raises:
        InputError: for another type or shape.
    """
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, os.PathLike)):
        return Path(image)
    if isinstance(image, Image.Image):
        return _from_pil(image)
    if isinstance(image, torch.Tensor):
        return Picture.from_array(_channels_last(_numpy(image)))
    if isinstance(image, np.ndarray):
        return Picture.from_array(_supported(image))
    raise InputError(
        f"A {type(image).__name__} is no picture.",
        "Give a path, a NumPy array, a PIL image, a torch tensor, a uhrmat.media.Picture, or a list of these.",
    )


def to_hint(hint: HintLike | None, name: str) -> ArrayOrPath | None:
    """Return a hint as `hints.read_hints` takes it: an array (H, W), a path, or None.

    Raises:
        InputError: for another type or shape.
    """
    if hint is None:
        return None
    if isinstance(hint, (str, os.PathLike)):
        return Path(hint)
    if isinstance(hint, Image.Image):
        return np.asarray(hint.convert("RGBA") if hint.mode == "P" else hint)
    if isinstance(hint, torch.Tensor):
        array = _numpy(hint)
        return array[0] if array.ndim == _BATCH_DIMENSIONS - 1 and array.shape[0] == 1 else array
    if isinstance(hint, np.ndarray):
        return _supported(hint[0] if hint.ndim == _BATCH_DIMENSIONS - 1 and hint.shape[0] == 1 else hint)
    raise InputError(
        f"`{name}` cannot be a {type(hint).__name__}.",
        "Give a path, a NumPy array, a PIL image or a torch tensor (height × width).",
    )


def to_clip_hint(hint: Any, name: str) -> Path | dict[int, Path | Array]:
    """Return a hint of a clip as `iterate_clip` takes it: a path, or arrays and files by index of frame.

    Args:
        hint: a path, a hint of the first frame, or a mapping from index of frame to hint.
        name: of the argument.

    Raises:
        InputError: for another type or shape, and for an empty mapping.
    """
    if isinstance(hint, (str, os.PathLike)):
        return Path(hint)
    by_index = hint if isinstance(hint, Mapping) else {0: hint}
    made = {int(index): to_hint(value, name) for index, value in by_index.items()}
    given = {
        index: Path(value) if isinstance(value, (str, os.PathLike)) else value
        for index, value in made.items() if value is not None
    }  # fmt: skip
    if not given:
        raise InputError(f"`{name}` is an empty mapping.", "Give one for the first frame.")
    return given


def to_plate(plate: PictureLike | None) -> Picture | Path | None:
    """Return a clean plate as `hints.read_hints` takes it. Raises InputError as `to_picture`."""
    return None if plate is None else to_picture(plate)


def as_list(image: Sequence[Any] | Array | torch.Tensor) -> list[Any]:
    """Return the pictures of a batch. Raises InputError for a batch of none."""
    pictures = list(image)
    if not pictures:
        raise InputError("The list of pictures is empty.", "Give one picture or more.")
    return pictures


def _from_pil(image: Image.Image) -> Picture:
    icc = image.info.get("icc_profile")
    if image.mode in ("P", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    elif image.mode in ("1", "CMYK", "YCbCr", "LAB", "HSV"):
        image, icc = image.convert("RGB"), None
    pixels = np.asarray(image)
    if pixels.dtype == np.int32:  # mode I holds 16-bit files
        pixels = np.clip(pixels, 0, 65535).astype(np.uint16)
    if pixels.ndim == _BATCH_DIMENSIONS - 1 and pixels.shape[2] == 2:  # grey with alpha
        pixels = pixels[..., [0, 0, 0, 1]]
    return Picture.from_array(_supported(pixels), icc=icc if icc else None)


def _numpy(tensor: torch.Tensor) -> Array:
    tensor = tensor.detach().cpu()
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    array: Array = tensor.numpy()
    return array


def _channels_last(array: Array) -> Array:
    if array.ndim == _BATCH_DIMENSIONS - 1 and array.shape[0] in _CHANNELS:
        return np.moveaxis(array, 0, -1)
    return array


def _supported(array: Array) -> Array:
    """Bool and double precision as the types that the readers know; others are refused there."""
    return array.astype(np.uint8) * np.uint8(255) if array.dtype == np.bool_ else array
