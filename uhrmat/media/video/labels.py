"""Title, time code and chapters of a clip, copied to files whose format has them.

No other metadata of the source is copied: no places, names or serial numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av.container import InputContainer, OutputContainer

_TIMECODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)", re.ASCII)
_TICK = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class Chapter:
    """From `start` up to `end`, in seconds."""

    start: Fraction
    end: Fraction
    title: str


@dataclass(frozen=True)
class Labels:
    """`timecode` is SMPTE's, that of the first frame: HH:MM:SS:FF, with `;` before FF where numbers are dropped."""

    title: str = ""
    timecode: str = ""
    chapters: tuple[Chapter, ...] = ()

    def shifted(self, begin: Fraction, end: Fraction, clip_start: Fraction, rate: Fraction) -> Labels:
        """Those of the part from `begin`, then 0, up to `end` seconds of a clip that begins at `clip_start`."""
        cut = [
            Chapter(max(c.start - begin, Fraction(0)), min(c.end, end) - begin, c.title)
            for c in self.chapters
            if c.start < end and c.end > begin
        ]
        code = advance_timecode(self.timecode, rate, round((begin - clip_start) * rate))
        return replace(self, timecode=code, chapters=tuple(cut))

    def write(self, muxer: OutputContainer, picture: Any) -> None:
        """Hand them to a muxer before its header is written; `picture` is its video stream or None."""
        if self.title:
            muxer.metadata["title"] = self.title
        if self.timecode and picture is not None:
            picture.metadata["timecode"] = self.timecode
        muxer.set_chapters([
            {
                "id": number, "start": round(c.start / _TICK), "end": round(c.end / _TICK), "time_base": _TICK,
                "metadata": {"title": c.title},
            }
            for number, c in enumerate(self.chapters, 1)
        ])  # fmt: skip


NO_LABELS = Labels()


def read_labels(container: InputContainer, stream: Any) -> Labels:
    """Title, time code and chapters of an open file whose pictures are `stream`."""
    sources = [stream.metadata, *(s.metadata for s in container.streams.data), container.metadata]
    code = next((text for source in sources if (text := _get(source, "timecode"))), "")
    chapters = [
        Chapter(
            c["start"] * Fraction(c["time_base"]), c["end"] * Fraction(c["time_base"]), _get(c["metadata"], "title")
        )
        for c in container.chapters()
        if c["time_base"] and c["end"] > c["start"]
    ]
    return Labels(_get(container.metadata, "title"), code if _TIMECODE.fullmatch(code) else "", tuple(chapters))


def _get(metadata: dict[str, str], wanted: str) -> str:
    return next((value for key, value in metadata.items() if key.lower() == wanted), "")


def advance_timecode(code: str, rate: Fraction, frames: int) -> str:
    """The SMPTE time code `frames` later (SMPTE ST 12-1); "" where `code` is none at that rate.

    Drop-frame counting leaves out the first two numbers (four at 60) of each minute that ten does not divide.
    """
    match, base = _TIMECODE.fullmatch(code), round(rate)
    if match is None or base < 1 or int(match[5]) >= base:
        return ""
    hours, minutes, seconds, mark, number = int(match[1]), int(match[2]), int(match[3]), match[4], int(match[5])
    dropped = 0 if mark == ":" else base // 15
    if dropped and base % 30:
        return ""
    total_minutes = 60 * hours + minutes
    count = (60 * total_minutes + seconds) * base + number - dropped * (total_minutes - total_minutes // 10) + frames
    ten = 600 * base - 9 * dropped
    count %= 144 * ten
    tens, rest = divmod(count, ten)
    count += 9 * dropped * tens
    if dropped and rest >= 60 * base:
        count += dropped * (1 + (rest - 60 * base) // (60 * base - dropped))
    frame, seconds = count % base, count // base
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{mark}{frame:02}"
