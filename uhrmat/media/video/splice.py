"""A finished file taken apart at its packets, so that some frames can be replaced and all others stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.core.errors import OutputError
from uhrmat.core.files import atomic_write
from uhrmat.media.video.container import open_container, open_muxer, video_stream
from uhrmat.media.video.join import encoder_settings, picture_stream
from uhrmat.media.video.types import ClipInfo

_INTRA = ("prores", "ffv1")
"""Codecs of which every frame can be decoded without another one."""


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """The frames of a finished file, one a packet, in order.

    Attributes:
        path: of the file.
        times: seconds after the first frame.
        keys: whether a frame can be decoded without those before it.
        encoding: what must be the same of all packets of one file: codec, size, pixel format, colour tags, settings.
    """

    path: Path
    times: tuple[Fraction, ...]
    keys: tuple[bool, ...]
    encoding: tuple[object, ...]

    @property
    def intra(self) -> bool:
        """Whether every frame stands alone, so that any can be replaced."""
        return self.encoding[0] in _INTRA and all(self.keys)


def index_packets(path: Path) -> PacketIndex:
    """Read the packets of a file that uhrmat wrote. Raises InputError where it is no clip."""
    with open_container(path) as container:
        stream = video_stream(container, path)
        base = Fraction(stream.time_base)
        packets = [(p.pts * base, p.is_keyframe) for p in container.demux(stream) if p.size and p.pts is not None]
        return PacketIndex(
            path=path, times=tuple(time - packets[0][0] for time, _ in packets), keys=tuple(key for _, key in packets),
            encoding=_encoding(stream.codec_context),
        )  # fmt: skip


def _encoding(context: Any) -> tuple[object, ...]:
    """Codec, size, pixel format, profile, colour tags and the encoder's settings of a stream."""
    name, width, height, settings = encoder_settings(context)
    return (
        name, width, height, context.pix_fmt, context.profile, context.color_range, context.colorspace,
        context.color_primaries, context.color_trc, settings,
    )  # fmt: skip


def copy_packets(
    source: PacketIndex, places: range, stamps: Sequence[tuple[int, int]], out: Path, info: ClipInfo
) -> Path:
    """Write some frames of a finished file as a segment (see `join.join_segments`), their packets as they are.

    Args:
        source: the file.
        places: of the frames among its packets, at least one; the first must be a key frame.
        stamps: time stamp and duration of each, in the time base of `info`.
        out: the segment, which appears whole or not at all.
        info: of the clip that the file was made from.

    Raises:
        OutputError: the file has changed since it was indexed, or the segment cannot be written.
    """
    following = iter(stamps)
    with atomic_write(out) as temporary, open_container(source.path) as container:
        with open_muxer(temporary, info.time_base) as muxer:
            into = picture_stream(muxer, source.path, info)
            stream = video_stream(container, source.path)
            packets = (p for p in container.demux(stream) if p.size and p.pts is not None)
            for place, packet in enumerate(packets):
                if place >= places.stop:
                    break
                if place in places:
                    packet.time_base = info.time_base
                    packet.pts, packet.duration = next(following)
                    packet.dts = packet.pts
                    packet.stream = into
                    muxer.mux(packet)
        if next(following, None) is not None:
            raise OutputError(f"'{source.path}' has changed meanwhile.", "Run again when nothing writes to it.")
    return out
