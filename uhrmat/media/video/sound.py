"""Copies sound tracks to another file: packets unchanged, in order, with or without a range of time.

What a container can hold is determined by a trial: its muxer gets the header and a few packets of each track.
FFmpeg's list of codecs promises more than its muxers do (FLAC, Opus and TrueHD in QuickTime).
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from uhrmat.media.video.container import FORMATS, open_container

PRIMING = Fraction(1, 10)
"""Seconds that sound may start before the picture without moving it: an encoder's priming, which players skip."""
SIDECAR_SUFFIX = ".mka"
"""Where sound goes that the pictures' container cannot hold: Matroska takes most codecs."""
_TRIAL_PACKETS = 3
_TRIAL_READS = 4096
"""Packets of each track that a trial muxes, and of all tracks that are read for them at most."""
_QUICKTIME = {
    "sqi": "alb", "hye": "arm", "eus": "baq", "mya": "bur", "zho": "chi", "cze": "ces", "nld": "dut", "fre": "fra",
    "kat": "geo", "deu": "ger", "ell": "gre", "isl": "ice", "mkd": "mac", "msa": "may", "fas": "per", "rum": "ron",
    "slo": "slk", "bod": "tib", "cym": "wel", "swe": "sve", "nob": "nor",
}  # fmt: skip
"""Languages that FFmpeg knows in QuickTime by the other of their two codes in ISO 639-2."""


@dataclass(frozen=True)
class SoundPlan:
    """Which sound tracks of a source go where, by their streams' indices: into the file itself, and into a `.mka`
    beside it. `notes` say in words what is not in the file."""

    inside: tuple[int, ...] = ()
    aside: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()


def plan_sound(source: Path | None, target: Path, *, stills: bool = False) -> SoundPlan:
    """Where the sound of `source` goes when its pictures go into `target`, or with `stills` into frames beside it."""
    if source is None:
        return SoundPlan()
    with Sound(source) as sound:
        tracks = sound.streams
        inside = () if stills else sound.taken(target.suffix.lower())
        aside = tuple(index for index in sound.taken(SIDECAR_SUFFIX) if index not in inside)
        lost = [
            f"sound track {number} ({_kind(track)}) cannot be copied and is left out"
            for number, track in enumerate(tracks, 1)
            if track.index not in (*inside, *aside)
        ]
        moved = [f"{n} ({_kind(t)})" for n, t in enumerate(tracks, 1) if t.index in aside and not stills]
    if moved:
        which = f"track {moved[0]}, which is" if len(moved) == 1 else f"tracks {', '.join(moved)}, which are"
        name = target.with_suffix(SIDECAR_SUFFIX).name
        lost.insert(0, f"'{target.name}' cannot hold sound {which} in '{name}', packets untouched")
    return SoundPlan(inside, aside, tuple(lost))


def move_all_to_sidecar(plan: SoundPlan, target: Path) -> SoundPlan:
    """The plan for a container that refused packets further on than a trial goes: nothing in it, all beside it."""
    name = target.with_suffix(SIDECAR_SUFFIX).name
    note = f"'{target.name}' cannot hold the sound, which is in '{name}', packets untouched"
    return SoundPlan((), tuple(sorted((*plan.inside, *plan.aside))), (*plan.notes, note))


def _kind(track: Any) -> str:
    return "of an unknown kind" if track.codec_context is None else str(track.codec_context.name)


def _first_packets(container: Any, tracks: list[Any]) -> dict[int, list[Any]]:
    """The first packets of every track, as far as they are near the beginning."""
    import av

    first: dict[int, list[Any]] = {track.index: [] for track in tracks}
    missing = set(first)
    try:
        for count, packet in enumerate(container.demux() if missing else ()):
            kept = first.get(packet.stream_index)
            if kept is not None and packet.size and len(kept) < _TRIAL_PACKETS:
                kept.append(packet)
                if len(kept) == _TRIAL_PACKETS:
                    missing.discard(packet.stream_index)
            if not missing or count > _TRIAL_READS:
                break
    except av.error.FFmpegError:
        pass
    return first


def _accepts(track: Any, packets: list[Any], suffix: str) -> bool:
    """Whether a muxer takes a track's header, packets and trailer."""
    import av

    try:
        with av.open(io.BytesIO(), "w", format=FORMATS[suffix]) as muxer:
            stream = _add_track(muxer, track)
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts, copy.time_base = packet.pts, packet.dts, packet.time_base
                copy.duration, copy.is_keyframe = packet.duration or 0, packet.is_keyframe
                copy.stream = stream
                if copy.pts is not None:
                    muxer.mux(copy)
            muxer.start_encoding()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _add_track(muxer: Any, track: Any) -> Any:
    """A stream of `muxer` for a track's packets as they are.

    PyAV refuses codecs that have no name of their own in Matroska, such as A-law, though its muxer writes them by their
    numbers in AVI: their settings are copied by way of a bit stream filter that does nothing. (QuickTime's muxer writes
    such numbers too, which no player of it reads.) Of a track without a
    decoder the demuxer may not have understood the settings: copied, it could not be played.
    """
    import av

    if track.codec_context is None:
        raise ValueError("unknown")
    try:
        return muxer.add_stream_from_template(track, opaque=True)
    except ValueError:
        if muxer.format.name != "matroska":
            raise
    stream = muxer.add_mux_stream(muxer.default_audio_codec)
    av.bitstream.BitStreamFilterContext("null", track, stream)
    stream.time_base = track.time_base
    return stream


