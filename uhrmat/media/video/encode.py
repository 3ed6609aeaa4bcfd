"""A stream being written: one encoder run into one file that appears whole or not at all.

Alpha is written as numbers, never as light: full range in the alpha plane of ProRes, VP9 and FFV1 and in FFV1's grey;
as luma from black (16 of 255 when limited) to white (235) in codecs that have only pictures, always limited.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.files import atomic_write, check_writable
from uhrmat.media.convert import to_integer
from uhrmat.media.icc import Chromaticities
from uhrmat.media.video.codecs import Codec
from uhrmat.media.video.colour import grey_codes, output_tags, range_code
from uhrmat.media.video.container import open_muxer
from uhrmat.media.video.extend import extend_colour
from uhrmat.media.video.fields import encoder_options, mark_interlaced
from uhrmat.media.video.planes import fill_colour, fill_neutral, fill_plane
from uhrmat.media.video.types import Array, ClipInfo, ClipWriter, Content, FieldOrder, FloatArray, Frame

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av import VideoFrame

SAMPLE_EVERY = 16
SMALL = 512 * 512
"""Pixels up to which one thread encodes: more would only wait for each other. It does not change the result."""
REQUIRED_HINTS = {"alpha": ("alpha",), "composite": ("colour",), "foreground": ("alpha", "colour")}


def pixel_format(codec: Codec, content: Content, bits: int, odd: bool) -> str:
    """The layout that `content` is encoded in. Odd sizes of H.264 and HEVC take 4:4:4, the others 4:2:0."""
    depth = "" if bits == 8 else f"{bits}le"
    if codec.name == "ffv1":
        names = {
            "alpha": f"gray{depth}",
            "foreground": f"gbrap{depth}" if depth else "bgra",
            "composite": f"gbrp{depth}" if depth else "bgr0",
        }
        return names[content]
    mark = "a" if content == "foreground" else ""
    full = codec.name == "prores4444" or (odd and codec.name != "vp9")
    return f"yuv{mark}{'444' if full else '420'}p{depth}"


def as_codes(alpha: Array, bits: int) -> Array:
    """[0, 1] as full-range integers of `bits`, rounded: uint8, or uint16 above 8 bits."""
    top = np.float32(2**bits - 1) if bits < 16 else np.float64(65535)
    scaled = np.clip(alpha, 0.0, 1.0) * top + type(top)(0.5)
    return np.asarray(scaled.astype(np.uint8 if bits == 8 else np.uint16))


def check_parts(info: ClipInfo, content: Content, alpha: FloatArray | None, colour: Array | None) -> None:
    """Raise `ValueError` when `content` lacks a part, `InputError` when a part has not the clip's size."""
    for name, part in (("alpha", alpha), ("colour", colour)):
        if part is None and name in REQUIRED_HINTS[content]:
            raise ValueError(f"content '{content}' needs {name}")
        if part is not None and part.shape[:2] != (info.height, info.width):
            size = f"{part.shape[1]} × {part.shape[0]}"
            raise InputError(f"The {name} is {size}, the clip {info.width} × {info.height}.")


