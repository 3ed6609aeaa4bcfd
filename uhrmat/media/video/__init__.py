"""Clips in and out: streams through PyAV, numbered stills through `uhrmat.media`. PyAV is loaded on first use.

    open_clip(source, *, rate=None) -> ClipReader        # .info, .notes, .frames(start=0, stop=None), .close()
    open_writer(path, codec, info, content, *, bits=None) -> ClipWriter
    join_segments(parts, out, info, codec, *, audio_from=None, start=None, stop=None) -> JoinReport
    check_alpha(path, codec, expected, content="alpha") -> AlphaCheck     # expected: {position in file: alpha}

    copy_sound(info, target, first, begin=None, end=None) -> int, notes    # packets, beside stills

`source` is a video file, a folder of numbered frames or a pattern; `codec` a name in `CODECS` or a `Codec`; `start`
and `stop` are frame indices. A segment is a writer's file like any other, in the codec's own container; its time
stamps are those of the clip, so `join_segments` needs only the order. For a sequence codec `path`
is a folder (files are named like the input's) or a pattern, and there is nothing to join.
"""

from uhrmat.media.video.codecs import CODECS, Codec, find_codec
from uhrmat.media.video.join import copy_sound, join_segments
from uhrmat.media.video.reader import ClipReader, open_clip
from uhrmat.media.video.types import AlphaCheck, ClipInfo, ClipWriter, ColourTags, Content, Frame, JoinReport
from uhrmat.media.video.verify import check_alpha
from uhrmat.media.video.writer import open_writer

__all__ = [
    "CODECS",
    "AlphaCheck",
    "ClipInfo",
    "ClipReader",
    "ClipWriter",
    "Codec",
    "ColourTags",
    "Content",
    "Frame",
    "JoinReport",
    "check_alpha",
    "copy_sound",
    "find_codec",
    "join_segments",
    "open_clip",
    "open_writer",
]
