"""A sequence being written: one still per frame, named by the input's numbering, each whole or not there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from uhrmat.core.errors import OutputError
from uhrmat.core.files import check_writable
from uhrmat.media.convert import to_integer
from uhrmat.media.picture import ExrFrame, PictureInfo
from uhrmat.media.video.codecs import Codec
from uhrmat.media.video.encode import SAMPLE_EVERY, check_parts
from uhrmat.media.video.light import check_known, is_plain, primaries_of, to_scene_linear
from uhrmat.media.video.names import FrameNames
from uhrmat.media.video.types import Array, ClipInfo, ClipWriter, Content, FloatArray, Frame
from uhrmat.media.write import write_alpha, write_rgb, write_rgba


def output_names(path: Path, codec: Codec, info: ClipInfo) -> FrameNames:
    """The files that a sequence writer makes under `path`: a pattern with the codec's extension, else a folder.

    In a folder files are named like the input's, with the codec's extension; a stream's are `<stem>_%06d`.
    """
    if path.suffix.lower() in codec.suffixes and not path.is_dir() and (names := FrameNames.parse(path)) is not None:
        return names
    inner = FrameNames.parse(Path(Path(info.pattern).stem))
    if inner is None:
        return FrameNames(path, f"{info.path.stem}_", 6, codec.suffix)
    return FrameNames(path, inner.head, inner.width, inner.tail + codec.suffix)


class SequenceWriter(ClipWriter):
    """Writes stills; see `ClipWriter`. Frames that are whole stay when the run is aborted.

    PNG and TIFF hold straight colour in the clip's own signal, EXR scene-linear premultiplied light (see `light`), as
    for single pictures. `bits`: None means the clip's depth, half or float as for single pictures, 16
    bits for the alpha of TIFF.
    """

    def __init__(self, path: Path, codec: Codec, info: ClipInfo, content: Content, bits: int | None) -> None:
        self._names, self.written = output_names(path, codec, info), 0
        self.path = self._names.path
        self.samples: dict[int, FloatArray] = {}
        self._codec, self._clip, self._content, self._bits = codec, info, content, bits
        self._light = info.colour if codec.name == "exr" and content != "alpha" and not is_plain(info.colour) else None
        check_known(self._light)
        check_writable(self.path.parent)

    def file(self, number: int) -> Path:
        """The still of that number."""
        return self._names.file(number)

    def file_of(self, frame: Frame) -> Path:
        """The still of a frame: numbered by its file number or else its index."""
        return self.file(_number(frame))

    def write(self, frame: Frame, alpha: FloatArray | None, colour: Array | None) -> None:
        """Write one still; see `ClipWriter.write`."""
        check_parts(self._clip, self._content, alpha, colour)
        number, path = _number(frame), self.file_of(frame)
        path.parent.mkdir(parents=True, exist_ok=True)
        single = self._single(colour)
        if self._content == "alpha" and alpha is not None:
            write_alpha(path, alpha, self._alpha_format(), exr_float=bool(single), info=self._header(frame))
        elif colour is not None:
            colour, info = self._coloured(frame, colour)
            if self._content == "composite" or alpha is None:
                write_rgb(path, colour, info, exr_float=single)
            else:
                write_rgba(path, colour, alpha, info, self._codec.name == "exr", exr_float=single)
        if alpha is not None and self.written % SAMPLE_EVERY == 0:
            self.samples = dict(list(self.samples.items())[:1]) | {number: alpha.copy()}
        self.written += 1

    def _single(self, colour: Array | None) -> bool | None:
        """Whether an EXR is of floats; None: as its pixels decide."""
        if self._bits is not None:
            return self._bits == 32
        return colour.dtype != np.uint8 if self._light is not None and colour is not None else None

    def _alpha_format(self) -> str:
        deep = (self._bits or self._clip.bits) > 8
        return "png16" if self._codec.name == "png" and deep else self._codec.name

    def _coloured(self, frame: Frame, colour: Array) -> tuple[Array, PictureInfo]:
        """Colour in the requested depth, and the `PictureInfo` of the still."""
        if self._light is not None:
            info = replace(self._header(frame), dtype="float32", linear=True, icc=None, png_colour=())
            return to_scene_linear(colour, self._light.transfer), replace(
                info, chromaticities=primaries_of(self._light)
            )
        if self._bits in self._codec.bits and self._codec.lossless:
            colour = to_integer(colour, self._clip.linear, self._bits, frame.picture.info.chromaticities)
        depth = frame.picture.info.bit_depth if colour.dtype == np.float32 else 8 * colour.dtype.itemsize
        linear = self._clip.linear and colour.dtype == np.float32
        return colour, replace(self._header(frame), dtype=colour.dtype.name, bit_depth=depth, linear=linear)

    def _header(self, frame: Frame) -> PictureInfo:
        """The picture's own info, with the clip's pixel aspect where it states none."""
        info = frame.picture.info
        if self._clip.sample_aspect == 1 or info.exr is not None:
            return info
        window = (0, 0, info.width - 1, info.height - 1)
        return replace(info, exr=ExrFrame(window, window, float(self._clip.sample_aspect)))

    def close(self) -> None:
        """Every file is complete already. A writer without frames is an `OutputError`."""
        if not self.written:
            raise OutputError(f"No frame was written to '{self.path}'.", "The range of frames is empty.")

    def abort(self) -> None:
        """Nothing is half written, so nothing has to go."""


def pixel_aspect_note(codec: Codec, info: ClipInfo) -> list[str]:
    """Notes on what the files of a sequence do not say of their clip."""
    if info.sample_aspect == 1 or codec.name == "exr":
        return []
    aspect = f"{info.sample_aspect.numerator}:{info.sample_aspect.denominator}"
    return [f"{codec.name.upper()} files do not say that pixels are {aspect}: tell the program that reads them"]


def _number(frame: Frame) -> int:
    return frame.index if frame.number is None else frame.number