class StreamWriter(ClipWriter):
    """Encodes frames into `path`; see `ClipWriter`. Nothing is opened before the first frame."""

    def __init__(self, path: Path, codec: Codec, info: ClipInfo, content: Content, bits: int) -> None:
        check_writable(path.parent)
        self.path, self.written = path, 0
        self.samples: dict[int, FloatArray] = {}
        self._codec, self._info, self._content, self._bits = codec, info, content, bits
        self._fields: FieldOrder = info.fields if codec.interlaced and info.height % 2 == 0 else ""
        odd = bool(info.width % 2 or info.height % (4 if self._fields else 2))  # a field's height is halved, too
        self._format = pixel_format(codec, content, bits, odd)
        rgb = self._format.startswith(("gbr", "bgr", "gray"))
        limited = content == "alpha" or codec.name == "prores4444"
        self._tags = output_tags(info.colour, (info.width, info.height), rgb=rgb, limited=limited)
        self._stack: contextlib.ExitStack | None = None
        self._durations: dict[int, int] = {}
        self._done = False
        self._container: Any = None
        self._stream: Any = None

    def write(self, frame: Frame, alpha: FloatArray | None, colour: Array | None) -> None:
        """Encode one frame; see `ClipWriter.write`. Time stamps must ascend."""
        if self._done:
            raise ValueError("the writer is closed")
        check_parts(self._info, self._content, alpha, colour)
        with self._failing():
            if self._stack is None:
                self._open()
            picture = self._picture(alpha, colour, frame.picture.info.chromaticities)
            picture.pts, picture.time_base = frame.pts, self._info.time_base
            self._durations[frame.pts] = frame.duration or round(1 / (self._info.rate * self._info.time_base))
            self._mux(self._stream.encode(picture))
        if alpha is not None and self.written % SAMPLE_EVERY == 0:
            kept = dict(list(self.samples.items())[:1])
            self.samples = kept | {self.written: alpha.copy()}
        self.written += 1

    def close(self) -> None:
        """Drain the encoder, write the index, give the file its name."""
        if self._done:
            return
        if self._stack is None:
            self._done = True
            raise OutputError(f"No frame was written to '{self.path}'.", "The range of frames is empty.")
        with self._failing():
            self._mux(self._stream.encode(None))
            self._container.close()
        self._done = True
        self._stack.close()

    def abort(self) -> None:
        """Drop everything; no file appears."""
        self._drop(RuntimeError("aborted"))

    def _drop(self, error: BaseException) -> None:
        """End the run because of `error`; an `OSError` becomes an `OutputError`."""
        if self._done or self._stack is None:
            self._done = True
            return
        self._done = True
        with contextlib.suppress(Exception):
            self._container.close()
        with contextlib.suppress(RuntimeError):
            self._stack.__exit__(type(error), error, error.__traceback__)

    @contextlib.contextmanager
    def _failing(self) -> Any:
        """Whatever goes wrong inside, the temporary file goes; FFmpeg's own errors become `OutputError`."""
        import av

        try:
            yield
        except BaseException as error:
            self._drop(error)
            if isinstance(error, av.error.FFmpegError) and not isinstance(error, OSError):
                text = error.strerror or "the encoder refuses"
                raise OutputError(f"Cannot encode '{self.path}' as {self._codec.name}: {text}.", "") from error
            raise

    def _open(self) -> None:
        with contextlib.ExitStack() as stack:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(atomic_write(self.path))
            self._container = open_muxer(temporary, self._info.time_base)
            self._stream = self._add_stream()
            self._stack = stack.pop_all()

    def _add_stream(self) -> Any:
        info, tags = self._info, self._tags
        options = self._codec.options | (self._codec.matte_options if self._content == "alpha" else {})
        options |= encoder_options(self._fields)
        stream = self._container.add_stream(self._codec.encoder, rate=info.rate, options=options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, self._format
        context.time_base = stream.time_base = info.time_base
        context.color_range, context.colorspace = range_code(tags), tags.matrix_code
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        context.sample_aspect_ratio = info.sample_aspect
        if "threads" not in self._codec.options:
            context.thread_type = "SLICE"
            context.thread_count = 0 if info.width * info.height > SMALL else 1
        if self._codec.encoder == "libx265":
            context.codec_tag = "hvc1"
        if self._content == "foreground" and self._codec.name == "vp9":
            stream.metadata["alpha_mode"] = "1"
        return stream

    def _picture(
        self, alpha: FloatArray | None, colour: Array | None, chromaticities: Chromaticities | None
    ) -> VideoFrame:
        import av

        frame = av.VideoFrame(self._info.width, self._info.height, self._format)
        frame.colorspace, frame.color_range = self._tags.matrix_code, range_code(self._tags)
        frame.color_primaries, frame.color_trc = self._tags.primaries, self._tags.transfer
        bits = self._bits
        if self._content == "alpha" and alpha is not None:
            if self._codec.lossless:
                fill_plane(frame, 0, as_codes(alpha, bits), bits)
            else:
                fill_plane(frame, 0, grey_codes(alpha, "limited", bits), bits)
                fill_neutral(frame, bits)
        elif colour is not None:
            codes = None if self._content == "composite" or alpha is None else as_codes(alpha, bits)
            fill_colour(frame, self._prepared(colour, codes, chromaticities), self._tags, bits, bool(self._fields))
            if codes is not None:
                fill_plane(frame, 3, codes, bits)
        return mark_interlaced(frame, self._fields) if self._fields else frame

    def _prepared(self, colour: Array, codes: Array | None, chromaticities: Chromaticities | None) -> Array:
        """Colour as integers; where alpha is 0, black in lossless files, the nearest foreground's in the others."""
        shallow = self._bits == 8 and (self._codec.lossless or colour.dtype == np.uint8)
        rgb = to_integer(colour, self._info.linear, 8 if shallow else 16, chromaticities)
        if codes is None:
            return rgb
        return rgb * (codes > 0)[..., None] if self._codec.lossless else extend_colour(rgb, codes > 0)

    def _mux(self, packets: Any) -> None:
        for packet in packets:
            packet.duration = self._durations.pop(packet.pts, packet.duration)
            self._container.mux(packet)
