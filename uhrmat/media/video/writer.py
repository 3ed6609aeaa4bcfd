"""Opens clips of all kinds for writing: a video file or a sequence of stills."""

from __future__ import annotations

from pathlib import Path

from uhrmat.core.errors import OutputError
from uhrmat.core.files import PathLike, same_file
from uhrmat.media.video.codecs import Codec, find_codec
from uhrmat.media.video.encode import StreamWriter
from uhrmat.media.video.stills import SequenceWriter
from uhrmat.media.video.types import ClipInfo, ClipWriter, Content


def open_writer(
    path: PathLike, codec: str | Codec, info: ClipInfo, content: Content, *, bits: int | None = None
) -> ClipWriter:
    """Begin writing a clip made from the one that `info` describes: its size, rate, time base and colour tags.

    `content` "alpha" is a grey matte, "foreground" straight RGB with alpha (EXR: linear, premultiplied), "composite"
    RGB. `bits` per channel: the clip's own by default, as near as the codec has it. `path` is a file, or for a
    sequence codec a folder or a pattern. Raises `OutputError` for what the codec cannot hold, an extension that is not
    the codec's, a folder that cannot be written, and the input itself as output.
    """
    made = find_codec(codec if isinstance(codec, str) else codec.name, content)
    target = Path(path)
    if bits is not None and bits not in made.bits:
        listed = ", ".join(str(b) for b in made.bits)
        raise OutputError(f"{made.name} has no {bits} bits per channel.", f"It has {listed}.")
    if made.sequence:
        writer = SequenceWriter(target, made, info, content, bits)
        if same_file(writer.path.parent, info.sources[0].parent) and _replaces(writer, info):
            raise OutputError(f"'{writer.path}' would replace the input's frames.", "Choose another name with -o.")
        return writer
    if target.suffix.lower() not in made.suffixes:
        raise OutputError(
            f"{made.name} cannot be written to '{target.name}'.", f"Use the extension {' or '.join(made.suffixes)}."
        )
    if same_file(target, info.path):
        raise OutputError(f"'{target}' is the input itself.", "Choose another name.")
    return StreamWriter(target, made, info, content, bits or made.depth(info.bits))


def _replaces(writer: SequenceWriter, info: ClipInfo) -> bool:
    """Whether one of the stills has the name of one of the input's."""
    return not {writer.file(number).name for number in info.numbers}.isdisjoint(file.name for file in info.files)
