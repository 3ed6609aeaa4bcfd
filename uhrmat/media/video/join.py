"""Segments into one file: packets moved, not encoded again, and the source's sound beside them untouched."""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import Any

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.files import PathLike, atomic_write
from uhrmat.core.stage import final_path
from uhrmat.media.video import matroska
from uhrmat.media.video.codecs import CODECS, Codec
from uhrmat.media.video.container import open_container, open_muxer, video_stream
from uhrmat.media.video.labels import Labels
from uhrmat.media.video.sound import SIDECAR_SUFFIX, Sound, SoundPlan, move_all_to_sidecar, plan_sound, shift
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
    last, to a packet. Sound tracks that the container cannot hold go, packets untouched, into a `.mka` beside `out`,
    those that nothing holds are left out, and notes say so. Pixel aspect, title, time code and chapters are those of
    `info`. Raises `OutputError` when there are no segments or their encoders' settings differ.
    """
    made = CODECS[codec] if isinstance(codec, str) else codec
    target, files = Path(out), [Path(part) for part in parts]
    if not files:
        raise OutputError(f"There is nothing to put into '{target}'.", "Encode at least one segment.")
    source = Path(audio_from) if audio_from is not None else None
    opening, ending = _edge(files[0], 0), _edge(files[-1], -1)
    span = (opening if start else None, ending if stop is not None else None)
    with _encoding(target, made):
        plan = plan_sound(source, target)
        with Sound(source, (*plan.inside, *plan.aside), *span) as sound:
            origin = sound.origin(opening)
        labels = info.labels.shifted(origin, ending, info.start * info.time_base, info.rate)
        pictures = _Pictures(files, origin, info, labels)
        written = _written(target, pictures, source, plan.inside, span)
        if written is None:
            plan = move_all_to_sidecar(plan, target)
            written = _written(target, pictures, None, (), span)
            assert written is not None
        path, copied, notes = _aside(target.with_suffix(SIDECAR_SUFFIX), pictures.without(), source, plan, span)
    return JoinReport(written[0], written[1] + copied, path, notes)


def copy_sound(
    info: ClipInfo, target: PathLike, first: Fraction, begin: Fraction | None = None, end: Fraction | None = None
) -> tuple[int, tuple[str, ...]]:
    """Put all sound of a clip, or that from `begin` up to `end` seconds, into `target`, a `.mka` that appears whole or
    not at all, packets untouched; how many packets, and notes. The picture at `first` seconds is shown at 0. Nothing is
    written where there is nothing that can be copied."""
    plan, path = plan_sound(info.path, Path(target), stills=True), Path(target)
    with _encoding(path, CODECS["ffv1"]):
        with Sound(info.path, plan.aside, begin, end) as sound:
            silent = _Pictures([], sound.origin(first), info, Labels())
        _, copied, notes = _aside(path, silent, info.path, plan, (begin, end))
    return copied, notes


@dataclass(frozen=True)
class _Pictures:
    """Segments, moved so that `origin` seconds become 0, and the labels of their file."""

    files: list[Path]
    origin: Fraction
    info: ClipInfo
    labels: Labels

    def without(self) -> _Pictures:
        """For a file of sound alone."""
        return replace(self, files=[], labels=Labels())


Span = tuple[Fraction | None, Fraction | None]


def _aside(
    path: Path, pictures: _Pictures, source: Path | None, plan: SoundPlan, span: Span
) -> tuple[Path | None, int, tuple[str, ...]]:
    """The file of the sound tracks that go beside the pictures, if there are any; how many packets, and all notes."""
    if not plan.aside:
        return None, 0, plan.notes
    written = _written(path, pictures, source, plan.aside, span)
    if written is None:
        return None, 0, (*plan.notes, f"the sound for '{path.name}' is damaged, cannot be copied and is left out")
    return path, written[1], plan.notes


def _written(
    target: Path, pictures: _Pictures, source: Path | None, tracks: tuple[int, ...], span: Span
) -> tuple[int, int] | None:
    """Mux pictures and sound tracks; how many packets of each, or None where the muxer refuses what the sound holds."""
    import av

    try:
        with Sound(source, tracks, *span) as sound:
            return _mux(target, pictures, sound)
    except av.error.FFmpegError as error:
        if isinstance(error, OSError) or not tracks:
            raise
        return None


def _mux(target: Path, pictures: _Pictures, sound: Sound) -> tuple[int, int]:
    """Mux pictures and sound in order of time; how many packets of each."""
    counts, info = {"video": 0, "audio": 0}, pictures.info
    patched = bool(pictures.files) and info.sample_aspect != 1 and target.suffix.lower() in matroska.SUFFIXES
    with atomic_write(target) as temporary:
        with open_muxer(temporary, info.time_base) as muxer:
            stream = picture_stream(muxer, pictures.files[0], info) if pictures.files else None
            if stream is not None and patched:
                stream.metadata["title"] = matroska.ROOM
            pictures.labels.write(muxer, stream)
            sources = [_packets(pictures, stream), sound.packets(sound.add_to(muxer), pictures.origin)]
            for _, packet in heapq.merge(*sources, key=itemgetter(0)):
                counts[packet.stream.type] += 1
                muxer.mux(packet)
        if patched:
            matroska.write_pixel_aspect(temporary, (info.width, info.height), info.sample_aspect)
    return counts["video"], counts["audio"]


def picture_stream(muxer: Any, first: Path, info: ClipInfo) -> Any:
    """A stream of `muxer` for the packets of the file `first`, with the rate and pixel aspect of `info`."""
    with open_container(first) as container:
        template = video_stream(container, first)
        stream = muxer.add_stream_from_template(template, opaque=True)
        stream.metadata.update({k: v for k, v in template.metadata.items() if k.lower() == "alpha_mode"})
        stream.codec_context.framerate = info.rate
        stream.codec_context.codec_tag = (
            template.codec_context.codec_tag
        )  # PyAV drops it; players recognise ProRes 4444 by it
        stream.codec_context.sample_aspect_ratio = info.sample_aspect
    stream.time_base = info.time_base
    return stream


def _packets(pictures: _Pictures, into: Any) -> Iterator[tuple[Fraction, Any]]:
    """(time, packet) of all segments, one after the other. Without B-frames, so dts is pts."""
    kind, files = None, pictures.files
    for file in files:
        with open_container(file) as container:
            stream = video_stream(container, file)
            settings = encoder_settings(stream.codec_context)
            if kind not in (None, settings):
                raise OutputError(f"'{file}' was encoded with other settings than '{files[0]}'.", "Encode them again.")
            kind = settings
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None:
                    shift(packet, pictures.origin)
                    packet.stream = into
                    yield packet.dts * Fraction(packet.time_base), packet


def encoder_settings(context: Any) -> tuple[object, ...]:
    """What must be the same of the packets of one stream: codec, size and the encoder's settings, without what
    containers add to these."""
    extra = context.extradata
    if context.name == "prores":
        extra = None  # Matroska stores the kind of ProRes there, QuickTime elsewhere
    elif context.name == "hevc" and extra and extra[0] == 1 and len(extra) > 22:
        extra = _without_completeness(bytearray(extra))
    return context.name, context.width, context.height, extra


def _without_completeness(settings: bytearray) -> bytes:
    """HEVC settings (ISO 14496-15, 8.3.3) without the flags that say whether parameters may also lie among the
    packets, which some muxers clear."""
    at = 23
    for _ in range(settings[22]):
        if at + 3 > len(settings):
            break
        settings[at] &= 0x7F
        count, at = int.from_bytes(settings[at + 1 : at + 3], "big"), at + 3
        for _ in range(count):
            at += 2 + int.from_bytes(settings[at : at + 2], "big")
    return bytes(settings)


def _edge(file: Path, which: int) -> Fraction:
    """When a segment's first frame begins (0) or its last frame ends (-1), in seconds of the clip."""
    with open_container(file) as container:
        stream = video_stream(container, file)
        stamps = [(p.pts, p.duration or 0) for p in container.demux(stream) if p.size and p.pts is not None]
    if not stamps:
        raise InputError(f"The segment '{file}' holds no frame.", "Encode it again.")
    pts, duration = sorted(stamps)[which]
    ticks: int = pts if which == 0 else pts + duration
    return ticks * Fraction(stream.time_base)


@contextlib.contextmanager
def _encoding(target: Path, codec: Codec) -> Iterator[None]:
    """FFmpeg's refusals as `OutputError`."""
    import av

    try:
        yield
    except av.error.FFmpegError as error:
        text = error.strerror or "the container refuses"
        raise OutputError(
            f"Cannot write '{final_path(target)}' as {codec.name}: {text}.", "Free the disk, or choose another codec."
        ) from error
