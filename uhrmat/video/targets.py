"""Outputs of a clip: what an output path means, the codec of its extension, and which files must not be replaced."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uhrmat.core.errors import InputError, OutputError
from uhrmat.core.files import same_file
from uhrmat.core.naming import EXTENSION
from uhrmat.core.regular import check_name, need_place
from uhrmat.media import check_writable
from uhrmat.media.video import CODECS, ClipInfo, Codec, Content, find_codec, open_writer
from uhrmat.media.video.names import FrameNames
from uhrmat.media.video.sequence import is_frame_of
from uhrmat.media.video.sound import SIDECAR_SUFFIX, plan_sound
from uhrmat.media.video.stills import SequenceWriter
from uhrmat.video.spec import ClipSpec

CONTENTS: tuple[Content, ...] = ("alpha", "foreground", "composite")
_DEFAULT, _STILLS = "prores4444", {".png": "png", ".tif": "tiff", ".tiff": "tiff", ".exr": "exr"}
_BY_SUFFIX = {suffix: name for name, codec in reversed(CODECS.items()) for suffix in (codec.suffix, *codec.suffixes)}


@dataclass(frozen=True)
class Target:
    """One output: its content and where it goes, a file, or for a sequence a folder or a pattern."""

    content: Content
    path: Path


def choose_targets(spec: ClipSpec, info: ClipInfo) -> tuple[Codec, tuple[Target, ...]]:
    """The codec and the outputs. Raises InputError or OutputError for names and contents that cannot be."""
    kind = "folder" if spec.output is None or spec.apart else destination(spec.output)
    name = spec.codec or _codec_of(spec.output if kind != "folder" else None, info)
    contents = _contents(spec, name, one_file=kind != "folder")
    for content in contents:
        codec = find_codec(name, content)
    if kind != "folder" and len(contents) > 1:
        raise InputError(
            f"One file cannot hold {' and '.join(contents)}.", "Name a folder with -o, or ask for one of them."
        )
    if spec.output is not None and kind != "folder":
        _check_suffix(spec.output, codec)
    direct = kind != "folder" or (codec.sequence and spec.output is not None and len(contents) == 1 and not spec.apart)
    paths = [_path(spec, info, codec, content, direct) for content in contents]
    for path in paths:
        check_name(path)
    return codec, tuple(Target(content, path) for content, path in zip(contents, paths, strict=True))


def destination(output: Path) -> Literal["folder", "file", "frames"]:
    """What `-o` names: a folder, one video file, or frames by a pattern.

    Raises InputError for extensions that are not written; a folder with such a name has to be there already.
    """
    need_place(output)
    check_name(output)
    suffix = output.suffix.lower()
    if output.is_dir():
        return "folder"
    names = FrameNames.parse(output) if suffix in _STILLS or suffix not in _BY_SUFFIX else None
    if suffix in _STILLS and names is not None:
        return "frames"
    if suffix in _STILLS:
        raise InputError(
            f"'{output.name}' names one picture, and a clip has many.",
            f"Give a pattern such as '{output.stem}_%04d{output.suffix}', or a folder.",
        )
    if suffix in _BY_SUFFIX:
        return "file"
    if names is not None and (suffix or names.width > 1 or "%" in output.name):
        raise InputError(f"Frames named '{output.name}' cannot be written.", f"End the name in {', '.join(_STILLS)}.")
    if EXTENSION.fullmatch(suffix):
        files = ", ".join(suffix for suffix in _BY_SUFFIX if suffix not in _STILLS)
        raise InputError(
            f"The extension '{output.suffix}' is not written.",
            f"Use {files} for a file, a pattern such as '{output.stem}_%04d.png' (or {', '.join(_STILLS)}) for frames; "
            "a folder of that name has to be made first.",
        )
    return "folder"


def _codec_of(output: Path | None, info: ClipInfo) -> str:
    """By the output's extension, else the kind of the input's stills, else ProRes."""
    if output is not None:
        return _BY_SUFFIX[output.suffix.lower()]
    if info.kind == "sequence":
        return _STILLS.get(Path(info.pattern).suffix.lower(), "png")
    return _DEFAULT


def _contents(spec: ClipSpec, codec: str, *, one_file: bool) -> tuple[Content, ...]:
    """What is written. A file whose contents are not named holds the composite where there is a background, else
    colours with alpha where its codec has it, else the alpha; into a folder goes the alpha, and the composite."""
    given = spec.outputs
    if given is None and one_file and spec.background is not None:
        given = ("composite",)
    elif given is None:
        given = ("foreground",) if one_file and codec in CODECS and CODECS[codec].has_alpha else ("alpha",)
    wanted = dict.fromkeys([*given, *(["composite"] if spec.background is not None else [])])
    unknown = [content for content in wanted if content not in CONTENTS]
    if unknown or not wanted:
        what = f"There is no output named {unknown[0]!r}." if unknown else "No output was named."
        raise InputError(what, f"Choose from {', '.join(CONTENTS)}.")
    if "composite" in wanted and spec.background is None:
        raise InputError("A composite needs a background.", "Give one with --background.")
    return tuple(content for content in CONTENTS if content in wanted)


def _check_suffix(output: Path, codec: Codec) -> None:
    if output.suffix.lower() in codec.suffixes:
        return
    form = f"{output.stem}_%04d{codec.suffix}" if codec.sequence else f"{output.stem}{codec.suffix}"
    raise OutputError(
        f"{codec.name} cannot be written to '{output.name}'.", f"Name it like '{form}', or name a folder."
    )


def _path(spec: ClipSpec, info: ClipInfo, codec: Codec, content: str, direct: bool) -> Path:
    if direct and spec.output is not None:
        return spec.output
    source = Path(spec.source)
    stem = stem_of(source, info)
    folder = source.parent if spec.output is None else spec.output
    return folder / (f"{stem}_{content}" if codec.sequence else f"{stem}_{content}{codec.suffix}")


def stem_of(source: Path, info: ClipInfo) -> str:
    """What outputs are named after: the file, the folder of a sequence, or the part of a pattern before its number."""
    if info.kind == "stream":
        return source.stem
    if source.is_dir():
        return source.name if source.name not in ("", "..") else source.resolve().name
    names = FrameNames.parse(Path(info.pattern))
    return (names.head.rstrip("_-. ") if names else "") or source.resolve().parent.name


def sound_beside(path: Path) -> Path:
    """The file for a clip's sound beside the stills of `path`, a folder or a pattern."""
    names = FrameNames.parse(path) if path.suffix.lower() in _STILLS and not path.is_dir() else None
    stem = path.name if names is None else names.head.rstrip("_-. ")
    return path.with_name(f"{stem or path.absolute().parent.name}{SIDECAR_SUFFIX}")


