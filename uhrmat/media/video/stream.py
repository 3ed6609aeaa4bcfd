"""Reads a video file frame by frame: streaming, exact by index, with notes on damage instead of errors."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.media.picture import Picture, PictureInfo
from uhrmat.media.video.colour import read_tags
from uhrmat.media.video.container import (
    ANOTHER,
    announced_length,
    decoder_of,
    open_container,
    video_stream,
    video_streams,
)
from uhrmat.media.video.fields import field_order, rotate_field_order
from uhrmat.media.video.labels import read_labels
from uhrmat.media.video.light import png_colour_of
from uhrmat.media.video.planes import data_values, depth_of, has_alpha, to_rgb
from uhrmat.media.video.timeline import FrameClock, make_clock, measure_rate, scan
from uhrmat.media.video.types import UNSPECIFIED, Array, ClipInfo, ColourTags, FloatArray, Frame

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av import VideoFrame
    from av.container import InputContainer

_SAME_RATE = Fraction(1, 10_000)
"""Rates that differ by a smaller share are equal."""
_MATRIX = struct.Struct("=ii4xii")
"""The upper left four of the nine numbers of a display matrix."""


class StreamReader:
    """Frames of one video stream of a file: of those marked as default the largest, cover pictures apart.

    The index of a frame is the rank of its time stamp among all packets, so a damaged frame leaves a gap in the
    indices instead of shifting what follows. Where time stamps repeat or go backward, frames are taken in the order of
    the file. Each call of `frames` opens the file anew: several can run at once. `notes` says in words what is wrong
    with the file; it is complete when the last frame has been read. `rate`: frames per second to show the frames at,
    evenly, in place of the file's own time stamps; sound and chapters then no longer fit and are left out.
    """

    def __init__(self, path: Path, rate: Fraction | None = None) -> None:
        self.path = path
        self.notes: list[str] = []
        with open_container(path) as container:
            stream = video_stream(container, path)
            self._note_choice(stream, len(video_streams(container)))
            self._timeline = scan(container, stream)
            if not len(self._timeline):
                raise InputError(f"'{path}' holds no frame.", ANOTHER)
            self._clock, self._rate, self._variable = self._pace(stream)
            first = self._first()
            self._interlaced = first.interlaced_frame
            self._tags, self.info = self._describe(stream, first, bool(container.streams.audio))
            self._stated = png_colour_of(self._tags)
            self.info = replace(self.info, labels=read_labels(container, stream))
            if first.interlaced_frame:
                self._note(
                    f"'{path}' is interlaced, {field_order(first)} field first: each frame is matted as one picture of "
                    "both fields; where they differ much, deinterlace it first (ffmpeg -vf bwdif)."
                )
            self._note_shortage(stream.frames, announced_length(container, stream))
        if self._timeline.irregular:
            often = "once" if self._timeline.irregular == 1 else f"{self._timeline.irregular} times"
            self._note(f"Time stamps of '{path}' repeat or go backward {often}: frames are taken in the file's order.")
        if rate is not None and (self._variable or abs(rate / self._rate - 1) > _SAME_RATE):
            self._conform(rate)

    def __enter__(self) -> StreamReader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Nothing is held open between calls of `frames`."""

    def frames(self, start: int = 0, stop: int | None = None) -> Iterator[Frame]:
        """Frames `start` up to but without `stop`, in order of display, one at a time.

        Raises `InputError` when the resolution changes on the way.
        """
        for index, frame in self._decoded_range(start, stop):
            yield self._finish(index, frame)

    def values(
        self, start: int = 0, stop: int | None = None, *, alpha: bool = False
    ) -> Iterator[tuple[int, FloatArray]]:
        """Index and samples of the same frames as data: (H, W) float32 in [0, 1], without colour management.

        Args:
            start, stop: as for `frames`.
            alpha: whether the samples are the alpha channel's; else they are the luma's in its range (a full-range or
                limited-range clip gives the same values), of RGB the green channel's.

        Raises:
            InputError: the resolution changes on the way.
        """
        for index, frame in self._decoded_range(start, stop):
            self._check_frame(index, frame)
            yield index, self._upright(data_values(frame, self._tags, alpha=alpha))

    def time(self, index: int) -> Fraction:
        """When frame `index` is shown, in seconds after the first."""
        return (self._clock.pts(index) - self._clock.start) * self.info.time_base

    def stamp(self, index: int) -> tuple[int, int]:
        """Time stamp and duration of frame `index`, in the clip's time base."""
        return self._clock.pts(index), self._clock.duration(index)

    def _decoded_range(self, start: int, stop: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Indices and decoded frames of a range, from the nearest key frame from which it can be reached."""
        end = len(self._timeline) if stop is None else min(stop, len(self._timeline))
        if not 0 <= start < end:
            return
        for entry in self._timeline.entries(start) if start else (None,):
            frames = self._from(entry, start, end)
            first = next(frames, None)
            if first is not None and (first[0] == start or entry is None):
                yield first
                yield from frames
            if entry is None or (first is not None and first[0] == start):
                return

    def _from(self, entry: int | None, start: int, end: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames of the range, decoding from the key frame at `entry` or from the start of the file."""
        expected = start
        for index, frame in self._ranked(entry):
            if index < expected:
                continue
            if index >= end:
                break
            if entry is None or expected > start:
                self._note_gap(expected, index)
            expected = index + 1
            yield index, frame
        if entry is None or expected > start:
            self._note_gap(expected, end)

    def _ranked(self, entry: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their indices."""
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            timeline, last = self._timeline, -1
            if entry is not None and timeline.places is None:
                container.seek(entry, stream=stream)
            begin = entry if entry is not None and timeline.places is not None else 0
            for frame in self._decoded(container, stream, begin):
                position: Any = frame.opaque
                if timeline.counted or not timeline.stamped:
                    last += 1
                elif timeline.places is not None:
                    last = last + 1 if position is None else timeline.places[position]
                else:
                    last = last + 1 if frame.pts is None else timeline.rank(frame.pts)
                yield last, frame

    def _decoded(self, container: InputContainer, stream: Any, begin: int = 0) -> Iterator[VideoFrame]:
        """Everything the decoder gives from packet `begin` on, over packets that it refuses, up to where the file
        breaks off. A frame's `opaque` is the position of its packet."""
        import av

        decoder, source, drained, position = decoder_of(stream), container.demux(stream), False, -1
        decoder.copy_opaque = True
        while not drained:
            try:
                packet = next(source, None)
            except av.error.FFmpegError:
                packet = None
            drained = packet is None or packet.size == 0
            if packet is not None and packet.size:
                position += 1
                if position < begin:
                    continue
                packet.opaque = position
            try:
                yield from decoder.decode(None if drained else packet)
            except av.error.FFmpegError:
                self._note(f"'{self.path}' is damaged: there are packets that cannot be decoded.")

    def _first(self) -> VideoFrame:
        with open_container(self.path) as container:
            frame = next(self._decoded(container, video_stream(container, self.path)), None)
        if frame is None:
            raise InputError(f"No frame of '{self.path}' can be decoded.", "The file is damaged; use another copy.")
        return frame

    def _finish(self, index: int, frame: VideoFrame) -> Frame:
        info = self.info
        self._check_frame(index, frame)
        pts = self._clock.pts(index)
        picture = self._picture(*to_rgb(frame, self._tags))
        return Frame(
            index=index, pts=pts, time=pts * info.time_base, picture=picture, duration=self._clock.duration(index)
        )

    def _check_frame(self, index: int, frame: VideoFrame) -> None:
        """Raises InputError for a frame of another size; notes what else is unlike the first frame."""
        info = self.info
        stored = (info.height, info.width) if info.rotation % 180 else (info.width, info.height)
        if (frame.width, frame.height) != stored:
            change = f"from {stored[0]} × {stored[1]} to {frame.width} × {frame.height}"
            raise InputError(
                f"'{self.path}' changes its resolution at frame {index}, {change}.", "Cut it there into two clips."
            )
        if frame.interlaced_frame != self._interlaced:
            self._note(f"'{self.path}' has interlaced and progressive frames, all written as its first frame is.")
        if frame.is_corrupt:
            self._note(f"Frame {index} of '{self.path}' is damaged; it is used as the decoder mended it.")

    def _picture(self, pixels: Array, alpha: Array | None) -> Picture:
        pixels = self._upright(pixels)
        alpha = None if alpha is None else self._upright(alpha)
        height, width = pixels.shape[:2]
        depth = 8 * pixels.dtype.itemsize
        chunks, icc = self._stated
        info = PictureInfo(
            path=self.path,
            width=width,
            height=height,
            dtype=pixels.dtype.name,
            bit_depth=depth,
            icc=icc,
            has_alpha=alpha is not None,
            png_colour=chunks,
        )
        return Picture(pixels, alpha, info)

    def _upright(self, plane: Array) -> Array:
        if self.info.mirrored:
            plane = plane[:, ::-1]
        return np.ascontiguousarray(np.rot90(plane, self.info.rotation // 90))

    def _conform(self, rate: Fraction) -> None:
        """Show the frames evenly at `rate`."""
        self._rate, self._variable = rate, False
        self._clock = FrameClock(self._timeline, 1 / rate, 0, 1)
        if self.info.has_audio:
            self._note(f"The sound of '{self.path}' is left out, since --rate changes how fast its pictures run.")
        self.info = replace(
            self.info, rate=rate, variable=False, time_base=self._clock.base, start=0, has_audio=False,
            duration=float(len(self._timeline) / rate), labels=replace(self.info.labels, chapters=()),
        )  # fmt: skip

    def _pace(self, stream: Any) -> tuple[FrameClock, Fraction, bool]:
        """The time stamps to give, frames per second, and whether they are uneven."""
        base = Fraction(stream.time_base or Fraction(1, 1000))
        announced = [stream.guessed_rate, stream.base_rate, stream.average_rate]
        rate, variable = measure_rate(self._timeline, base, announced)
        return make_clock(self._timeline, base, rate, variable), rate, variable

    def _describe(self, stream: Any, frame: VideoFrame, has_audio: bool) -> tuple[ColourTags, ClipInfo]:
        """What header, time stamps and the first frame say."""
        codec = stream.codec_context.name
        codes = _codes(frame, stream.codec_context)
        tags = read_tags(self.path, (frame.width, frame.height), frame.format.name, codec, codes)
        rotation, mirrored = display_orientation(frame)
        fields = rotate_field_order(field_order(frame), rotation, frame.height)
        turned = rotation % 180 == 90
        aspect = Fraction(stream.sample_aspect_ratio or 1)
        clock, last = self._clock, len(self._timeline) - 1
        span = clock.pts(last) + clock.duration(last) - clock.start
        info = ClipInfo(
            path=self.path,
            kind="stream",
            width=frame.height if turned else frame.width,
            height=frame.width if turned else frame.height,
            rate=self._rate,
            time_base=clock.base,
            variable=self._variable,
            frames=len(self._timeline),
            bits=depth_of(frame.format),
            colour=tags,
            rotation=rotation,
            mirrored=mirrored,
            fields=fields,
            duration=float(span * clock.base),
            has_audio=has_audio,
            start=clock.start,
            codec=codec,
            has_alpha=has_alpha(frame.format),
            sample_aspect=1 / aspect if turned else aspect,
        )
        return tags, info

    def _note_shortage(self, frames: int, length: float) -> None:
        length_there, step = self.info.duration or 0.0, float(1 / self.info.rate)
        there = len(self._timeline) + self._timeline.discarded
        if there < frames:
            what = f"{there} of {frames} announced frames are"
        elif length_there < length - 2 * step:
            what = f"{length_there:.2f} of {length:.2f} announced seconds are"
        else:
            what = "the rest is not" if self._timeline.broken else ""
        if what:
            self._note(f"'{self.path}' is cut off or damaged: {what} there.")

    def _note_choice(self, stream: Any, count: int) -> None:
        if count > 1:
            size = f"{stream.codec_context.width} × {stream.codec_context.height}"
            self._note(f"'{self.path}' holds {count} video streams; stream {stream.index}, of {size}, is taken.")

    def _note_gap(self, first: int, end: int) -> None:
        if end > first:
            which = f"Frame {first}" if end == first + 1 else f"Frames {first} to {end - 1}"
            self._note(f"{which} of '{self.path}' cannot be decoded and will be missing.")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def display_orientation(frame: VideoFrame) -> tuple[int, bool]:
    """By how many degrees counterclockwise, a multiple of 90, a frame is to be turned, and whether it is to be mirrored
    left to right before: the nearest of eight to its display matrix, which maps (x, y) to (ax + cy, bx + dy)."""
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    matrix = b"" if side_data is None else bytes(side_data)
    if len(matrix) < _MATRIX.size:
        return 0, False
    a, b, c, d = _MATRIX.unpack_from(matrix)
    mirrored = a * d - b * c < 0
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return (180 if d < 0 else 0), mirrored
    return (90 if b < 0 else 270) if not mirrored else (90 if b > 0 else 270), mirrored


def _codes(frame: VideoFrame, context: Any) -> tuple[int, int, int, int]:
    """Matrix, range, primaries and transfer as the frame has them, or else the container: libvpx tells only two."""
    unstated = (UNSPECIFIED, 0, UNSPECIFIED, UNSPECIFIED)
    names = ("colorspace", "color_range", "color_primaries", "color_trc")
    pairs = [(int(getattr(frame, name)), int(getattr(context, name))) for name in names]
    matrix, span, primaries, transfer = (
        second if first == none else first for (first, second), none in zip(pairs, unstated, strict=True)
    )
    return matrix, span, primaries, transfer