def _labels(track: Any, quicktime: bool) -> dict[str, str]:
    """Language and title of a track, as far as a container's muxer knows them."""
    labels = {k.lower(): v for k, v in track.metadata.items() if k.lower() in ("language", "title")}
    if quicktime and "language" in labels:
        labels["language"] = _QUICKTIME.get(labels["language"], labels["language"])
    return labels


class Sound:
    """The sound tracks `wanted` (None: all) of `source` (None: silence), from `begin` up to `end` seconds if given."""

    def __init__(
        self,
        source: Path | None,
        wanted: Collection[int] | None = None,
        begin: Fraction | None = None,
        end: Fraction | None = None,
    ) -> None:
        self._begin, self._end = begin, end
        self._container = open_container(source) if source is not None and (wanted is None or wanted) else None
        self.streams: list[Any] = []
        self._first: dict[int, list[Any]] | None = None
        if self._container is not None:
            self.streams = [s for s in self._container.streams.audio if wanted is None or s.index in wanted]

    def __enter__(self) -> Sound:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._container is not None:
            self._container.close()

    def fits(self, target: Path) -> bool:
        """Whether the container that `target`'s extension means takes all tracks as they are."""
        return len(self.taken(target.suffix.lower())) == len(self.streams)

    def taken(self, suffix: str) -> tuple[int, ...]:
        """The tracks that a container takes, by index, by a trial, which reads the beginning of the file."""
        if self._first is None:
            self._first = _first_packets(self._container, self.streams) if self.streams else {}
        return tuple(t.index for t in self.streams if _accepts(t, self._first[t.index], suffix))

    def origin(self, picture: Fraction) -> Fraction:
        """What becomes time 0: the first picture's time, or the sound's where it truly starts earlier."""
        starts = [stream.start_time * stream.time_base for stream in self.streams if stream.start_time is not None]
        early = min(starts, default=picture)
        return early if self._begin is None and early < picture - PRIMING else picture

    def add_to(self, muxer: Any) -> dict[int, Any]:
        """A stream of `muxer` for each track, by the track's index, with its language, title and disposition."""
        into = {}
        for track in self.streams:
            stream = _add_track(muxer, track)
            stream.metadata.update(_labels(track, muxer.format.name == "mov"))
            stream.disposition = track.disposition
            into[track.index] = stream
        return into

    def packets(self, into: dict[int, Any], origin: Fraction) -> Iterator[tuple[Fraction, Any]]:
        """(time, packet) in order, moved so that `origin` is 0, each addressed to `into[its track's index]`.

        Where time goes backward, as in files that were put behind one another, the rest follows on. A file that breaks
        off ends there.
        """
        following = {index: _Following() for index in into}
        for packet in self._read() if into else ():
            if packet.size == 0 or packet.pts is None:
                continue
            following[packet.stream_index].apply(packet)
            at = packet.pts * Fraction(packet.time_base)
            if (self._begin is not None and at < self._begin) or (self._end is not None and at >= self._end):
                continue
            shift(packet, origin)
            packet.stream = into[packet.stream_index]
            yield at - origin, packet

    def _read(self) -> Iterator[Any]:
        import av

        if self._container is not None:
            try:
                yield from self._container.demux(*self.streams)
            except av.error.FFmpegError:
                return


class _Following:
    """Keeps a track's decoding times ascending by moving all that comes behind a step backward."""

    def __init__(self) -> None:
        self._moved, self._next, self._last = 0, 0, -(2**63)

    def apply(self, packet: Any) -> None:
        packet.dts = packet.pts if packet.dts is None else packet.dts
        if packet.dts + self._moved <= self._last:
            self._moved = max(self._next, self._last + 1) - packet.dts
        packet.pts += self._moved
        packet.dts += self._moved
        self._last, self._next = packet.dts, packet.dts + (packet.duration or 0)


def shift(packet: Any, origin: Fraction) -> None:
    """Move a packet's time stamps so that `origin` seconds become 0."""
    ticks = round(origin / Fraction(packet.time_base))
    packet.pts -= ticks
    packet.dts = packet.pts if packet.dts is None else packet.dts - ticks
