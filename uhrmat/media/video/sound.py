"""A source's sound on its way to another file: packets as they are, in order, cut to a range if asked."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.media.video.container import file_url, open_container

PRIMING = Fraction(1, 10)
"""Sound may start this much before the picture without moving it: an encoder's run-in, which players skip."""


class Sound:
    """The audio streams of `source` (None: silence), from `begin` up to `end` seconds where these are given."""

    def __init__(self, source: Path | None, begin: Fraction | None = None, end: Fraction | None = None) -> None:
        self._begin, self._end = begin, end
        self._container = None if source is None else open_container(source)
        self.streams: list[Any] = [] if self._container is None else list(self._container.streams.audio)

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._container is not None:
            self._container.close()

    def fits(self, target: Path) -> bool:
        """Whether the container that `target`'s extension means can hold all streams as they are."""
        import av

        with av.open(file_url(target), "w") as muxer:
            known = muxer.supported_codecs
        return all(stream.codec_context is not None and stream.codec_context.name in known for stream in self.streams)

    def origin(self, picture: Fraction) -> Fraction:
        """What becomes time 0: the first picture's time, or the sound's where it truly starts earlier."""
        starts = [stream.start_time * stream.time_base for stream in self.streams if stream.start_time is not None]
        early = min(starts, default=picture)
        return early if self._begin is None and early < picture - PRIMING else picture

    def packets(self, into: dict[int, Any], origin: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """(time, packet) in order, moved so that `origin` is 0, each addressed to `into[its stream's index]`."""
        if self._container is None or not into:
            return
        for packet in self._container.demux(*self.streams):
            if packet.size == 0 or packet.pts is None:
                continue
            at = packet.pts * Fraction(packet.time_base)
            if (self._begin is not None and at < self._begin) or (self._end is not None and at >= self._end):
                continue
            shift(packet, origin)
            packet.stream = into[packet.stream_index]
            yield at - origin, packet


def shift(packet: Any, origin: Fraction) -> None:
    """Move a packet's time stamps so that `origin` seconds become 0."""
    ticks = round(origin / Fraction(packet.time_base))
    packet.pts -= ticks
    packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
