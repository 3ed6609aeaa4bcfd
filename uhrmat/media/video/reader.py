"""Opens clips of all kinds for reading."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike
from uhrmat.media.video.sequence import SequenceReader, is_pattern
from uhrmat.media.video.stream import StreamReader

ClipReader = StreamReader | SequenceReader


def open_clip(source: PathLike, *, rate: Fraction | None = None) -> ClipReader:
    """Open a video file, a folder of numbered frames or a pattern (`f_%04d.png`, `f_####.exr`, `f_*.png`).

    `rate` is given to a sequence, which has none of its own (24 otherwise); the frames of a video file are shown at it
    evenly in place of their own time stamps, without sound. Raises `InputError` when there is nothing to see: a missing
    file, no video, a still, no frame that can be decoded.
    Of a stream that is cut off or damaged all that can be decoded is given, and the reader's `notes` say so.
    """
    path = Path(source)
    if rate is not None and rate <= 0:
        raise InputError(f"A rate of {rate} frames per second is not possible.", "Give a number above 0.")
    if path.is_dir() or is_pattern(path):
        return SequenceReader(path, rate)
    return StreamReader(path, rate)
