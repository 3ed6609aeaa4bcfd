"""Reads alpha back from written files and compares it with the intended one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.media.convert import quantise
from uhrmat.media.picture import FULL_SCALE, Picture
from uhrmat.media.read import read_picture
from uhrmat.media.video.codecs import Codec, find_codec
from uhrmat.media.video.names import FrameNames
from uhrmat.media.video.stream import StreamReader
from uhrmat.media.video.types import AlphaCheck, Array, Content, FloatArray

FLOOR_DB = 45.0
"""The least PSNR in dB that a lossy codec must keep over a frame's alpha."""


def check_alpha(
    path: PathLike, codec: str | Codec, expected: Mapping[int, FloatArray], content: Content = "alpha"
) -> AlphaCheck:
    """Compare alphas, float32 (H, W), with those in a written file, by position in it; by number for a sequence.

    `path`, `expected` are a writer's `path` and `samples`. The verdict is `ok` when lossless codecs hold every value
    as rounded to their depth, and lossy ones at least 45 dB in the worst frame. A file that cannot be decoded, or
    that lacks a frame, is not ok. EXR counts as lossy, since half floats round.
    """
    made = find_codec(codec if isinstance(codec, str) else codec.name, content)
    worst, exact = math.inf, True
    for index, alpha in expected.items():
        back = _read(Path(path), made, index, content)
        if back is None or back.shape != alpha.shape:
            return AlphaCheck(0.0, False, False, len(expected))
        top = np.float32(FULL_SCALE[back.dtype.name])
        meant = alpha if back.dtype == np.float32 else quantise(alpha, 8 * back.dtype.itemsize)
        exact = exact and bool(np.array_equal(meant, back))
        error = float(np.mean(np.square(back.astype(np.float64) / top - alpha)))
        worst = min(worst, -10 * math.log10(error) if error else math.inf)
    return AlphaCheck(worst, exact, exact if made.lossless else worst >= FLOOR_DB, len(expected))


def _read(path: Path, codec: Codec, index: int, content: Content) -> Array | None:
    try:
        names = FrameNames.parse(path) if codec.sequence else None
        picture = _frame(path, index) if names is None else read_picture(names.file(index))
    except InputError:
        return None
    if picture is None or content == "foreground":
        return None if picture is None else picture.alpha
    return picture.pixels[..., 0]


def _frame(path: Path, index: int) -> Picture | None:
    frame = next(StreamReader(path).frames(index, index + 1), None)
    return None if frame is None else frame.picture
