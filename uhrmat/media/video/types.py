"""What a clip, a frame and their colour are: plain data that the reader makes and the writer takes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from uhrmat.media.picture import Picture
from uhrmat.media.video.labels import NO_LABELS, Labels

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]
Content = Literal["alpha", "foreground", "composite"]
"""What a file holds: a grey matte; straight RGB with alpha where the codec carries it; RGB over a background."""

FieldOrder = Literal["", "top", "bottom"]
"""Which field of an interlaced clip is shown first: that of the even rows or of the odd ones; "" is progressive."""

UNSPECIFIED = 2
"""The code of ITU-T H.273 for primaries, transfer and matrix that nobody stated."""


@dataclass(frozen=True, kw_only=True)
class ColourTags:
    """How a stream's numbers mean colour. `primaries`, `transfer` and `matrix_code` are H.273 codes, carried over raw.

    `matrix` is "bt601", "bt709", "bt2020", "smpte240m", "fcc" or "rgb", `range` "limited" or "full": what is applied.
    `guessed` names what the file did not say: "matrix" (below 720 lines and 1280 columns BT.601, else BT.709),
    "range" (limited, full for RGB and JPEG formats). Guessed codes stay unspecified: the output claims nothing new.
    """

    matrix: str
    range: str
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix_code: int = UNSPECIFIED
    guessed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known of a clip before its first frame is decoded.

    `width` and `height` count after `rotation` (degrees counterclockwise, 0, 90, 180 or 270), which frames have
    already been given, mirrored left to right before it where `mirrored`. `rate` is the average in frames per second;
    `variable` says that time stamps are not evenly spaced; where they are, but the file's time base is too coarse to
    say so (milliseconds), `time_base` is finer than the file's. `frames` is what was found by reading the index, not
    what the header announces; None if nobody knows. `bits` is 8, 10, 12 or 16 per channel; `linear` marks scene-linear
    floats (EXR). `start` is the first time stamp in `time_base`. `numbers`, `files` and `pattern` (printf form,
    such as "f_%04d.png") belong to sequences, `numbers[index]` being the number of `files[index]`. `sample_aspect` is a
    pixel's width over its height. `labels` are title, time code and chapters. `fields` is that of the
    upright frames.
    """

    path: Path
    kind: Literal["stream", "sequence"]
    width: int
    height: int
    rate: Fraction
    time_base: Fraction
    variable: bool = False
    frames: int | None = None
    bits: int = 8
    linear: bool = False
    colour: ColourTags | None = None
    rotation: int = 0
    duration: float | None = None
    has_audio: bool = False
    start: int = 0
    numbers: tuple[int, ...] = ()
    pattern: str = ""
    codec: str = ""
    has_alpha: bool = False
    sample_aspect: Fraction = Fraction(1)
    mirrored: bool = False
    labels: Labels = NO_LABELS
    files: tuple[Path, ...] = ()
    fields: FieldOrder = ""

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that the frames come from."""
        return self.files or (self.path,)


@dataclass(kw_only=True)
class Frame:
    """One picture of a clip: RGB, turned upright, uint8 for 8 bits, uint16 full scale for more, float32 for EXR.

    `index` counts within the clip from 0 and is the same whether it was reached by reading or by seeking; `pts` is in
    the clip's `time_base`, `time` in seconds. `duration` (in `time_base`) is 0 where unknown. `number` is the file's
    number in a sequence. `picture.alpha` holds the file's own alpha, where it has one.
    """

    index: int
    pts: int
    time: Fraction
    picture: Picture
    number: int | None = None
    duration: int = 0


class ClipWriter(ABC):
    """A file or sequence being written. As a context manager it closes at the end and aborts on an exception.

    `samples` keeps, for `check_alpha`, the alpha of the first frame and of the latest of every sixteenth, by position
    in this file, or by number for a sequence. `path` is the file, or the sequence's pattern.
    """

    path: Path
    written: int
    samples: dict[int, FloatArray]

    @abstractmethod
    def write(self, frame: Frame, alpha: FloatArray | None, colour: Array | None) -> None:
        """Add one frame: alpha float32 (H, W) in [0, 1], colour (H, W, 3) uint8, uint16 or float32 in [0, 1].

        Content "alpha" takes alpha, "composite" colour, "foreground" both. Floats are scene-linear if the clip is.
        Time comes from `frame.pts`, a file number from `frame.number`.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish: the file appears under its name, whole. A writer without frames is an `OutputError`."""

    @abstractmethod
    def abort(self) -> None:
        """Leave: nothing appears (frames of a sequence that are whole already stay)."""

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()


@dataclass(frozen=True)
class AlphaCheck:
    """What came back from a written file: PSNR in dB over the frames looked at (infinite when exact), and a verdict."""

    psnr: float
    exact: bool
    ok: bool
    frames: int


@dataclass(frozen=True)
class JoinReport:
    """What `join_segments` wrote: frames, audio packets copied, and what a person should know."""

    frames: int
    audio_packets: int
    audio_path: Path | None = None
    notes: tuple[str, ...] = field(default=())