def check_targets(
    targets: Sequence[Target], codec: Codec, info: ClipInfo, frames: range, inputs: Iterable[Path], *,
    bits: int | None = None, replace: bool = False,
) -> None:  # fmt: skip
    """Raises OutputError where an output would replace an input, or a file that is there unless `replace` is given.

    frames: indices of the frames that are written; inputs: every file that is read.
    """
    read = {identity: path for path in inputs if (identity := _identity(path)) is not None}
    for number, target in enumerate(targets):
        check_writable(target.path.parent)
        for path in inputs if not codec.sequence else ():
            if same_file(target.path, path):
                raise _over_input(target.path)
        writer = open_writer(target.path, codec, info, target.content, bits=bits)
        writer.abort()
        files = [target.path]
        if isinstance(writer, SequenceWriter):
            numbers = info.numbers or frames
            files = [writer.file(numbers[index] if info.numbers else index) for index in frames]
            if info.kind == "sequence" and is_frame_of(info.path, files[0]):
                raise OutputError(
                    f"The output {files[0]} would be taken for a frame of the input.",
                    "Write to another folder, or name the input by a pattern such as 'f_%04d.png'.",
                )
            if info.has_audio and number == 0:
                files.append(sound_beside(target.path))
        elif info.has_audio and plan_sound(info.path, target.path).aside:
            files.append(target.path.with_suffix(SIDECAR_SUFFIX))
        there = _existing(files)
        for path in there:
            if _identity(path) in read:
                raise _over_input(path)
        if there and not replace:
            more = f", and {len(there) - 1} more" if len(there) > 1 else ""
            raise OutputError(
                f"The output {there[0]} exists{more}.", "Replace it with --overwrite, or choose another with -o."
            )


def _over_input(path: Path) -> OutputError:
    return OutputError(f"The output {path} would replace an input.", "Choose another name with -o.")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _existing(files: Sequence[Path]) -> list[Path]:
    """The files that exist. Each folder is listed once, which is faster than a test of every file."""
    listed: dict[Path, set[str]] = {}
    for folder in {path.parent for path in files}:
        listed[folder] = {name.casefold() for name in os.listdir(folder)} if folder.is_dir() else set()
    return [path for path in files if path.name.casefold() in listed[path.parent] and os.path.lexists(path)]
