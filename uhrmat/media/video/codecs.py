"""The codecs that clips are written in: what each can hold, and the encoder's settings.

Settings are such that the same frames give the same bytes on every machine: threads are counted, not detected, where
their number changes the stream (x264, x265), and no stream has B-frames, so that decoding order is display order and
segments join without touching time stamps. All start a segment with a key frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from uhrmat.core.errors import OutputError
from uhrmat.media.video.types import Content

ALL: tuple[Content, ...] = ("alpha", "foreground", "composite")


@dataclass(frozen=True, kw_only=True)
class Codec:
    """A codec or still format for clips.

    Attributes:
        name: By which it is chosen.
        suffix: The usual extension.
        has_alpha: It can hold an alpha channel.
        lossless: What is read back equals what was written, bit for bit, at `bits`.
        bits: Depths per channel, in ascending order.
        contents: What it may hold: without alpha no "foreground".
        sequence: One file per frame, named by the input's numbering.
        suffixes: All extensions that a file may have.
        encoder: FFmpeg's name.
        options: The encoder's.
        matte_options: Added to them for a grey matte, so that noise keeps 45 dB (measured: 48.7).
        interlaced: It keeps the order of fields.
    """

    name: str
    suffix: str
    has_alpha: bool
    lossless: bool
    bits: tuple[int, ...]
    contents: tuple[Content, ...] = ALL
    sequence: bool = False
    suffixes: tuple[str, ...] = ()
    encoder: str = ""
    options: dict[str, str] = field(default_factory=dict)
    matte_options: dict[str, str] = field(default_factory=dict)
    interlaced: bool = False

    def depth(self, wanted: int) -> int:
        """The smallest depth it has that is no less than `wanted`, else its largest."""
        return next((b for b in self.bits if b >= wanted), self.bits[-1])


_X265 = "log-level=none:info=0:bframes=0:pools=4:frame-threads=2"  # info would write the processor's name
_MP4 = (".mp4", ".mov", ".mkv")
_MATTE_OR_RGB: tuple[Content, ...] = ("alpha", "composite")

CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        Codec(
            name="prores4444",
            suffix=".mov",
            has_alpha=True,
            lossless=False,
            bits=(10,),
            suffixes=(".mov", ".mkv"),
            encoder="prores_ks",
            options={"profile": "4444", "alpha_bits": "16", "vendor": "apl0"},
            interlaced=True,
        ),
        Codec(
            name="vp9",
            suffix=".webm",
            has_alpha=True,
            lossless=False,
            bits=(8,),
            suffixes=(".webm", ".mkv"),
            encoder="libvpx-vp9",
            options={"crf": "8", "b": "0", "auto-alt-ref": "0", "deadline": "good", "cpu-used": "4", "row-mt": "0"},
        ),
        Codec(
            name="ffv1",
            suffix=".mkv",
            has_alpha=True,
            lossless=True,
            bits=(8, 16),
            suffixes=(".mkv",),
            encoder="ffv1",
            options={"level": "3", "slices": "16", "slicecrc": "1", "g": "1"},
            interlaced=True,
        ),
        Codec(
            name="h264",
            suffix=".mp4",
            has_alpha=False,
            lossless=False,
            bits=(8, 10),
            contents=_MATTE_OR_RGB,
            suffixes=_MP4,
            encoder="libx264",
            options={"crf": "6", "preset": "medium", "bf": "0", "threads": "4"},
            matte_options={"crf": "2"},
            interlaced=True,
        ),
        Codec(
            name="hevc",
            suffix=".mp4",
            has_alpha=False,
            lossless=False,
            bits=(8, 10),
            contents=_MATTE_OR_RGB,
            suffixes=_MP4,
            encoder="libx265",
            options={"crf": "4", "preset": "fast", "x265-params": _X265},
        ),
        Codec(
            name="png", suffix=".png", has_alpha=True, lossless=True, bits=(8, 16), sequence=True, suffixes=(".png",)
        ),
        Codec(
            name="tiff",
            suffix=".tif",
            has_alpha=True,
            lossless=True,
            bits=(8, 16),
            sequence=True,
            suffixes=(".tif", ".tiff"),
        ),
        Codec(
            name="exr", suffix=".exr", has_alpha=True, lossless=False, bits=(16, 32), sequence=True, suffixes=(".exr",)
        ),
    )
}


def find_codec(name: str, content: Content) -> Codec:
    """The codec of that name, or `OutputError` when there is none or it cannot hold `content`."""
    codec = CODECS.get(name)
    if codec is None:
        raise OutputError(f"There is no codec '{name}'.", f"Choose one of {', '.join(CODECS)}.")
    if content not in codec.contents:
        able = ", ".join(c.name for c in CODECS.values() if content in c.contents)
        raise OutputError(f"{name} carries no alpha, so it cannot hold a {content}.", f"Choose one of {able}.")
    return codec
