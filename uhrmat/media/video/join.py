"""Segments into one file: packets moved, not encoded again, and the source's sound beside them untouched."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Any

from uhrmat.errors import InputError, OutputError
from uhrmat.media.files import PathLike, atomic
from uhrmat.media.video.codecs import CODECS, Codec
from uhrmat.media.video.container import open_container, open_muxer, video_stream
from uhrmat.media.video.sound import Sound, shift
from uhrmat.media.video.types import ClipInfo, JoinReport


def join_segments(
    parts: Sequence[PathLike],
    out: PathLike,
    info: ClipInfo,
    codec: str | Codec,
    *,
    audio_from: PathLike | None = None,
    start: int | None = None,
    stop: int | None = None,
) -> JoinReport:
    """Put the segments `parts`, in order, into `out` with all sound of `audio_from`; it appears whole or not at all.

    Segments carry the clip's time stamps: the first frame of `out` is shown at 0 and everything keeps its distance.
    With `start` the sound begins with the first segment's first frame, with `stop` it ends with the last segment's
    last, to a packet. Sound that the container cannot hold goes, packets untouched, into a `.mka` beside `out`, and a
    note says so. Raises `OutputError` when there are no segments or their encoders' settings differ.
    """
    made = CODECS[codec] if isinstance(codec, str) else codec
    target, files = Path(out), [Path(part) for part in parts]
    if not files:
        raise OutputError(f"There is nothing to put into '{target}'.", "Encode at least one segment.")
    source = Path(audio_from) if audio_from is not None else None
    begin = _edge(files[0], 0) if start else None
    end = _edge(files[-1], -1) if stop is not None else None
    with _encoding(target, made), Sound(source, begin, end) as sound:
        first = sound.origin(_edge(files[0], 0))
        if not sound.streams or sound.fits(target):
            return JoinReport(*_write(target, files, sound, first, info))
        aside = target.with_suffix(".mka")
        copied = _write(aside, [], sound, first, info)[1]
        with Sound(None) as silence:
            frames = _write(target, files, silence, first, info)[0]
    note = f"'{target.name}' cannot hold the sound, which is in '{aside.name}', packets untouched."
    return JoinReport(frames, copied, aside, (note,))


def copy_sound(
    info: ClipInfo, target: PathLike, first: Fraction, begin: Fraction | None = None, end: Fraction | None = None
) -> int:
    """Put all sound of a clip, or that from `begin` up to `end` seconds, into `target`, a `.mka` that appears whole or
    not at all, packets untouched; how many packets. The picture at `first` seconds is shown at 0."""
    with _encoding(Path(target), CODECS["ffv1"]), Sound(info.path, begin, end) as sound:
        return _write(Path(target), [], sound, sound.origin(first), info)[1]


def _write(target: Path, files: list[Path], sound: Sound, origin: Fraction, info: ClipInfo) -> tuple[int, int]:
    """Mux pictures and sound in order of time; how many packets of each."""
    counts = {"video": 0, "audio": 0}
    with atomic(target) as temporary, open_muxer(temporary, info.time_base) as muxer:
        picture = _picture_stream(muxer, files[0], info) if files else None
        into = {s.index: muxer.add_stream_from_template(s, opaque=True) for s in sound.streams}
        sources = [_pictures(files, picture, origin), sound.packets(into, origin)]
        for _, packet in heapq.merge(*sources, key=itemgetter(0)):
            counts[packet.stream.type] += 1
            muxer.mux(packet)
    return counts["video"], counts["audio"]


def _picture_stream(muxer: Any, first: Path, info: ClipInfo) -> Any:
    with open_container(first) as container:
        template = video_stream(container, first)
        stream = muxer.add_stream_from_template(template, opaque=True)
        stream.metadata.update({k: v for k, v in template.metadata.items() if k.lower() == "alpha_mode"})
        stream.codec_context.framerate = info.rate
        if template.codec_context.name == "hevc":
            stream.codec_context.codec_tag = "hvc1"
    stream.time_base = info.time_base
    return stream


def _pictures(files: list[Path], into: Any, origin: Fraction) -> Iterator[tuple[Fraction, Any]]:
    """(time, packet) of all segments, one after the other. Without B-frames, so dts is pts."""
    kind = None
    for file in files:
        with open_container(file) as container:
            stream = video_stream(container, file)
            context = stream.codec_context
            found = (context.name, context.width, context.height, context.extradata)
            if kind not in (None, found):
                raise OutputError(f"'{file}' was encoded with other settings than '{files[0]}'.", "Encode them again.")
            kind = found
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None:
                    shift(packet, origin)
                    packet.stream = into
                    yield packet.dts * Fraction(packet.time_base), packet


def _edge(file: Path, which: int) -> Fraction:
    """When a segment's first frame begins (0) or its last frame ends (-1), in seconds of the clip."""
    with open_container(file) as container:
        stream = video_stream(container, file)
        stamps = [(p.pts, p.duration or 0) for p in container.demux(stream) if p.size and p.pts is not None]
    if not stamps:
        raise InputError(f"The segment '{file}' holds no frame.", "Encode it again.")
    pts, duration = sorted(stamps)[which]
    return (pts - (0 if which == 0 else -duration)) * Fraction(stream.time_base)


@contextlib.contextmanager
def _encoding(target: Path, codec: Codec) -> Iterator[None]:
    """FFmpeg's refusals as `OutputError`."""
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        text = error.strerror or "the container refuses"
        raise OutputError(
            f"Cannot write '{target}' as {codec.name}: {text}.", "Free the disk, or choose another codec."
        ) from error
