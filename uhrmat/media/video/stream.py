"""A video file, read frame by frame: streaming, exact by index, going on over damage and saying so."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.errors import InputError
from uhrmat.media.picture import Picture, PictureInfo
from uhrmat.media.video.colour import read_tags
from uhrmat.media.video.container import ANOTHER, announced_length, decoder_of, open_container, video_stream
from uhrmat.media.video.planes import depth_of, has_alpha, to_rgb
from uhrmat.media.video.timeline import Clock, make_clock, measure_rate, scan
from uhrmat.media.video.types import UNSPECIFIED, Array, ClipInfo, ColourTags, Frame

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer


class StreamReader:
    """Frames of the first video stream of a file that is not a cover picture.

    The index of a frame is the rank of its time stamp among all packets, so a damaged frame leaves a gap in the
    indices instead of shifting what follows. Each call of `frames` opens the file anew: several can run at once.
    `notes` says in words what is wrong with the file; it is complete when the last frame has been read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        with open_container(path) as container:
            stream = video_stream(container, path)
            self._timeline = scan(container, stream)
            if not len(self._timeline):
                raise InputError(f"'{path}' holds no frame.", ANOTHER)
            self._clock, self._rate, self._variable = self._pace(stream)
            self._tags, self.info = self._describe(stream, self._first(), bool(container.streams.audio))
            self._note_shortage(stream.frames, announced_length(container, stream))

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
        end = len(self._timeline) if stop is None else min(stop, len(self._timeline))
        if not 0 <= start < end:
            return
        for entry in self._timeline.entries(start) if start else (None,):
            found = self._from(entry, start, end)
            first = next(found, None)
            if first is not None and (first.index == start or entry is None):
                yield first
                yield from found
            if entry is None or (first is not None and first.index == start):
                return

    def _from(self, entry: int | None, start: int, end: int) -> Iterator[Frame]:
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
            yield self._finish(index, frame)
        if entry is None or expected > start:
            self._note_gap(expected, end)

    def _ranked(self, entry: int | None) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their indices."""
        with open_container(self.path) as container:
            stream = video_stream(container, self.path)
            if entry is not None:
                container.seek(entry, stream=stream)
            for count, frame in enumerate(self._decoded(container, stream)):
                pts = frame.pts if self._timeline.stamped else None
                yield count if pts is None else self._timeline.rank(pts), frame

    def _decoded(self, container: InputContainer, stream: Any) -> Iterator[VideoFrame]:
        """Everything the decoder gives, over packets that it refuses, up to where the file breaks off."""
        import av

        decoder, source, drained = decoder_of(stream), container.demux(stream), False
        while not drained:
            try:
                packet = next(source, None)
            except av.error.FFmpegError:
                packet = None
            drained = packet is None or packet.size == 0
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
        stored = (info.height, info.width) if info.rotation % 180 else (info.width, info.height)
        if (frame.width, frame.height) != stored:
            change = f"from {stored[0]} × {stored[1]} to {frame.width} × {frame.height}"
            raise InputError(
                f"'{self.path}' changes its resolution at frame {index}, {change}.", "Cut it there into two clips."
            )
        if frame.is_corrupt:
            self._note(f"Frame {index} of '{self.path}' is damaged; it is used as the decoder mended it.")
        pts = self._clock.pts(index)
        picture = self._picture(*to_rgb(frame, self._tags))
        return Frame(index, pts, pts * info.time_base, picture, duration=self._clock.duration(index))

    def _picture(self, pixels: Array, alpha: Array | None) -> Picture:
        turns = self.info.rotation // 90
        if turns:
            pixels = np.ascontiguousarray(np.rot90(pixels, turns))
            alpha = None if alpha is None else np.ascontiguousarray(np.rot90(alpha, turns))
        height, width = pixels.shape[:2]
        depth = 8 * pixels.dtype.itemsize
        info = PictureInfo(self.path, width, height, pixels.dtype.name, depth, has_alpha=alpha is not None)
        return Picture(pixels, alpha, info)

    def _pace(self, stream: Any) -> tuple[Clock, Fraction, bool]:
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
        rotation = round(frame.rotation / 90) * 90 % 360
        turned = rotation % 180 == 90
        aspect = Fraction(stream.codec_context.sample_aspect_ratio or 1)
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
            duration=float(span * clock.base),
            has_audio=has_audio,
            start=clock.start,
            codec=codec,
            has_alpha=has_alpha(frame.format),
            sample_aspect=1 / aspect if turned else aspect,
        )
        return tags, info

    def _note_shortage(self, frames: int, length: float) -> None:
        found, step = self.info.duration or 0.0, float(1 / self.info.rate)
        if len(self._timeline) < frames:
            what = f"{len(self._timeline)} of {frames} announced frames are"
        elif found < length - 2 * step:
            what = f"{found:.2f} of {length:.2f} announced seconds are"
        else:
            what = "the rest is not" if self._timeline.broken else ""
        if what:
            self._note(f"'{self.path}' is cut off or damaged: {what} there.")

    def _note_gap(self, first: int, end: int) -> None:
        if end > first:
            which = f"Frame {first}" if end == first + 1 else f"Frames {first} to {end - 1}"
            self._note(f"{which} of '{self.path}' cannot be decoded and will be missing.")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _codes(frame: VideoFrame, context: Any) -> tuple[int, int, int, int]:
    """Matrix, range, primaries and transfer as the frame has them, or else the container: libvpx tells only two."""
    unsaid = (UNSPECIFIED, 0, UNSPECIFIED, UNSPECIFIED)
    names = ("colorspace", "color_range", "color_primaries", "color_trc")
    pairs = [(int(getattr(frame, name)), int(getattr(context, name))) for name in names]
    matrix, span, primaries, transfer = (
        second if first == none else first for (first, second), none in zip(pairs, unsaid, strict=True)
    )
    return matrix, span, primaries, transfer
