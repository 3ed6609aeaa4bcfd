"""Records of a clip, its frames and their colour, and the interface of clip writers."""

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
    """The colour tags of a stream.

    Attributes:
        matrix: What is applied: "bt601", "bt709", "bt2020", "smpte240m", "fcc" or "rgb".
        range: What is applied: "limited" or "full".
        primaries: Code of ITU-T H.273, copied to outputs.
        transfer: Likewise.
        matrix_code: Likewise; a guessed matrix stays unspecified.
        guessed: What the file does not state: "matrix" (below 720 lines and 1280 columns BT.601, else BT.709), "range"
            (limited; full for RGB and JPEG formats).
    """

    matrix: str
    range: str
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix_code: int = UNSPECIFIED
    guessed: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ClipInfo:
    """What is known of a clip before its frames are decoded.

    Attributes:
        path: The file, folder or pattern.
        kind: "stream" (a video file) or "sequence" (numbered stills).
        width: Columns of the upright frames.
        height: Rows of the upright frames.
        rate: Average frames per second.
        time_base: Unit of time stamps in seconds; finer than the file's where that is too coarse for even frames.
        variable: Time stamps are not evenly spaced.
        frames: Number of frames by reading the packets, not by the header; None if unknown.
        bits: 8, 10, 12 or 16 per channel.
        linear: Values are scene-linear floats (EXR).
        colour: Tags of a stream; None for stills.
        rotation: Degrees counterclockwise by which frames have been turned: 0, 90, 180 or 270.
        duration: Seconds; None if unknown.
        has_audio: There is sound.
        start: First time stamp, in `time_base`.
        numbers: File numbers of a sequence, `numbers[index]` being that of `files[index]`.
        pattern: Names of a sequence in printf form, such as "f_%04d.png".
        codec: Of the stream, or the stills' extension.
        has_alpha: Frames have an alpha channel.
        sample_aspect: A pixel's width over its height.
        mirrored: Frames have been mirrored left to right before they were turned.
        labels: Title, time code and chapters.
        files: Files of a sequence.
        fields: Order of fields in the upright frames.
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
    """One frame of a clip.

    Attributes:
        index: Position in the clip from 0, the same by reading and by seeking.
        pts: Time stamp in the clip's `time_base`.
        time: Time stamp in seconds.
        picture: Upright RGB, uint8 for 8 bits, uint16 at full scale for more, float32 for EXR; with the file's alpha.
        number: File number in a sequence.
        duration: In `time_base`; 0 where unknown.
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
